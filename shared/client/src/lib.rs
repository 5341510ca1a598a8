//! The chat service for Rust programs: what another service, or a test, calls it with.
//!
//! - [`ChatClient`] makes typed calls over gRPC-web, with deadlines and bounded retries.
//! - [`LiveConnection`] is one WebSocket that live events arrive on.
//! - [`Follower`] keeps a user's friends and conversations up to date by the client rules of the protocol: live events as
//!   hints, `SyncConversations` as the truth. It also sends, until a message is there, and marks messages as read. Its rules
//!   without IO are in [`timeline`] and [`book`].
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use chat_client::contract::v1::OpenDirectConversationRequest;
//! use chat_client::{ChatClient, FollowOptions, Follower};
//!
//! # async fn converse(token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let client = ChatClient::builder("http://127.0.0.1:8080").token(token).build()?;
//! let opened = client.call(OpenDirectConversationRequest { user_id: "bob".into() }).await?;
//! let id = opened.conversation.unwrap_or_default().conversation_id;
//!
//! let follower = Follower::start(client.clone(), FollowOptions::default());
//! follower.open(&id);
//! let sent = follower.send(&id, "a-uuid-of-this-message", "Hello, Bob!", None).await?;
//! let state = follower
//!     .wait_until(Duration::from_secs(5), |state| {
//!         state.conversation(&id).is_some_and(|timeline| timeline.messages().any(|message| message.seq == sent.seq))
//!     })
//!     .await?;
//! println!("{state}");
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows the contract and nothing else of the service, and never keeps process-wide state: TLS, with ring as
//! its provider, is configured per client.

#![warn(missing_docs)]

pub mod book;
mod client;
mod error;
mod feed;
mod follower;
mod live;
#[cfg(test)]
mod model;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scripted;
pub mod timeline;
mod tls;
mod wire;

pub use book::{History, State};
pub use chat_contract as contract;
pub use client::{
    ATTEMPTS_DEFAULT, BuildError, ChatClient, ChatClientBuilder, RESPONSE_BYTES_MAX, Retries, TIMEOUT_DEFAULT,
    TokenError, TokenSource,
};
pub use error::{CallError, CallFailure, Outcome, Refusal, Violation};
pub use follower::{
    FollowOptions, Follower, GAP_WAIT_DEFAULT, Late, MARK_INTERVAL_DEFAULT, POLL_INTERVAL_DEFAULT, PUSH_WAIT_DEFAULT,
    SendError,
};
pub use live::{HEARTBEAT_DEFAULT, LiveConnection, LiveEnd, LiveError, LiveOptions, PONG_TIMEOUT_DEFAULT};
pub use tonic::Code;
