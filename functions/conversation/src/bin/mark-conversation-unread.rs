//! The Lambda function of `MarkConversationUnread`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::MarkConversationUnread>()
}
