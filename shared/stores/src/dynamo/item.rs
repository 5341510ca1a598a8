//! How connections are written down.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use chat_domain::{UserId, Violation};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The attribute of the user.
pub(super) const USER_ID: &str = "user_id";
/// The attribute of the open connections.
pub(super) const OPEN: &str = "open";
/// The attribute of the used tickets whose connections closed.
pub(super) const CLOSED: &str = "closed";
/// The attribute of the rate at which the user gets tickets.
pub(super) const TICKETS: &str = "tickets";
/// The attribute that DynamoDB drops items by.
pub(super) const TTL: &str = "ttl";
/// The field of a connection's id.
pub(super) const ID: &str = "id";
/// The field of the rate at which a connection sends frames.
pub(super) const QUIET: &str = "quiet";

/// An attribute map, as DynamoDB has it.
pub(super) type Map = HashMap<String, AttributeValue>;

/// The id of a live ticket. It works for one connection, so it is also that connection's key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TicketId(Uuid);

impl TicketId {
    /// A fresh id.
    #[expect(clippy::disallowed_methods, reason = "this is the typed id")]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<[u8; 16]> for TicketId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl std::str::FromStr for TicketId {
    type Err = uuid::Error;

    fn from_str(value: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(value).map(Self)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// API Gateway's id of a connection: at most [`Self::BYTES_MAX`] visible ASCII characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Bytes of an id, at most; with it, an entry of the registry stays within 200 bytes. API Gateway's have 16.
    pub const BYTES_MAX: usize = 100;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ConnectionId {
    type Err = Violation;

    fn from_str(value: &str) -> Result<Self, Violation> {
        if (1..=Self::BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(value.to_owned()))
        } else {
            Err(Violation::new(format!(
                "must have 1 to {} visible ASCII characters",
                Self::BYTES_MAX
            )))
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One live connection of a user. Times are kept to the second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Whose it is.
    pub user: UserId,
    /// The ticket that it was opened with.
    pub ticket: TicketId,
    /// API Gateway's id of it.
    pub id: ConnectionId,
    /// When it was opened.
    pub since: DateTime<Utc>,
    /// When its lease ends: pushes stop then.
    pub until: DateTime<Utc>,
    /// When its ticket stops, or stopped, to work.
    pub ticket_until: DateTime<Utc>,
}

impl Connection {
    /// This connection as a value of `open`, of which no frame was heard yet.
    pub(super) fn to_value(&self) -> AttributeValue {
        AttributeValue::M(HashMap::from([
            (ID.to_owned(), AttributeValue::S(self.id.to_string())),
            ("since".to_owned(), seconds(self.since)),
            ("until".to_owned(), seconds(self.until)),
            ("ticket_until".to_owned(), seconds(self.ticket_until)),
            (QUIET.to_owned(), number(self.since.timestamp_millis())),
        ]))
    }

    /// The connection that an entry of a user's `open` holds; `None` if it is not one.
    fn from_entry(user: &UserId, ticket: &str, value: &AttributeValue) -> Option<Self> {
        let fields = value.as_m().ok()?;
        Some(Self {
            user: user.clone(),
            ticket: ticket.parse().ok()?,
            id: fields.get(ID)?.as_s().ok()?.parse().ok()?,
            since: time(fields.get("since")?)?,
            until: time(fields.get("until")?)?,
            ticket_until: time(fields.get("ticket_until")?)?,
        })
    }
}

/// An entry of `open`.
#[derive(Debug)]
pub(super) struct Entry {
    /// The connection.
    pub(super) connection: Connection,
    /// The value of the connection's frames, as [`Rate`](super::rate::Rate) has it: about when it was last heard of.
    pub(super) quiet_ms: i64,
}

impl Entry {
    /// Reads an entry of a user's `open`; `None` if it is not one.
    fn read(user: &UserId, ticket: &str, value: &AttributeValue) -> Option<Self> {
        let connection = Connection::from_entry(user, ticket, value)?;
        let quiet = value.as_m().ok()?.get(QUIET);
        Some(Self {
            // Versions before this one did not write it.
            quiet_ms: quiet.map_or(Some(connection.since.timestamp_millis()), integer)?,
            connection,
        })
    }
}

/// A number.
pub(super) fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The whole number that a value is.
pub(super) fn integer(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok()?.parse().ok()
}

/// A time as a number of Unix seconds.
pub(super) fn seconds(time: DateTime<Utc>) -> AttributeValue {
    number(time.timestamp())
}

/// The time that a number of Unix seconds means.
fn time(value: &AttributeValue) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(integer(value)?, 0)
}

/// What is known about a user's connections.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// The open connections, expired ones included.
    pub(super) open: Vec<Entry>,
    /// The used tickets whose connections closed, each with when its mark may go.
    pub(super) closed: Vec<(TicketId, DateTime<Utc>)>,
}

impl Item {
    /// Reads a user's item; `None` if it has no map of connections. Entries that no version of this code wrote are
    /// logged and left out: one of them must not cost its user all live events.
    pub(super) fn read(user: &UserId, attributes: &Map) -> Option<Self> {
        let open = attributes.get(OPEN)?.as_m().ok()?;
        let none = Map::new();
        let closed = attributes
            .get(CLOSED)
            .and_then(|closed| closed.as_m().ok())
            .unwrap_or(&none);
        let item = Self {
            open: open
                .iter()
                .filter_map(|(ticket, value)| Entry::read(user, ticket, value))
                .collect(),
            closed: closed
                .iter()
                .filter_map(|(ticket, value)| Some((ticket.parse().ok()?, time(value)?)))
                .collect(),
        };
        let unreadable = open.len() + closed.len() - item.open.len() - item.closed.len();
        if unreadable > 0 {
            tracing::error!(user_id = %user, unreadable, "the registry of connections holds entries that cannot be read");
        }
        Some(item)
    }

    /// The entry of the connection with this ticket and id.
    pub(super) fn entry(&self, ticket: TicketId, id: &ConnectionId) -> Option<&Entry> {
        self.open
            .iter()
            .find(|entry| entry.connection.ticket == ticket && entry.connection.id == *id)
    }
}
