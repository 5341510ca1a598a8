//! The Lambda function of `CreateGroup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::CreateGroup>()
}
