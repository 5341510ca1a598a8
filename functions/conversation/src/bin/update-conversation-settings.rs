//! The Lambda function of `UpdateConversationSettings`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::UpdateConversationSettings>()
}
