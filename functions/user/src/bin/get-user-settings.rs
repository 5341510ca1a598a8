//! The Lambda function of `GetUserSettings`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_user::GetUserSettings>()
}
