//! The Lambda function of `ListMessages`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_message::ListMessages>()
}
