//! How a call can fail, and what a caller can do about it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A call that did not get its response.
#[derive(Debug)]
pub struct CallError {
    rpc: &'static str,
    failure: CallFailure,
    /// Whether an earlier attempt of the same call ended without anyone knowing what it did.
    attempt_lost: bool,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum CallFailure {
    /// The operation answered with a status other than OK.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something in front of the operation answered: the API gateway, a proxy.
    #[error("the gateway answered HTTP {status}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Http {
        /// The HTTP status.
        status: StatusCode,
        /// What the answer said.
        detail: String,
    },
    /// The service could not be reached; nothing was sent.
    #[error("{url} cannot be reached; check the address and that the service is up")]
    Connect {
        /// Where to.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke after the request may have left.
    #[error("the connection to {url} broke before the answer came")]
    Transport {
        /// Where to.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// No answer came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer cannot be understood.
    #[error("the answer is not one that a chat service gives: {0}")]
    Malformed(String),
    /// The answer is larger than a client reads.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// The token source gave no token.
    #[error("no token to call with")]
    Token(#[source] Box<dyn Error + Send + Sync>),
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
}

/// A status other than OK, with its details.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code:?}{}: {message}", reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// What is wrong, for a person.
    pub message: String,
    /// What is wrong, for a program: a constant in `UPPER_SNAKE_CASE`.
    pub reason: Option<String>,
    /// What the reason is about.
    pub metadata: BTreeMap<String, String>,
    /// The fields that were refused.
    pub violations: Vec<Violation>,
    /// How long to wait before repeating the call, if the service says.
    pub retry_after: Option<Duration>,
}

/// A refused field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    /// Its name.
    pub field: String,
    /// What is wrong with it and what is allowed.
    pub description: String,
}

/// What a failed call may have done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Nothing, and it never will.
    NotDone,
    /// Perhaps all of it, now or a little later. Repeat the call with the same ids to find out.
    Unknown,
}

impl From<Refusal> for CallFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        // Details that cannot be read are as good as none: the code and the message still tell the story.
        let details = status.get_error_details();
        let info = details.error_info();
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.map(|info| info.reason.clone()).filter(|reason| !reason.is_empty()),
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            violations: details
                .bad_request()
                .map(|request| {
                    let violations = request.field_violations.iter();
                    violations
                        .map(|it| Violation {
                            field: it.field.clone(),
                            description: it.description.clone(),
                        })
                        .collect()
                })
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

impl CallFailure {
    /// The gRPC code; what was no status is mapped as every gRPC-web client maps it.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Http { status, .. } => match status.as_u16() {
                400 => Code::Internal,
                401 => Code::Unauthenticated,
                403 => Code::PermissionDenied,
                404 => Code::Unimplemented,
                // The gateway's own limit, where the service answers INVALID_ARGUMENT.
                413 => Code::InvalidArgument,
                429 | 502..=504 => Code::Unavailable,
                _ => Code::Unknown,
            },
            Self::Connect { .. } | Self::Transport { .. } => Code::Unavailable,
            Self::Timeout(_) => Code::DeadlineExceeded,
            Self::Malformed(_) => Code::Internal,
            Self::TooLarge(_) => Code::ResourceExhausted,
            Self::Token(_) => Code::Unauthenticated,
            Self::Request(_) => Code::InvalidArgument,
        }
    }

    /// How long to wait before repeating the call, if the service says.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// What this one attempt may have done.
    pub(crate) fn outcome(&self) -> Outcome {
        let not_done = match self {
            Self::Refused(refusal) => matches!(
                refusal.code,
                Code::InvalidArgument
                    | Code::NotFound
                    | Code::AlreadyExists
                    | Code::PermissionDenied
                    | Code::ResourceExhausted
                    | Code::FailedPrecondition
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unimplemented
                    | Code::Unauthenticated
            ),
            // A gateway refuses before it calls; only 408 says that it gave up on a call.
            Self::Http { status, .. } => status.is_client_error() && *status != StatusCode::REQUEST_TIMEOUT,
            Self::Connect { .. } | Self::Token(_) | Self::Request(_) => true,
            Self::Transport { .. } | Self::Timeout(_) | Self::Malformed(_) | Self::TooLarge(_) => false,
        };
        if not_done { Outcome::NotDone } else { Outcome::Unknown }
    }

    /// Whether another attempt may fare better.
    pub(crate) fn is_transient(&self) -> bool {
        self.code() == Code::Unavailable
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} failed: {}", self.rpc, self.failure)
    }
}

impl Error for CallError {
    /// What is behind the failure, whose own text is already part of this error's.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}

impl CallError {
    pub(crate) fn new(rpc: &'static str, failure: CallFailure, attempt_lost: bool) -> Self {
        Self {
            rpc,
            failure,
            attempt_lost,
        }
    }

    /// The same failure, of a call that had been attempted before.
    pub(crate) fn after_lost_attempt(self, attempt_lost: bool) -> Self {
        Self {
            attempt_lost: self.attempt_lost | attempt_lost,
            ..self
        }
    }

    /// Whether another attempt may fare better.
    pub(crate) fn is_transient(&self) -> bool {
        self.failure.is_transient()
    }

    /// What went wrong in the last attempt.
    pub fn failure(&self) -> &CallFailure {
        &self.failure
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.failure.code()
    }

    /// What is wrong, for a program: a constant in `UPPER_SNAKE_CASE`.
    pub fn reason(&self) -> Option<&str> {
        match &self.failure {
            CallFailure::Refused(refusal) => refusal.reason.as_deref(),
            _ => None,
        }
    }

    /// The fields that were refused.
    pub fn violations(&self) -> &[Violation] {
        match &self.failure {
            CallFailure::Refused(refusal) => &refusal.violations,
            _ => &[],
        }
    }

    /// How long to wait before repeating the call, if the service says (`RetryInfo`).
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after()
    }

    /// What the call, with all its attempts, may have done. A refusal after a lost attempt leaves that attempt open.
    pub fn outcome(&self) -> Outcome {
        if self.attempt_lost {
            Outcome::Unknown
        } else {
            self.failure.outcome()
        }
    }
}
