//! Lambda speaks of deadlines on the wall clock; everything here waits on the monotonic one.

use std::time::{Duration, Instant, SystemTime};

/// What is kept back of an invocation's time, so that an answer made at the last moment still gets out.
pub(crate) const DEADLINE_MARGIN: Duration = Duration::from_millis(200);

/// No invocation of Lambda is longer; a deadline beyond it is cut, lest a wrong clock overflow.
const INVOCATION_MAX: Duration = Duration::from_mins(15);

/// The instant by which work has to end for this deadline, in milliseconds since 1970, as Lambda hands it out.
pub(crate) fn work_deadline(deadline_ms: u64) -> Instant {
    let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline_ms);
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.saturating_sub(DEADLINE_MARGIN).min(INVOCATION_MAX)
}

/// A deadline as Lambda would hand it out.
pub(crate) fn epoch_ms(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    let since_epoch = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from((since_epoch + left).as_millis()).unwrap_or(u64::MAX)
}
