//! The Lambda function of `GetUnreadTotals`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_conversation::GetUnreadTotals>()
}
