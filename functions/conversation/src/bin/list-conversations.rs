//! The Lambda function of `ListConversations`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::ListConversations>()
}
