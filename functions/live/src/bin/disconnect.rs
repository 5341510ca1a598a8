//! The Lambda function of the route `$disconnect`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_event::<chat_live::Disconnect>()
}
