//! The Lambda function of `HideConversation`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::HideConversation>()
}
