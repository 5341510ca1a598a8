//! The Lambda function of `MarkConversationRead`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::MarkConversationRead>()
}
