//! What an RPC of the contract is to those who implement it.
//!
//! An RPC is an [`Operation`]: a plain struct of its dependencies, made from [`Settings`], and one `call` that turns a request
//! into an [`Answer`], with [`Notice`]s to deliver after it, or a [`Failure`].
//!
//! This crate knows neither a wire nor a store. `chat-rpc` puts operations on the wire, `chat-stores` says what its errors
//! mean to a caller, `chat-runtime` runs them, `chat-delivery` delivers what they hand out.

#![warn(missing_docs)]

// What the derive writes names this crate as others do.
extern crate self as chat_operation;

mod context;
mod failure;
mod notice;
mod operation;
mod settings;

pub use context::{CallContext, Caller};
pub use failure::{Failure, Fields, VIOLATIONS_MAX};
pub use notice::Notice;
pub use operation::{Answer, Operation};
pub use settings::{FromSettings, Grant, Needs, Settings, SettingsError};

pub use chat_derive::FromSettings;

pub use tonic::Code;
pub use tonic_types::FieldViolation;
