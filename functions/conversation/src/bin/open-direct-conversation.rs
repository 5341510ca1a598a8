//! The Lambda function of `OpenDirectConversation`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::OpenDirectConversation>()
}
