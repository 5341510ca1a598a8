//! The Lambda function of `ListGroupInvites`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::ListGroupInvites>()
}
