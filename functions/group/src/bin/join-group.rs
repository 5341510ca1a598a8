//! The Lambda function of `JoinGroup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::JoinGroup>()
}
