//! The Lambda function of `RemoveGroupMember`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::RemoveGroupMember>()
}
