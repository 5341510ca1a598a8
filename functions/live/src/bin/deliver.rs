//! The Lambda function of the queue of deliveries.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_event::<chat_live::Deliver>()
}
