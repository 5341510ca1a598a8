//! How an RPC of the contract is implemented and how it is reached.
//!
//! An RPC is an [`Operation`]: a plain struct of its dependencies and one `call` that turns a request into an [`Answer`]
//! or a [`Failure`]. [`Endpoint`] makes a tower service of it that speaks gRPC-web (binary and text) and the Connect
//! protocol's unary form (JSON and binary) over whole bodies, so that Lambda, the local gateway and the tests drive the
//! same code. [`view`] shows stored rows as the contract does, for all services alike.
//!
//! This crate never calls a store, never delivers a notice and never answers CORS: the gateway alone does.
//! To add an RPC, implement [`Operation`] for a type with the RPC's name; nothing here needs to change.

#![warn(missing_docs)]

mod call;
mod codec;
mod connect;
mod context;
mod endpoint;
mod failure;
mod frame;
mod media;
pub mod notices;
mod operation;
pub mod timeout;
pub mod view;

pub use call::{RestOfCall, Unfinished};
pub use context::{CallContext, Caller, Claims, Deadline};
pub use endpoint::{Endpoint, Notices, REQUEST_BYTES_MAX};
pub use failure::{Failure, Fields, VIOLATIONS_MAX};
pub use operation::{Answer, Operation};

pub use chat_delivery::Notice;
pub use tonic::Code;
pub use tonic_types::FieldViolation;
