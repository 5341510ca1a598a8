//! The Lambda function of `ListJoinRequests`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::ListJoinRequests>()
}
