//! Why a command failed. Each message, with its causes behind it, is one line for the person who typed the command.

use std::path::PathBuf;

use chat_operation::SettingsError;
use chat_runtime::InvocationError;
use chat_stores::StoreError;

use super::bench::error::BenchError;
use super::new_operation::NewOperationError;
use crate::gateway::{GatewayError, IssuerError};
use crate::stack::StackError;
use crate::template::{HEAD, TemplateError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// A database.
    #[error(transparent)]
    Stack(#[from] StackError),

    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),

    /// The key that signs tokens.
    #[error(transparent)]
    Issuer(#[from] IssuerError),

    /// A benchmark.
    #[error(transparent)]
    Bench(#[from] BenchError),

    /// The files of an operation.
    #[error(transparent)]
    NewOperation(#[from] NewOperationError),

    /// The variant of the template would replace what it is made of.
    #[error("{} holds {HEAD} itself: name another folder for the variant", .0.display())]
    Overwritten(PathBuf),

    /// The template.
    #[error(transparent)]
    Template(#[from] TemplateError),

    /// The port that was asked for is not one.
    #[error("CHAT_PORT is `{0}`: set it to a number from 1 to 65535, or to 0 for any free port")]
    Port(String),

    /// A file with a key holds something else.
    #[error("{} does not hold a key: delete it, and a new one is made", .0.display())]
    Key(PathBuf),

    /// The table of connections could not be made.
    #[error("cannot create the table of connections")]
    Table(#[source] StoreError),

    /// The queue of deliveries could not be made.
    #[error("cannot create the queue of deliveries: what AWS_ENDPOINT_URL names must have SQS as well as DynamoDB")]
    Queue(#[source] StoreError),

    /// Something that prepares the databases lacks a setting.
    #[error("{function} cannot run")]
    Settings {
        /// What it is.
        function: &'static str,
        /// What it lacks.
        source: SettingsError,
    },

    /// A function that prepares the databases failed.
    #[error("{function} could not prepare the databases")]
    Preparation {
        /// The function.
        function: &'static str,
        /// What it said.
        source: InvocationError,
    },

    /// A function that prepares the databases took too long.
    #[error("{function} did not prepare the databases within {seconds} s")]
    PreparationTime {
        /// The function.
        function: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
}
