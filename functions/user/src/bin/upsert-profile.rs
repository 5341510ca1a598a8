//! The Lambda function of `UpsertProfile`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_user::UpsertProfile>()
}
