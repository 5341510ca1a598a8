//! The only look at the clock in this crate: everything else is told the time.

use chrono::{DateTime, Utc};

#[expect(
    clippy::disallowed_methods,
    reason = "tickets and leases are compared with the time of the call"
)]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
