//! `google.protobuf.Timestamp`, as the contract's types hold it.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

/// A point in time: `google.protobuf.Timestamp`.
///
/// Our own, since the JSON mapping wants times that end with `Z` and `pbjson_types` writes an offset.
#[derive(Clone, Copy, Eq, Hash, PartialEq, prost::Message)]
pub struct Timestamp {
    /// Whole seconds since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after that, 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// A timestamp beyond the years 1 to 9999, or whose nanoseconds are no part of a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OutOfRange;

impl std::fmt::Display for OutOfRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the timestamp is out of range")
    }
}

impl std::error::Error for OutOfRange {}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        // A leap second is chrono's nanosecond 1,000,000,000 and above; protobuf has none, so it is cut to the last one.
        let nanos = time.timestamp_subsec_nanos().min(999_999_999);
        Self {
            seconds: time.timestamp(),
            nanos: i32::try_from(nanos).unwrap_or_default(),
        }
    }
}

impl TryFrom<Timestamp> for DateTime<Utc> {
    type Error = OutOfRange;

    fn try_from(timestamp: Timestamp) -> Result<Self, OutOfRange> {
        let nanos = u32::try_from(timestamp.nanos)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)
            .ok_or(OutOfRange)?;
        DateTime::from_timestamp(timestamp.seconds, nanos).ok_or(OutOfRange)
    }
}

impl Timestamp {
    /// Reads the mapping's form: RFC 3339 in capitals, in the years 1 to 9999.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        let is_capital = text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z');
        // Protobuf has no leap seconds.
        let is_leap = text.get(17..19) == Some("60");
        let time = DateTime::parse_from_rfc3339(text)
            .ok()
            .filter(|_| is_capital && !is_leap)?;
        let time = time.to_utc();
        (1..=9999).contains(&time.year()).then(|| time.into())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::<Utc>::try_from(*self).map_err(S::Error::custom)?;
        // Automatic digits: none, 3, 6 or 9, as the JSON mapping wants them.
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_ends_with_z_and_has_as_many_digits_as_needed() {
        for (nanos, json) in [
            (0, "\"2023-11-14T22:13:20Z\""),
            (120_000_000, "\"2023-11-14T22:13:20.120Z\""),
            (123_456_000, "\"2023-11-14T22:13:20.123456Z\""),
            (1, "\"2023-11-14T22:13:20.000000001Z\""),
        ] {
            let timestamp = Timestamp {
                seconds: 1_700_000_000,
                nanos,
            };
            assert_eq!(serde_json::to_string(&timestamp).unwrap(), json);
            assert_eq!(Timestamp::from_json(json.trim_matches('"')), Some(timestamp));
        }
        let offset = Timestamp::from_json("2023-11-15T00:13:20+02:00").unwrap();
        assert_eq!(
            offset,
            Timestamp {
                seconds: 1_700_000_000,
                nanos: 0
            }
        );
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for nanos in [-1, 1_000_000_000] {
            assert!(serde_json::to_string(&Timestamp { seconds: 0, nanos }).is_err());
        }
        assert!(
            serde_json::to_string(&Timestamp {
                seconds: i64::MAX,
                nanos: 0
            })
            .is_err()
        );
        for bad in [
            "yesterday",
            "2023-11-15t00:13:20Z",
            "2023-11-15T00:13:20z",
            "2023-11-15 00:13:20Z",
            "2023-11-15T00:13:60Z",
            "2023-11-15T00:13:20",
            "0000-11-15T00:13:20Z",
            "0001-01-01T00:00:00+01:00",
        ] {
            assert_eq!(Timestamp::from_json(bad), None, "{bad}");
        }
    }
}
