//! Who calls, and until when the call may go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chat_domain::{UserId, Violation};
use chrono::{DateTime, Utc};

use crate::Failure;

/// How long a call may take when nobody said: the longest that the HTTP API waits for a function.
const CALL_DURATION_MAX: Duration = Duration::from_secs(30);

/// Request extension: the claims of the token that the gateway verified, by name. API Gateway hands all of them out as
/// text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims(pub BTreeMap<String, String>);

/// Request extension: when the call must have ended, whatever the client said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline(pub Instant);

/// A user, as their verified token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The token's subject.
    pub user: UserId,
    /// When the token ends; none when it does not say.
    pub token_expires_at: Option<DateTime<Utc>>,
}

impl Caller {
    /// The caller that these claims name.
    pub(crate) fn from_claims(claims: &Claims) -> Result<Self, Failure> {
        let subject = claims
            .0
            .get("sub")
            .ok_or_else(|| Failure::unauthenticated("TOKEN_SUBJECT_MISSING", "the token has no subject (claim sub)"))?;
        let user = subject.parse().map_err(|violation| {
            Failure::unauthenticated(
                "TOKEN_SUBJECT_INVALID",
                format!("the token's subject (claim sub) {violation}"),
            )
        })?;
        let token_expires_at = claims.0.get("exp").and_then(|seconds| numeric_date(seconds));
        Ok(Self { user, token_expires_at })
    }

    /// Reads the id of another user: anyone but the caller.
    pub fn parse_other(&self, user_id: &str) -> Result<UserId, Violation> {
        let other: UserId = user_id.parse()?;
        if other == self.user {
            return Err(Violation::new("must name another user than yourself"));
        }
        Ok(other)
    }
}

/// Reads a claim in seconds since 1970, which an issuer may write as `1700000000`, `1700000000.5` or `1.7E9`.
fn numeric_date(seconds: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = seconds.parse() {
        return DateTime::from_timestamp(seconds, 0);
    }
    let seconds: f64 = seconds.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast saturates, and what is out of range is refused next"
    )]
    let seconds = seconds.floor() as i64;
    DateTime::from_timestamp(seconds, 0)
}

/// Who calls and until when the call may go on.
#[derive(Clone, Debug)]
pub struct CallContext {
    caller: Option<Caller>,
    deadline: Instant,
}

impl CallContext {
    /// The context of a call by `caller`, or by nobody in particular.
    pub fn new(caller: Option<Caller>, deadline: Instant) -> Self {
        Self { caller, deadline }
    }

    /// The context of a call by a user whose token does not end. For callers that are no gateway, such as tests.
    pub fn for_user(user: UserId, deadline: Instant) -> Self {
        Self::new(
            Some(Caller {
                user,
                token_expires_at: None,
            }),
            deadline,
        )
    }

    /// The user that calls; UNAUTHENTICATED when there is none.
    pub fn caller(&self) -> Result<&Caller, Failure> {
        self.caller.as_ref().ok_or_else(token_missing)
    }

    /// When the call is dropped, wherever it waits then: at the function's end less a margin, or when the gateway no longer
    /// waits. That is also a moment after the client no longer waits, unless the operation
    /// [`FINISHES`](crate::Operation::FINISHES).
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Refuses a call without a token.
pub(crate) fn token_missing() -> Failure {
    Failure::unauthenticated(
        "TOKEN_MISSING",
        "this call needs a token: send authorization: Bearer <token>",
    )
}

/// When a call that arrived now ends, whatever the client says.
pub(crate) fn end_of_call(now: tokio::time::Instant, given: Option<Deadline>) -> tokio::time::Instant {
    let own = now + CALL_DURATION_MAX;
    given.map_or(own, |Deadline(given)| own.min(given.into()))
}
