//! What can go wrong between us and a store.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use chat_operation::Failure;

/// Causes below an error that are told, at most.
const CAUSES_MAX: usize = 16;

/// When to come back to what others kept a lock on, which took them longer than a call waits for it.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A store that did not do what it was asked. Its text names the store and the action; the cause is its source, for the
/// log and never for a client.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    store: &'static str,
    action: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

/// What a caller can do about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreErrorKind {
    /// The store was not reached, or its answer was lost: what was asked may or may not have happened. Repeat it.
    Unavailable,
    /// The store gave up in time: what was asked may or may not have happened.
    Timeout,
    /// Others kept the store from what was asked, which did not happen. Repeat it a little later.
    Busy,
    /// The store refused or answered something that cannot be: a bug or a damaged store.
    Corrupt,
}

impl StoreError {
    /// An error of `store` while it was to `action`, which reads on from "failed to".
    pub(crate) fn new(
        kind: StoreErrorKind,
        store: &'static str,
        action: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            store,
            action,
            source: source.into(),
        }
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The chain of causes in one line, the nearest first. For the log, never for a client.
    pub fn causes(&self) -> String {
        let causes = successors(self.source(), |&cause| cause.source()).take(CAUSES_MAX);
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// Tells the log of it, for those who run the service.
    pub fn log(&self) {
        tracing::error!(error = %self, causes = self.causes(), "a store failed");
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed to {}", self.store, self.action)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// A store failed: the chain of causes is logged here, once, and the client learns only whether to repeat.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        error.log();
        match error.kind() {
            StoreErrorKind::Unavailable => Self::unavailable(
                "STORE_UNAVAILABLE",
                "a database did not answer; repeat the call with the same ids",
            ),
            StoreErrorKind::Timeout => Self::deadline_exceeded(
                "STORE_TIMEOUT",
                "a database did not answer in time; repeat the call with the same ids",
            ),
            StoreErrorKind::Busy => Self::unavailable(
                "STORE_BUSY",
                "others are changing the same thing; repeat the call with the same ids a little later",
            )
            .with_retry_after(BUSY_RETRY_AFTER),
            StoreErrorKind::Corrupt => Self::internal(
                "STORE_CORRUPT",
                "a database answers what this version does not understand; its operator has to look into it",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cause {number}")]
    struct Cause {
        number: usize,
        source: Option<Box<Cause>>,
    }

    fn chain(length: usize) -> StoreError {
        let causes = (1..=length)
            .rev()
            .fold(None, |source, number| Some(Box::new(Cause { number, source })));
        StoreError::new(
            StoreErrorKind::Unavailable,
            "Postgres",
            "answer a ping",
            causes.unwrap(),
        )
    }

    #[test]
    fn an_error_tells_its_action_and_on_demand_its_causes() {
        let error = chain(3);
        assert_eq!(error.to_string(), "Postgres failed to answer a ping");
        assert_eq!(error.causes(), "cause 1: cause 2: cause 3");
    }

    #[test]
    fn a_chain_that_is_too_long_is_cut() {
        let causes = chain(CAUSES_MAX + 5).causes();
        assert_eq!(causes.split(": ").count(), CAUSES_MAX);
    }
}
