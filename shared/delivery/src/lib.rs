//! Brings live events to the connections of their recipients.
//!
//! An operation says who should hear of what ([`Notice`]); after its answer has left, the [`Deliverer`] looks up the
//! recipients' connections and posts to each. A push is a hint, never the truth: whatever is lost here, a client
//! recovers by syncing. So nothing in this crate ever fails a request, and nothing in it ever logs what was said.
//! What is for more members than are named goes to a queue as a [`Fanout`], whose function looks up who they are.
//! [`Closer`] closes a connection that may not go on.

#![warn(missing_docs)]

mod deliverer;
mod fanout;
mod frame;
mod post;

pub use deliverer::Deliverer;
pub use fanout::{Fanout, FanoutError, Range, Recipients};
pub use post::Closer;
