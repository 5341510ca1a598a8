//! The Lambda function of `TransferGroupOwnership`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::TransferGroupOwnership>()
}
