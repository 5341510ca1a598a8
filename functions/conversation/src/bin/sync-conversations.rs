//! The Lambda function of `SyncConversations`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::SyncConversations>()
}
