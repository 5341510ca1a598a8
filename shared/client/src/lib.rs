//! The chat service for Rust programs: what another service, or a test, calls it with.
//!
//! - [`ChatClient`] makes typed calls over gRPC-web, with deadlines and bounded retries.
//! - [`LiveConnection`] is one WebSocket that live events arrive on.
//! - [`Follower`] keeps a user's conversations up to date by the client rules of the protocol: live events as hints,
//!   `SyncConversations` as the truth. Its rules without IO are in [`timeline`].
//!
//! This crate knows the contract and nothing else of the service, and never keeps process-wide state: TLS, with ring as
//! its provider, is configured per client.

#![warn(missing_docs)]

mod client;
mod error;
mod follower;
mod live;
#[cfg(test)]
mod model;
#[cfg(test)]
mod scripted;
pub mod timeline;
mod tls;
mod wire;

pub use chat_contract as contract;
pub use client::{
    ATTEMPTS_DEFAULT, BuildError, ChatClient, ChatClientBuilder, RESPONSE_BYTES_MAX, Retries, TIMEOUT_DEFAULT,
    TokenError, TokenSource,
};
pub use error::{CallError, CallFailure, Outcome, Refusal, Violation};
pub use follower::{FollowOptions, Follower, GAP_WAIT_DEFAULT, History, Late, State};
pub use live::{HEARTBEAT_DEFAULT, LiveConnection, LiveEnd, LiveError, LiveOptions, PONG_TIMEOUT_DEFAULT};
pub use tonic::Code;
