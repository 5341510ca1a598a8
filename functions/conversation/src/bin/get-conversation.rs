//! The Lambda function of `GetConversation`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::GetConversation>()
}
