//! What can go wrong between us and a store.

use std::error::Error;
use std::fmt;

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
