//! The Lambda function of `AddGroupMembers`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::AddGroupMembers>()
}
