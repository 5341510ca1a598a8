//! What others are to be told of a call.

use chat_contract::v1::LiveEvent;
use chat_domain::UserId;
use chrono::{DateTime, Utc};

/// A live event and who is to get it; made by an operation, delivered after its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Who is to get it, on all of their connections. A user who stands here twice gets it once.
    pub recipients: Vec<UserId>,
    /// What they get.
    pub event: LiveEvent,
    /// When it happened. What is old by the time of its delivery becomes a poke.
    pub occurred_at: DateTime<Utc>,
}
