//! What the gateway says of a call: whose it is, and until when it may go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chat_operation::{Caller, Failure};
use chrono::{DateTime, Utc};

/// How long a call may take when nobody said: the longest that the HTTP API waits for a function.
const CALL_DURATION_MAX: Duration = Duration::from_secs(30);

/// Request extension: the claims of the token that the gateway verified, by name. API Gateway hands all of them out as
/// text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Claims(pub BTreeMap<String, String>);

/// Request extension: when the call must have ended, whatever the client said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadline(pub Instant);

/// The caller that these claims name.
pub(crate) fn caller(claims: &Claims) -> Result<Caller, Failure> {
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
    Ok(Caller { user, token_expires_at })
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

/// When a call that arrived now ends, whatever the client says.
pub(crate) fn end_of_call(now: tokio::time::Instant, given: Option<Deadline>) -> tokio::time::Instant {
    let own = now + CALL_DURATION_MAX;
    given.map_or(own, |Deadline(given)| own.min(given.into()))
}
