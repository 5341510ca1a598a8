//! The Lambda function of the route `$connect`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_event::<chat_live::Connect>()
}
