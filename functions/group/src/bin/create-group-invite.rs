//! The Lambda function of `CreateGroupInvite`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::CreateGroupInvite>()
}
