//! The smallest function there is. The tests run it as Lambda would.

use std::process::ExitCode;

#[path = "../tests/runtime/echo.rs"]
mod echo;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<echo::Echo>()
}
