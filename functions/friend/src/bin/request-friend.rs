//! The Lambda function of `RequestFriend`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_friend::RequestFriend>()
}
