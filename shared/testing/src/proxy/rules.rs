//! Which request a test means, and what became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// How long a test waits for the request that it set a trap for.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// A request on its way to the server.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// MongoDB's request id, which its answer repeats; 0 for Postgres, which answers in order.
    pub(super) id: i32,
    pub(super) operation: Operation,
    /// All of its bytes.
    pub(super) bytes: Bytes,
}

/// What a request does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    /// Executes these statements.
    Statement(String),
    /// Prepares a statement, or does something else that executes none.
    Preparation(String),
    /// A MongoDB command and, where there is one, its collection.
    Command { name: String, collection: String },
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(text) => formatter.write_str(text),
            Self::Preparation(text) => write!(formatter, "prepare: {text}"),
            Self::Command { name, collection } if collection.is_empty() => formatter.write_str(name),
            Self::Command { name, collection } => write!(formatter, "{name} {collection}"),
        }
    }
}

/// Which requests a rule is for. Those that are not counted never match.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    operation: Option<String>,
    containing: Option<Vec<u8>>,
    skip: u32,
}

impl Filter {
    /// Any request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Postgres: a request that executes a statement whose text contains this, whenever it was prepared. Preparing it
    /// does not match. MongoDB: this command, such as `insert`, or a command on one collection, such as `insert timeline`.
    pub fn operation(operation: impl Into<String>) -> Self {
        Self {
            operation: Some(operation.into()),
            ..Self::default()
        }
    }

    /// Only requests that have these bytes somewhere, such as a message's text.
    #[must_use]
    pub fn containing(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.containing = Some(bytes.as_ref().to_vec());
        self
    }

    /// Lets this many requests that match go by first.
    #[must_use]
    pub fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Whether this is the request; counts down those that are let by.
    pub(super) fn takes(&mut self, request: &Request) -> bool {
        if !self.matches(request) {
            return false;
        }
        let taken = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        taken
    }

    fn matches(&self, request: &Request) -> bool {
        let operation = self.operation.as_ref().is_none_or(|wanted| match &request.operation {
            Operation::Statement(text) => text.contains(wanted),
            Operation::Preparation(_) => false,
            command @ Operation::Command { name, .. } => name == wanted || command.to_string() == *wanted,
        });
        let contains =
            |bytes: &Vec<u8>| bytes.is_empty() || request.bytes.windows(bytes.len()).any(|part| part == bytes);
        operation && self.containing.as_ref().is_none_or(contains)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.operation {
            Some(operation) => write!(formatter, "request that does {operation:?}")?,
            None => formatter.write_str("request")?,
        }
        match &self.containing {
            Some(bytes) => write!(formatter, " and contains {:?}", String::from_utf8_lossy(bytes)),
            None => Ok(()),
        }
    }
}

/// What the proxy does with the request that a filter takes.
pub(super) enum Rule {
    Hold(Filter, Arc<Trap>),
    CutBeforeAnswer(Filter, Arc<Trap>),
}

impl Rule {
    pub(super) fn filter_mut(&mut self) -> &mut Filter {
        match self {
            Self::Hold(filter, _) | Self::CutBeforeAnswer(filter, _) => filter,
        }
    }

    /// Whether the test has let go of it before anything was caught.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Hold(_, trap) | Self::CutBeforeAnswer(_, trap) => {
                matches!(*trap.phase.borrow(), Phase::Released | Phase::Dropped)
            }
        }
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing matched yet.
    Set,
    /// The request is held, or its connection was cut.
    Caught,
    /// Let go on.
    Released,
    /// To be cut.
    Dropped,
}

/// Where a test and the connection meet.
pub(super) struct Trap {
    meant: String,
    phase: watch::Sender<Phase>,
}

impl Trap {
    pub(super) fn new(filter: &Filter) -> Self {
        Self {
            meant: filter.to_string(),
            phase: watch::Sender::new(Phase::Set),
        }
    }

    /// Called by the connection. False when the test has let go of the rule meanwhile.
    pub(super) fn catch(&self) -> bool {
        self.phase.send_if_modified(|phase| {
            let is_set = *phase == Phase::Set;
            if is_set {
                *phase = Phase::Caught;
            }
            is_set
        })
    }

    /// Called by the connection that holds the request: waits for what the test decides; false to cut.
    pub(super) async fn verdict(&self) -> bool {
        let mut phase = self.phase.subscribe();
        let decided = phase
            .wait_for(|phase| matches!(phase, Phase::Released | Phase::Dropped))
            .await;
        decided.is_ok_and(|phase| *phase == Phase::Released)
    }

    async fn caught(&self) {
        let mut phase = self.phase.subscribe();
        let caught = tokio::time::timeout(WAIT_MAX, phase.wait_for(|phase| *phase != Phase::Set)).await;
        assert!(caught.is_ok(), "no {} came within {} s", self.meant, WAIT_MAX.as_secs());
    }

    fn decide(&self, decision: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_open = matches!(phase, Phase::Set | Phase::Caught);
            if is_open {
                *phase = decision;
            }
            is_open
        });
    }
}

/// A request that is, or will be, held. Dropping this releases it, so that a failing test does not hang.
pub struct Held(pub(super) Arc<Trap>);

impl Held {
    /// Waits until a request is held.
    ///
    /// # Panics
    /// When none came within [`WAIT_MAX`].
    pub async fn caught(&self) {
        self.0.caught().await;
    }

    /// Lets the request go on to the server.
    pub fn release(self) {
        self.0.decide(Phase::Released);
    }

    /// Resets the connection; the server never sees the request.
    pub fn drop_connection(self) {
        self.0.decide(Phase::Dropped);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decide(Phase::Released);
    }
}

/// A connection that was, or will be, cut between a request's effect and its answer. Dropping this
/// before a request was taken calls it off.
pub struct Cut(pub(super) Arc<Trap>);

impl Cut {
    /// Waits until it was cut.
    ///
    /// # Panics
    /// When that did not happen within [`WAIT_MAX`].
    pub async fn happened(&self) {
        self.0.caught().await;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.decide(Phase::Released);
    }
}
