//! The Lambda function of `Check`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_health::Check>()
}
