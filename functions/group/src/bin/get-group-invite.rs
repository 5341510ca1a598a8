//! The Lambda function of `GetGroupInvite`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::GetGroupInvite>()
}
