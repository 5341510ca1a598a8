//! The Lambda function of `ListGroupMembers`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::ListGroupMembers>()
}
