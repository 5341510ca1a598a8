//! DynamoDB: who is connected.
//!
//! One item a user, keyed by `user_id`, holds all of that user's connections, so that one read finds them and one
//! conditional write both consumes a ticket and registers its connection:
//!
//! | Attribute | Type | Holds |
//! |---|---|---|
//! | `user_id` | S | the user |
//! | `open` | M | ticket id → connection: `id` (S), `since`, `until` (the lease's end), `ticket_until` (N, Unix seconds) |
//! | `closed` | M | ticket id → when its mark may go (N, Unix seconds): connections that closed while their ticket still worked |
//! | `ttl` | N | when DynamoDB may drop the item (Unix seconds): after every lease in it |
//!
//! A ticket is used up when it stands in either map. Nothing here is ever the truth about what was said: a lost item
//! costs its user's live events until they reconnect, and they recover by syncing.

mod aws;
mod item;
mod registry;

pub use aws::{Aws, Patience};
pub use item::{Connection, ConnectionId, TicketId};
pub use registry::{Registration, Registry};
