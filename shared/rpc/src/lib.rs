//! How an operation is reached: its wire.
//!
//! [`Endpoint`] makes a tower service of an [`Operation`](chat_operation::Operation) that speaks gRPC-web (binary and text) and
//! the Connect protocol's unary form (JSON and binary) over whole bodies, so that Lambda, the local gateway and the tests
//! drive the same code.
//!
//! This crate knows no store, never delivers a notice and never answers CORS: the gateway alone does. To add an RPC, implement
//! an operation; nothing here needs to change.

#![warn(missing_docs)]

mod call;
mod code;
mod codec;
mod connect;
mod context;
mod endpoint;
mod frame;
mod media;
pub mod timeout;
mod unreadable;

pub use call::{Notices, RestOfCall, Unfinished};
pub use context::{Claims, Deadline};
pub use endpoint::Endpoint;
pub use unreadable::REQUEST_BYTES_MAX;
