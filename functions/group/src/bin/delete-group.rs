//! The Lambda function of `DeleteGroup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::DeleteGroup>()
}
