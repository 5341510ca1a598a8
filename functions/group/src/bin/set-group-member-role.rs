//! The Lambda function of `SetGroupMemberRole`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::SetGroupMemberRole>()
}
