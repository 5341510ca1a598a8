//! The Lambda authorizer of the WebSocket API.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_event::<chat_live::AuthorizeSocket>()
}
