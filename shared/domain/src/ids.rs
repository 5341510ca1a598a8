//! Typed ids.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{CLIENT_MESSAGE_ID_BYTES_MAX, USER_ID_BYTES_MAX, Violation};

/// Reads 1 to `bytes_max` visible ASCII characters.
fn visible_ascii(value: &str, bytes_max: usize) -> Result<String, Violation> {
    if value.is_empty() {
        Err(Violation::new("must not be empty"))
    } else if value.len() > bytes_max {
        Err(Violation::new(format!(
            "has {} bytes; at most {bytes_max} are allowed",
            value.len()
        )))
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(Violation::new("may only have visible ASCII characters, without spaces"))
    } else {
        Ok(value.to_owned())
    }
}

macro_rules! ascii_id {
    ($(#[$doc:meta])+ $name:ident, $bytes_max:expr) => {
        $(#[$doc])+
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Violation;

            fn from_str(value: &str) -> Result<Self, Violation> {
                visible_ascii(value, $bytes_max).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

ascii_id! {
    /// A user: the subject of their token, 1 to 128 visible ASCII characters.
    UserId, USER_ID_BYTES_MAX
}

ascii_id! {
    /// The id that a sender chose for a message, unique for ever per conversation and sender: 1 to 64 visible ASCII
    /// characters.
    ClientMessageId, CLIENT_MESSAGE_ID_BYTES_MAX
}

ascii_id! {
    /// The id that a caller chose for a change of a group, unique for ever per group and caller: 1 to 64 visible ASCII
    /// characters.
    RequestId, CLIENT_MESSAGE_ID_BYTES_MAX
}

impl RequestId {
    /// A hash of the id, by which a member's newest operations are remembered. Those of messages are hashed under a key, so
    /// the two never meet.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.as_str()).into()
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh id, ordered by the time of its making.
            #[expect(clippy::disallowed_methods, reason = "this is where ids are made")]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a UUID.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(value: Uuid) -> Self {
                Self(value)
            }
        }

        impl FromStr for $name {
            type Err = Violation;

            /// Takes the hyphenated form only, in either case, so that an id has one spelling in logs and caches.
            fn from_str(value: &str) -> Result<Self, Violation> {
                if value.is_empty() {
                    return Err(Violation::new("must not be empty"));
                }
                match Uuid::try_parse(value) {
                    Ok(uuid) if value.len() == uuid::fmt::Hyphenated::LENGTH => Ok(Self(uuid)),
                    _ => Err(Violation::new("must be a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

uuid_id! {
    /// A conversation.
    ConversationId
}

uuid_id! {
    /// A message.
    MessageId
}

uuid_id! {
    /// An invite into a group.
    InviteId
}

/// What a link into a group carries: whoever has it may join. 16 random bytes, as 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct InviteToken([u8; 16]);

impl InviteToken {
    /// The token of these bytes, which were random when it was made.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for InviteToken {
    type Err = Violation;

    fn from_str(value: &str) -> Result<Self, Violation> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match Uuid::try_parse(value) {
            Ok(bytes) if value.len() == uuid::fmt::Simple::LENGTH && value.bytes().all(is_digit) => {
                Ok(Self(bytes.into_bytes()))
            }
            _ => Err(Violation::new(
                "must be the token of an invite: 32 of the digits 0 to 9 and the letters a to f",
            )),
        }
    }
}

impl fmt::Display for InviteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).simple().fmt(formatter)
    }
}

/// Never shows it: it is a secret.
impl fmt::Debug for InviteToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("InviteToken").finish_non_exhaustive()
    }
}

impl MessageId {
    /// The id of the message in a place: whoever knows the place knows the id, and reads the message by its primary key. The
    /// time comes first, so that the ids of all conversations grow together.
    ///
    /// `allocated_at` counts in whole milliseconds.
    pub fn at(conversation: ConversationId, seq: i64, allocated_at: DateTime<Utc>) -> Self {
        let digest = Sha256::new()
            .chain_update(conversation.uuid().as_bytes())
            .chain_update(seq.to_be_bytes())
            .finalize();
        let random = digest.first_chunk::<10>().copied().unwrap_or_default();
        let millis = u64::try_from(allocated_at.timestamp_millis()).unwrap_or_default();
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_visible_ascii_of_bounded_length() {
        for good in ["alice", "auth0|5f7c8ec7c33c6c004bbafe82", &"x".repeat(128)] {
            assert_eq!(good.parse::<UserId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a\n", "ålice", "\u{0}", &"x".repeat(129)] {
            assert!(bad.parse::<UserId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_invites_token_has_one_spelling_and_is_never_shown_in_debug() {
        let token = InviteToken::from_bytes([0xab; 16]);
        let spelled = "ab".repeat(16);
        assert_eq!(token.to_string(), spelled);
        assert_eq!(spelled.parse::<InviteToken>(), Ok(token));
        assert!(!format!("{token:?}").contains("ab"));
        let hyphenated = "abababab-abab-abab-abab-abababababab";
        for bad in [
            "",
            &"AB".repeat(16),
            &"ab".repeat(15),
            &"zz".repeat(16),
            hyphenated,
            &"é".repeat(16),
        ] {
            assert!(bad.parse::<InviteToken>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_client_message_id_has_at_most_64_bytes() {
        assert!("x".repeat(64).parse::<ClientMessageId>().is_ok());
        assert!("x".repeat(65).parse::<ClientMessageId>().is_err());
    }

    #[test]
    fn a_uuid_id_has_the_hyphenated_form_only() {
        let id = ConversationId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        for bad in [
            "",
            "x",
            &id.uuid().simple().to_string(),
            &format!("{{{id}}}"),
            &format!("urn:uuid:{id}"),
        ] {
            assert!(bad.parse::<ConversationId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_sort_by_their_making() {
        let ids: Vec<_> = (0..100).map(|_| ConversationId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_message_has_its_id_from_its_place() {
        let conversation = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        let id = MessageId::at(conversation, 7, at(1_700_000_000_000));
        // Fixed for ever: lists find what earlier versions wrote.
        assert_eq!(id.to_string(), "018bcfe5-6800-795d-945c-7f59514cebbf");
        assert_eq!(id, MessageId::at(conversation, 7, at(1_700_000_000_000)));
        assert_eq!(id.uuid().get_version_num(), 7);
        let others = [
            MessageId::at(conversation, 8, at(1_700_000_000_000)),
            MessageId::at(conversation, 7, at(1_700_000_000_001)),
            MessageId::at(ConversationId::generate(), 7, at(1_700_000_000_000)),
        ];
        assert!(!others.contains(&id));
        assert!(id < others[1]);
    }
}
