//! Why a benchmark failed.

use std::error::Error;

use chat_client::{BuildError, CallError};
use chat_runtime::InvocationError;

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum BenchError {
    /// The data to measure with could not be put into Postgres.
    #[error("cannot fill Postgres")]
    FillPostgres(#[source] sqlx::Error),
    /// The data to measure with could not be put into MongoDB.
    #[error("cannot fill MongoDB")]
    FillMongo(#[source] mongodb::error::Error),
    /// The client of the service could not be set up.
    #[error("cannot set the client up")]
    Client(#[from] BuildError),
    /// The service failed a call.
    #[error("the service failed a call")]
    Service(#[from] CallError),
    /// A member of a group cannot listen.
    #[error("a member of a group cannot listen")]
    Live(#[source] chat_client::LiveError),
    /// A member of a group was not told of a message.
    #[error("a member of a group heard nothing of message {seq}")]
    Unheard {
        /// Its seq.
        seq: i64,
    },
    /// A function failed a call.
    #[error("a function failed a call")]
    Function(#[from] InvocationError),
    /// A function refused a call.
    #[error("a function refused a call")]
    Refused,
    /// There is no event, or no function for it.
    #[error("no event can be made for a function")]
    Event,
    /// A store of the service failed a call.
    #[error("a store failed a call")]
    Store(#[source] chat_stores::StoreError),
    /// The id of a user of the benchmark is none.
    #[error("a user cannot be called that")]
    User(#[source] chat_domain::Violation),
    /// A new device does not get on.
    #[error("a new device did not get on after {calls} calls")]
    Stuck {
        /// How many it made.
        calls: usize,
    },
    /// Postgres failed a call of the bare loop.
    #[error("Postgres failed a call of the bare loop")]
    Postgres(#[source] sqlx::Error),
    /// MongoDB failed a call of the bare loop.
    #[error("MongoDB failed a call of the bare loop")]
    Mongo(#[source] mongodb::error::Error),
    /// DynamoDB failed a call of the bare loop.
    #[error("DynamoDB failed a call of the bare loop")]
    Dynamo(#[source] Box<dyn Error + Send + Sync>),
    /// An answer has not what it must have.
    #[error(
        "an answer has {actual} entries instead of {expected}: delete the folder of the benchmark and run it again"
    )]
    Entries {
        /// What it must have.
        expected: usize,
        /// What it has.
        actual: usize,
    },
}
