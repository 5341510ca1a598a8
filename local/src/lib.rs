//! The local stack: what `cargo chat …` does on a laptop, with real databases, no Docker and no AWS account.
//!
//! `stack` brings the databases up, `gateway` serves the functions as API Gateway would, `commands` are what people
//! type. Nothing here is ever deployed.

use chat_runtime::Function;

pub mod commands;
pub mod gateway;
pub mod stack;

/// The functions of all services.
pub fn functions() -> Vec<Function> {
    [
        chat_conversation::FUNCTIONS,
        chat_friend::FUNCTIONS,
        chat_health::FUNCTIONS,
        chat_live::FUNCTIONS,
        chat_message::FUNCTIONS,
        chat_migrate::FUNCTIONS,
        chat_user::FUNCTIONS,
    ]
    .concat()
}
