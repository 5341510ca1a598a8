//! The Lambda function of `RespondToFriendRequest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_friend::RespondToFriendRequest>()
}
