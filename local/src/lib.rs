//! The local stack: what `cargo chat …` does on a laptop, with real databases, no Docker and no AWS account.
//!
//! `stack` brings the databases up, `gateway` serves the functions as API Gateway would, `template` writes down how they
//! are deployed, `obligations` what tests each owes its contract, `commands` are what people type. Nothing here is ever
//! deployed.

use chat_runtime::Function;

pub mod commands;
pub mod contract;
pub mod gateway;
pub mod names;
pub mod obligations;
pub mod stack;
pub mod template;

/// The functions of one crate, which are deployed together.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// The crate's folder below `functions/`.
    pub name: &'static str,
    /// Its functions.
    pub functions: &'static [Function],
}

/// All services.
pub const SERVICES: &[Service] = &[
    Service {
        name: "conversation",
        functions: chat_conversation::FUNCTIONS,
    },
    Service {
        name: "friend",
        functions: chat_friend::FUNCTIONS,
    },
    Service {
        name: "group",
        functions: chat_group::FUNCTIONS,
    },
    Service {
        name: "health",
        functions: chat_health::FUNCTIONS,
    },
    Service {
        name: "live",
        functions: chat_live::FUNCTIONS,
    },
    Service {
        name: "message",
        functions: chat_message::FUNCTIONS,
    },
    Service {
        name: "migrate",
        functions: chat_migrate::FUNCTIONS,
    },
    Service {
        name: "user",
        functions: chat_user::FUNCTIONS,
    },
];

/// The functions of all services.
pub fn functions() -> Vec<Function> {
    SERVICES.iter().flat_map(|service| service.functions).copied().collect()
}
