//! The whole service from outside: all functions behind a gateway, real databases, clients over HTTP and WebSocket.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod gathering;
mod groups;
mod harness;
mod large;
mod many;
mod matrix;
mod own;
mod promises;
mod races;
mod sockets;
mod story;
mod wire;
