//! The Lambda function of `MarkConversationDelivered`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::MarkConversationDelivered>()
}
