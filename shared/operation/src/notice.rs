//! What others are to be told of a call.

use chat_contract::v1::LiveEvent;
use chat_domain::Audience;
use chrono::{DateTime, Utc};

/// A live event and who is to get it; made by an operation, delivered after its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Who is to get it, on all of their connections. Members: those of the event's conversation that had joined before its
    /// revision; where the event says that memberships end, those whose memberships a deletion has yet to end.
    pub recipients: Audience,
    /// What they get.
    pub event: LiveEvent,
    /// When it happened. What is old by the time of its delivery becomes a poke.
    pub occurred_at: DateTime<Utc>,
}
