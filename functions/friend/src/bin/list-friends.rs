//! The Lambda function of `ListFriends`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_friend::ListFriends>()
}
