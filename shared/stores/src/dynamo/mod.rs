//! DynamoDB: who is connected.
//!
//! One item a user, keyed by `user_id`, holds all of that user's connections, so that one read finds them and one
//! conditional write both consumes a ticket and registers its connection:
//!
//! | Attribute | Type | Holds |
//! |---|---|---|
//! | `user_id` | S | the user |
//! | `open` | M | ticket id → connection: `id` (S), `since`, `until` (the lease's end), `ticket_until` (N, Unix seconds), `quiet` (N, Unix ms) |
//! | `closed` | M | ticket id → when its mark may go (N, Unix seconds): connections that ended while their ticket still worked |
//! | `tickets` | N | the rate at which the user gets tickets (Unix ms) |
//! | `ttl` | N | when DynamoDB may drop the item (Unix seconds): after every lease in it |
//!
//! A ticket is used up when it stands in either map. A user has at most 16 connections: one more replaces the one that has
//! been quiet for longest, in the write that registers it. Marks are never refused and still bounded: they fade, and the
//! rate at which a user gets tickets bounds how many can be fresh (50). Full, an item has some 7 KB of DynamoDB's 400.
//!
//! `tickets` and `quiet` are rates, of the user's tickets and of the connection's frames: one time for each (GCRA, see
//! `rate.rs`), so that counting is one write for who rested and two within a burst. `quiet` also tells, to a few seconds,
//! when the connection was last heard of.
//!
//! Nothing here is ever the truth about what was said: a lost item costs its user's live events until they reconnect, and
//! they recover by syncing.

mod item;
mod rate;
mod registry;
mod table;

pub use item::{Connection, ConnectionId, TicketId};
pub use registry::{Allowance, Hearing, Registration, Registry, RegistryReader};
pub use table::RegistryTable;
