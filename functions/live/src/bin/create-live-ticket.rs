//! The Lambda function of `CreateLiveTicket`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_live::CreateLiveTicket>()
}
