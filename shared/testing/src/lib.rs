//! What tests of the chat service share: databases of their own, faults, and a judge of what clients saw.
//!
//! - [`Fixture`] gives a test a Postgres database, a Mongo database and a DynamoDB table of its own.
//! - [`call`] drives an operation directly, past the wire.
//! - [`HistoryChecker`] tells whether what clients showed and what senders were told go together.
//! - [`FunctionProcess`] runs a function's program against a Lambda Runtime API.
//! - [`FaultProxy`] stands in front of a real database and cuts, freezes, delays, holds and counts.

#![warn(missing_docs)]

mod fixture;
mod history;
mod operations;
mod process;
mod proxy;

pub use fixture::{Fixture, Proxies};
pub use history::{Attempt, HistoryChecker, Observation, Shown, Summary, Told, Violation};
pub use operations::{Called, call, call_without_token, user};
pub use process::{FunctionProcess, REQUEST_ID, Seen, TRACE_ID, function_command, http_event};
pub use proxy::{Counts, Cut, Direction, FaultProxy, Filter, Held, Protocol, WAIT_MAX};
