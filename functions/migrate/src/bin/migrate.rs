//! The Lambda function `migrate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_event::<chat_migrate::Migrate>()
}
