//! The Lambda function of `LeaveGroup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::LeaveGroup>()
}
