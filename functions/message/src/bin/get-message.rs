//! The Lambda function of `GetMessage`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_message::GetMessage>()
}
