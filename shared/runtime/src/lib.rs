//! How operations run: as Lambda functions, and as the same functions in the local stack and in tests.
//!
//! A [`Function`] says what triggers it and builds its [`Environment`]s; [`serve_operation`] and [`serve_event`] are the
//! `main` of its binary on Lambda. Both drive the same services over the same events, and both finish a call whose
//! client no longer waits, and deliver an operation's notices, after the answer has left and before the next event is taken.
//!
//! This is the only crate that reads the environment for functions, that turns Lambda's deadlines into instants, and that
//! knows how Lambda calls them. It never knows what an operation does. A function of a new kind of trigger is an
//! [`EventHandler`].

#![warn(missing_docs)]

mod clock;
mod delivery;
mod environment;
mod event;
mod function;
mod http;
mod serve;
mod telemetry;

pub use environment::{Environment, Invocation, InvocationError};
pub use event::{EventError, EventHandler};
pub use function::{Function, Trigger};
pub use serve::{serve_event, serve_operation};
