//! How often something may happen, as one time value tells (GCRA, the generic cell rate algorithm).
//!
//! The value is when everything that happened will be paid off, in Unix milliseconds: each event costs one interval,
//! starting at the value or now, whichever is later. An event may happen while no more than a burst is owed.
//!
//! DynamoDB's expressions know no maximum, so the two cases are two writes: who owes nothing is the usual case and is
//! tried first.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// So many at once, then one an interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    burst: i64,
    interval_ms: i64,
}

impl Rate {
    /// `burst` at once, then one an `interval`, which is a number of whole milliseconds.
    pub(super) const fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst: burst as i64,
            interval_ms: interval.as_secs().cast_signed() * 1_000 + interval.subsec_millis() as i64,
        }
    }

    /// What each event adds to the value.
    pub(super) fn interval_ms(self) -> i64 {
        self.interval_ms
    }

    /// The value after an event `now` by someone who owed nothing.
    pub(super) fn first(self, now: DateTime<Utc>) -> i64 {
        now.timestamp_millis() + self.interval_ms
    }

    /// The greatest value at which another event may happen `now`.
    pub(super) fn limit(self, now: DateTime<Utc>) -> i64 {
        now.timestamp_millis() + (self.burst - 1) * self.interval_ms
    }

    /// A value above this was written by a clock that ran ahead, since nobody is let run up twice a burst: it would
    /// refuse for as long as that clock was wrong.
    pub(super) fn absurd(self, now: DateTime<Utc>) -> i64 {
        now.timestamp_millis() + 2 * self.burst * self.interval_ms
    }

    /// How long after `now` another event may happen; `None` if it may at once.
    pub(super) fn wait(self, value: i64, now: DateTime<Utc>) -> Option<Duration> {
        let wait_ms = value.saturating_sub(self.limit(now));
        u64::try_from(wait_ms)
            .ok()
            .filter(|wait_ms| *wait_ms > 0)
            .map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_an_interval() {
        let rate = Rate::new(3, Duration::from_secs(5));
        let mut value = rate.first(at(0));
        for _ in 1..3 {
            assert_eq!(rate.wait(value, at(0)), None);
            value += rate.interval_ms();
        }
        assert_eq!(rate.wait(value, at(0)), Some(Duration::from_secs(5)));
        assert_eq!(rate.wait(value, at(4)), Some(Duration::from_secs(1)));
        assert_eq!(rate.wait(value, at(5)), None);
        assert!(value <= rate.absurd(at(0)));
    }
}
