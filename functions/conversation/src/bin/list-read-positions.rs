//! The Lambda function of `ListReadPositions`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::ListReadPositions>()
}
