//! The Lambda function of `ClearConversationHistory`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::ClearConversationHistory>()
}
