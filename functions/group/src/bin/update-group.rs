//! The Lambda function of `UpdateGroup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::UpdateGroup>()
}
