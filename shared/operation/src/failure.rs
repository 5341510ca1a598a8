//! What a client gets instead of an answer.

use std::collections::HashMap;
use std::time::Duration;

use chat_domain::Violation;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::Notice;

/// The domain of every reason: the package of the contract.
const DOMAIN: &str = "chat.v1";

/// Field violations that one refusal names, at most: a status travels in headers, of which gateways take some 10 KB.
pub const VIOLATIONS_MAX: usize = 16;

/// Bytes of a message, at most, for the same reason.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A refusal or failure, as the client gets it: a gRPC code, a reason to act on, and a message to read.
///
/// It never holds text of a database. Displayed, it is the message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    code: Code,
    reason: &'static str,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<FieldViolation>,
    // What few failures have is kept elsewhere: every call that can fail moves this struct.
    besides: Option<Box<Besides>>,
}

#[derive(Clone, Debug, Default)]
struct Besides {
    retry_after: Option<Duration>,
    notices: Vec<Notice>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])+ $name:ident => $code:ident;)+) => {
        $(
            $(#[$doc])+
            ///
            /// `reason` is a constant in `UPPER_SNAKE_CASE`, `message` one line for a person.
            pub fn $name(reason: &'static str, message: impl Into<String>) -> Self {
                Self::new(Code::$code, reason, message)
            }
        )+
    };
}

impl Failure {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self {
            code,
            reason,
            message,
            metadata: Vec::new(),
            violations: Vec::new(),
            besides: None,
        }
    }

    constructors! {
        /// The request can never be right, whatever the state. Fields are refused with [`Fields`].
        invalid_argument => InvalidArgument;
        /// There is no such thing, or the caller may not see it.
        not_found => NotFound;
        /// There is such a thing already, and it is another one.
        already_exists => AlreadyExists;
        /// The state does not allow it now; repeating alone does not help.
        failed_precondition => FailedPrecondition;
        /// Something else has changed it since the caller looked; look again and decide anew.
        aborted => Aborted;
        /// A limit is reached.
        resource_exhausted => ResourceExhausted;
        /// There is no token, or it names nobody.
        unauthenticated => Unauthenticated;
        /// The feature is not there.
        unimplemented => Unimplemented;
        /// Whether it happened is not known; repeat with the same id.
        unavailable => Unavailable;
        /// The time was up. Whether it happened is not known; repeat with the same id.
        deadline_exceeded => DeadlineExceeded;
        /// A defect of the service.
        internal => Internal;
    }

    /// The refusal of a call without a token.
    pub fn token_missing() -> Self {
        Self::unauthenticated(
            "TOKEN_MISSING",
            "this call needs a token: send authorization: Bearer <token>",
        )
    }

    /// The one `NOT_FOUND` both for a conversation that does not exist and for one that the caller may not see.
    pub fn conversation_not_found() -> Self {
        Self::not_found(
            "CONVERSATION_NOT_FOUND",
            "there is no such conversation, or you are not a member of it",
        )
    }

    /// The refusal of what the caller's role in a group does not allow.
    pub fn not_permitted() -> Self {
        Self::failed_precondition("NOT_PERMITTED", "your role in this group does not allow this")
    }

    /// The same failure with a fact for programs, such as a limit.
    #[must_use]
    pub fn with_metadata(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// The same failure with how long the caller should wait before repeating the call: an earlier repeat would fail too.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.besides.get_or_insert_default().retry_after = Some(retry_after);
        self
    }

    /// The same failure with one more notice: of what the call did all the same, and others are to be told.
    #[must_use]
    pub fn notify(mut self, notice: Notice) -> Self {
        self.besides.get_or_insert_default().notices.push(notice);
        self
    }

    /// What the call did all the same.
    pub fn notices(&self) -> &[Notice] {
        self.besides.as_ref().map_or(&[], |besides| &besides.notices)
    }

    /// The gRPC code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Why, as a constant in `UPPER_SNAKE_CASE`.
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// The fields at fault; empty unless the code is `INVALID_ARGUMENT`.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.violations
    }

    /// How long the caller should wait before repeating the call, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.besides.as_ref()?.retry_after
    }

    /// The failure as a status with `google.rpc.ErrorInfo`; for refused fields also `google.rpc.BadRequest`, and where a
    /// wait is known `google.rpc.RetryInfo`.
    pub fn into_status(self) -> Status {
        let metadata: HashMap<String, String> = self
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let mut details = ErrorDetails::with_error_info(self.reason, DOMAIN, metadata);
        if !self.violations.is_empty() {
            details.set_bad_request(self.violations);
        }
        if let Some(retry_after) = self.besides.and_then(|besides| besides.retry_after) {
            details.set_retry_info(Some(retry_after));
        }
        Status::with_error_details(self.code, self.message, details)
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.into_status()
    }
}

/// Collects what is wrong with a request's fields, so that the caller learns all of it at once.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// The value of a request's only field that can be wrong.
    pub fn only<T>(field: &'static str, value: Result<T, Violation>) -> Result<T, Failure> {
        let mut fields = Self::default();
        fields.take(field, value).ok_or_else(|| fields.refuse())
    }

    /// The value, or none and a note of the violation. `field` is the path in the request, such as `cursors.revision`.
    pub fn take<T>(&mut self, field: &'static str, value: Result<T, Violation>) -> Option<T> {
        value
            .map_err(|violation| self.violations.push(FieldViolation::new(field, violation.to_string())))
            .ok()
    }

    /// The value, when nothing was wrong; else the refusal of the request.
    pub fn accept<T>(self, value: T) -> Result<T, Failure> {
        if self.violations.is_empty() {
            Ok(value)
        } else {
            Err(self.refuse())
        }
    }

    /// The refusal of the request: it names the fields and their problems, the first [`VIOLATIONS_MAX`] of them.
    pub fn refuse(mut self) -> Failure {
        self.violations.truncate(VIOLATIONS_MAX);
        let problems: Vec<String> = self
            .violations
            .iter()
            .map(|violation| format!("{} {}", violation.field, violation.description))
            .collect();
        Failure {
            violations: self.violations,
            ..Failure::invalid_argument("INVALID_FIELDS", problems.join("; "))
        }
    }
}
