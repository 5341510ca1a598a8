//! The Lambda function of `RemoveFriend`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_friend::RemoveFriend>()
}
