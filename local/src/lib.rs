//! The local stack: what `cargo chat …` does on a laptop, with real databases, no Docker and no AWS account.
//!
//! `stack` brings the databases up, `gateway` serves the functions as API Gateway would, `commands` are what people
//! type. Nothing here is ever deployed.

use chat_operation::Settings;
use chat_runtime::{Function, Trigger};

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

/// What a function is told, of settings that are complete: as in the template, each function has the URL of one user of
/// Postgres. `migrate` has the owner's, and those of the users that it makes; what anybody may call has the one without
/// rights to data; all others have the functions'.
pub fn told(function: &Function, settings: &Settings) -> Settings {
    let user = match function.trigger() {
        Trigger::Deployment => return settings.clone(),
        Trigger::Rpc { public: true, .. } => "HEALTH_DATABASE_URL",
        _ => "FUNCTIONS_DATABASE_URL",
    };
    match settings.get(user) {
        Some(url) => settings.clone().with("DATABASE_URL", url),
        None => settings.clone(),
    }
}
