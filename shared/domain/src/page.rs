//! Pages: how many entries, and where to go on.

use chrono::{DateTime, Utc};

use crate::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_TOKEN_BYTES_MAX, Violation};

/// How many entries a page has at most: 1 to 100.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PageSize(u32);

impl PageSize {
    /// Reads a size as a client sent it: 0 means the default, large ones are clamped, negative ones refused.
    pub fn parse(value: i32) -> Result<Self, Violation> {
        match u32::try_from(value) {
            Err(_) => Err(Violation::new(format!("is {value}; it must not be negative"))),
            Ok(0) => Ok(Self(PAGE_SIZE_DEFAULT)),
            Ok(size) => Ok(Self(size.min(PAGE_SIZE_MAX))),
        }
    }

    /// How many rows to read for the page: one more than it has tells whether there are more.
    pub fn rows(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// The size as a number of entries.
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// Where a page sorted by time, newest first, goes on: below this time and, at the same time, below this key.
///
/// Its text form is opaque to clients but holds nothing secret: whoever forges one only chooses where their own list
/// starts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageToken {
    /// The time of the last entry on the page before.
    pub time: DateTime<Utc>,
    /// The key of the last entry on the page before.
    pub key: String,
}

impl PageToken {
    /// Reads a token as a client sent it; empty means the start.
    pub fn parse(value: &str) -> Result<Option<Self>, Violation> {
        if value.is_empty() {
            return Ok(None);
        }
        let refused = || Violation::new("is not a page token that this RPC handed out");
        if value.len() > PAGE_TOKEN_BYTES_MAX {
            return Err(refused());
        }
        let (time, key) = value.split_once('.').ok_or_else(refused)?;
        // The database knows no times long before our era, and no page ends before 1970.
        let micros = time.parse().ok().filter(|micros| *micros >= 0).ok_or_else(refused)?;
        let time = DateTime::from_timestamp_micros(micros).ok_or_else(refused)?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused());
        }
        Ok(Some(Self {
            time,
            key: key.to_owned(),
        }))
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.time.timestamp_micros(), self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_size_is_clamped_but_never_negative() {
        let size = |value| PageSize::parse(value).map(PageSize::get);
        assert_eq!(
            [size(0), size(1), size(100), size(101), size(i32::MAX)],
            [Ok(50), Ok(1), Ok(100), Ok(100), Ok(100)]
        );
        assert!(size(-1).is_err());
        assert!(size(i32::MIN).is_err());
    }

    #[test]
    fn a_page_token_survives_the_round_trip() {
        let token = PageToken {
            time: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            key: "a.b|c".into(),
        };
        assert_eq!(PageToken::parse(&token.to_string()), Ok(Some(token)));
        assert_eq!(PageToken::parse(""), Ok(None));
    }

    #[test]
    fn a_foreign_page_token_is_refused() {
        for bad in [
            "-1.a",
            "x",
            "1",
            "1.",
            ".a",
            "9999999999999999999.a",
            "9223372036854775807.a",
            "1.a b",
            "1.\u{e9}",
            &"1".repeat(513),
        ] {
            assert!(PageToken::parse(bad).is_err(), "{bad:?}");
        }
    }
}
