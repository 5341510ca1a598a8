//! Pages: how many entries, and where to go on.

use chrono::{DateTime, Utc};

use crate::{ConversationId, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PAGE_TOKEN_BYTES_MAX, UserId, Violation};

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

/// Where a list of conversations, pinned ones first, then newest activity first, goes on: below this time and, at the same time,
/// below this id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConversationsToken {
    /// Whether the last conversation on the page before was a pinned one, so that others may follow.
    pub pinned: bool,
    /// When something was last said in the last conversation on the page before.
    pub time: DateTime<Utc>,
    /// The last conversation on the page before.
    pub conversation: ConversationId,
}

impl ConversationsToken {
    /// Reads a token as a client sent it; empty means the start.
    pub fn parse(value: &str) -> Result<Option<Self>, Violation> {
        let Some(value) = token(value)? else { return Ok(None) };
        let (pinned, place) = value.strip_prefix("p.").map_or((false, value), |place| (true, place));
        let (time, conversation) = place.split_once('.').ok_or_else(foreign_token)?;
        // The database knows no times long before our era, and no page ends before 1970.
        let micros = time
            .parse()
            .ok()
            .filter(|micros| *micros >= 0)
            .ok_or_else(foreign_token)?;
        let token = Self {
            pinned,
            time: DateTime::from_timestamp_micros(micros).ok_or_else(foreign_token)?,
            conversation: conversation.parse().map_err(|_| foreign_token())?,
        };
        // In the one form that is handed out.
        if token.to_string() == value {
            Ok(Some(token))
        } else {
            Err(foreign_token())
        }
    }
}

impl std::fmt::Display for ConversationsToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pinned = if self.pinned { "p." } else { "" };
        write!(
            formatter,
            "{pinned}{}.{}",
            self.time.timestamp_micros(),
            self.conversation
        )
    }
}

/// Where a list of users by id goes on: above this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsersToken {
    /// The last user on the page before.
    pub user: UserId,
}

impl UsersToken {
    /// Reads a token as a client sent it; empty means the start.
    pub fn parse(value: &str) -> Result<Option<Self>, Violation> {
        let Some(value) = token(value)? else { return Ok(None) };
        let user = value.strip_prefix("u.").ok_or_else(foreign_token)?;
        Ok(Some(Self {
            user: user.parse().map_err(|_| foreign_token())?,
        }))
    }
}

impl std::fmt::Display for UsersToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "u.{}", self.user)
    }
}

/// A token that is not empty and not too long to be one of ours.
fn token(value: &str) -> Result<Option<&str>, Violation> {
    if value.len() > PAGE_TOKEN_BYTES_MAX {
        return Err(foreign_token());
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn foreign_token() -> Violation {
    Violation::new("is not a page token that this RPC handed out")
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
    fn page_tokens_survive_the_round_trip() {
        for pinned in [false, true] {
            let token = ConversationsToken {
                pinned,
                time: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
                conversation: ConversationId::generate(),
            };
            assert_eq!(ConversationsToken::parse(&token.to_string()), Ok(Some(token)));
        }
        assert_eq!(ConversationsToken::parse(""), Ok(None));
        let token = UsersToken {
            user: "auth0|a.b".parse().unwrap(),
        };
        assert_eq!(UsersToken::parse(&token.to_string()), Ok(Some(token)));
        assert_eq!(UsersToken::parse(""), Ok(None));
    }

    #[test]
    fn a_foreign_page_token_is_refused() {
        let id = ConversationId::generate();
        for bad in [
            format!("-1.{id}"),
            "x".into(),
            "1".into(),
            "1.".into(),
            format!(".{id}"),
            format!("9999999999999999999.{id}"),
            format!("9223372036854775807.{id}"),
            format!("+1.{id}"),
            format!("01.{id}"),
            format!("1.{}", id.to_string().to_uppercase()),
            format!("p.p.1.{id}"),
            format!("P.1.{id}"),
            "p.".into(),
            "u.alice".into(),
            "1.\u{e9}".into(),
            "1".repeat(513),
        ] {
            assert!(ConversationsToken::parse(&bad).is_err(), "{bad:?}");
        }
        for bad in [
            "u.",
            "u",
            "alice",
            "u.a b",
            "u.\u{e9}",
            &format!("1.{id}"),
            &"u".repeat(513),
        ] {
            assert!(UsersToken::parse(bad).is_err(), "{bad:?}");
        }
    }
}
