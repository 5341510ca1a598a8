//! The Lambda function of `RevokeGroupInvite`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::RevokeGroupInvite>()
}
