//! The Lambda function of `AnswerJoinRequest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    chat_runtime::serve_operation::<chat_group::AnswerJoinRequest>()
}
