//! The Lambda function of `SendMessage`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_message::SendMessage>()
}
