//! The Lambda function of `GetProfiles`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_user::GetProfiles>()
}
