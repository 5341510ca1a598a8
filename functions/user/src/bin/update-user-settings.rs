//! The Lambda function of `UpdateUserSettings`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_user::UpdateUserSettings>()
}
