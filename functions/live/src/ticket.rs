//! Live tickets: what one says, how it is signed, and how it is checked.
//!
//! A ticket is base64url without padding of
//!
//! | Bytes | What |
//! |---|---|
//! | 1 | the version, 1 |
//! | 16 | the ticket's id |
//! | 8 | when it stops working, in Unix seconds, big endian |
//! | 8 | when the token that it was made for ends, likewise; 0 for a token that does not end |
//! | 1 – 128 | the user's id |
//! | 32 | HMAC-SHA256 over all of the above |
//!
//! so that it can be checked without a call to anyone. That it works only once is the registry's to see to.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_domain::UserId;
use chat_operation::{FromSettings, Settings, SettingsError};
use chat_stores::dynamo::TicketId;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Characters of a ticket, at most. The longest that is made has some 260.
const TICKET_CHARS_MAX: usize = 400;
/// The form of the tickets that are made.
const VERSION: u8 = 1;
/// Bytes of the key, at least: those of the signature, as RFC 2104 advises.
const KEY_BYTES_MIN: usize = 32;
/// Signed before the ticket itself, so that nothing that is ever signed with the same key can pass for a ticket.
const PURPOSE: &[u8] = b"chat.v1 live ticket\0";
/// Stands for a token that does not end.
const NEVER: i64 = 0;

/// What a ticket says. Times are kept to the second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ticket {
    /// Works once.
    pub(crate) id: TicketId,
    /// Who may connect with it.
    pub(crate) user: UserId,
    /// When it stops working.
    pub(crate) expires_at: DateTime<Utc>,
    /// When the token that it was made for ends, if it does.
    pub(crate) token_expires_at: Option<DateTime<Utc>>,
}

/// Signs tickets and checks them.
#[derive(Clone, Debug)]
pub(crate) struct TicketKey(Hmac<Sha256>);

/// The key in `TICKET_KEY`.
impl FromSettings for TicketKey {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        const NAME: &str = "TICKET_KEY";
        const EXPECTED: &str = "base64 of at least 32 random bytes";
        let invalid = |problem: String| SettingsError::Invalid {
            name: NAME,
            expected: EXPECTED,
            problem,
        };
        let key = settings.require_base64(NAME, EXPECTED)?;
        if key.len() < KEY_BYTES_MIN {
            return Err(invalid(format!("it has {} bytes", key.len())));
        }
        let mut mac = Hmac::new_from_slice(&key).map_err(|error| invalid(error.to_string()))?;
        mac.update(PURPOSE);
        Ok(Self(mac))
    }
}

impl TicketKey {
    /// The ticket in the form that travels.
    pub(crate) fn sign(&self, ticket: &Ticket) -> String {
        let token_expires_at = ticket.token_expires_at.map_or(NEVER, |end| end.timestamp());
        let mut bytes = vec![VERSION];
        bytes.extend(ticket.id.as_bytes());
        bytes.extend(ticket.expires_at.timestamp().to_be_bytes());
        bytes.extend(token_expires_at.to_be_bytes());
        bytes.extend(ticket.user.as_str().as_bytes());
        let signature = self.0.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a ticket says, if it was signed with this key and still works `now`. Why not is nobody's business.
    pub(crate) fn verify(&self, ticket: &str, now: DateTime<Utc>) -> Option<Ticket> {
        if ticket.len() > TICKET_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (body, signature) = bytes.split_last_chunk::<32>()?;
        // Compares in constant time.
        self.0.clone().chain_update(body).verify_slice(signature).ok()?;
        let ticket = read(body)?;
        let works = now < ticket.expires_at && ticket.token_expires_at.is_none_or(|end| now < end);
        works.then_some(ticket)
    }
}

fn read(body: &[u8]) -> Option<Ticket> {
    let (&[VERSION], rest) = body.split_first_chunk()? else {
        return None;
    };
    let (&id, rest) = rest.split_first_chunk::<16>()?;
    let (&expires_at, rest) = rest.split_first_chunk()?;
    let (&token_expires_at, user) = rest.split_first_chunk()?;
    let token_expires_at = match i64::from_be_bytes(token_expires_at) {
        NEVER => None,
        end => Some(DateTime::from_timestamp(end, 0)?),
    };
    Some(Ticket {
        id: id.into(),
        user: std::str::from_utf8(user).ok()?.parse().ok()?,
        expires_at: DateTime::from_timestamp(i64::from_be_bytes(expires_at), 0)?,
        token_expires_at,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use chat_domain::TICKET_LIFETIME;

    use base64::engine::general_purpose::STANDARD;

    use super::*;

    pub(crate) fn settings() -> Settings {
        let key = STANDARD.encode([7; 32]);
        [("TICKET_KEY".to_owned(), key)].into_iter().collect()
    }

    /// The same, and what a registry is built with.
    pub(crate) fn registry_settings() -> Settings {
        [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("LIVE_TABLE", "any"),
        ]
        .into_iter()
        .fold(settings(), |settings, (name, value)| settings.with(name, value))
    }

    pub(crate) fn key() -> TicketKey {
        TicketKey::from_settings(&settings()).unwrap()
    }

    /// The fixed present of these tests.
    pub(crate) fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    pub(crate) fn ticket() -> Ticket {
        Ticket {
            id: TicketId::generate(),
            user: "alice".parse().unwrap(),
            expires_at: now() + TICKET_LIFETIME,
            token_expires_at: Some(now() + Duration::from_hours(1)),
        }
    }

    /// The same bytes under the right signature, or what else the key signs.
    fn forge(body: &[u8]) -> String {
        let signature = key().0.chain_update(body).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([body, &signature].concat())
    }

    fn body(ticket: &Ticket) -> Vec<u8> {
        let mut bytes = URL_SAFE_NO_PAD.decode(key().sign(ticket)).unwrap();
        bytes.truncate(bytes.len() - 32);
        bytes
    }

    #[test]
    fn a_ticket_says_what_it_was_made_for() {
        let endless = Ticket {
            token_expires_at: None,
            ..ticket()
        };
        let longest = Ticket {
            user: "~".repeat(128).parse().unwrap(),
            ..ticket()
        };
        for ticket in [ticket(), endless, longest] {
            let signed = key().sign(&ticket);
            assert!(signed.len() <= TICKET_CHARS_MAX, "{}", signed.len());
            assert!(
                signed
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{signed}"
            );
            assert_eq!(key().verify(&signed, now()), Some(ticket));
        }
    }

    #[test]
    fn a_ticket_stops_working_to_the_second() {
        let ticket = ticket();
        let signed = key().sign(&ticket);
        let end = ticket.expires_at;
        assert_eq!(key().verify(&signed, end - Duration::from_millis(1)), Some(ticket));
        assert_eq!(key().verify(&signed, end), None);
    }

    #[test]
    fn a_ticket_does_not_outlive_its_token() {
        let end = now() + Duration::from_secs(5);
        let signed = key().sign(&Ticket {
            token_expires_at: Some(end),
            ..ticket()
        });
        assert!(key().verify(&signed, end - Duration::from_secs(1)).is_some());
        assert_eq!(key().verify(&signed, end), None);
    }

    #[test]
    fn a_forged_ticket_is_refused() {
        let signed = key().sign(&ticket());
        let bytes = URL_SAFE_NO_PAD.decode(&signed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key().verify(&URL_SAFE_NO_PAD.encode(forged), now()), None, "bit {bit}");
        }
        let other = settings().with("TICKET_KEY", STANDARD.encode([8; 32]));
        assert_eq!(TicketKey::from_settings(&other).unwrap().verify(&signed, now()), None);
        // A signature of the same bytes with the same key, but not of a ticket.
        let body = body(&ticket());
        let elsewhere = Hmac::<Sha256>::new_from_slice(&[7; 32])
            .unwrap()
            .chain_update(&body)
            .finalize()
            .into_bytes();
        assert_eq!(
            key().verify(&URL_SAFE_NO_PAD.encode([&body[..], &elsewhere].concat()), now()),
            None
        );
    }

    #[test]
    fn garbage_is_refused() {
        let signed = key().sign(&ticket());
        let spellings = [
            String::new(),
            "x".to_owned(),
            "ticket".to_owned(),
            "é".to_owned(),
            format!("{signed}="),
            format!("{signed}A"),
            format!(" {signed}"),
            signed[1..].to_owned(),
            signed[..signed.len() - 1].to_owned(),
            "A".repeat(TICKET_CHARS_MAX),
            "A".repeat(1_000_000),
            URL_SAFE_NO_PAD.encode([0; 32]),
        ];
        for spelling in spellings {
            assert_eq!(key().verify(&spelling, now()), None, "{spelling:.40}");
        }
    }

    #[test]
    fn what_is_signed_but_no_ticket_is_refused() {
        let good = body(&ticket());
        assert!(key().verify(&forge(&good), now()).is_some());
        let mut other_version = good.clone();
        other_version[0] = 2;
        let mut far_end = good.clone();
        far_end[17..25].copy_from_slice(&i64::MAX.to_be_bytes());
        let without_user = good[..33].to_vec();
        let bad_user = [&good[..33], b"a b"].concat();
        for body in [
            other_version,
            far_end,
            without_user,
            bad_user,
            good[..20].to_vec(),
            Vec::new(),
        ] {
            assert_eq!(key().verify(&forge(&body), now()), None, "{body:?}");
        }
    }

    #[test]
    fn a_bad_key_is_named_and_not_shown() {
        for (bad, problem) in [
            (
                "",
                "TICKET_KEY is not set; set it to base64 of at least 32 random bytes",
            ),
            (
                "secret!",
                "TICKET_KEY is not base64 of at least 32 random bytes: it is not base64",
            ),
            (
                "c2hvcnQ=",
                "TICKET_KEY is not base64 of at least 32 random bytes: it has 5 bytes",
            ),
        ] {
            let error = TicketKey::from_settings(&settings().with("TICKET_KEY", bad)).unwrap_err();
            assert_eq!(error.to_string(), problem);
        }
        assert!(!format!("{:?}", key()).contains('7'), "the key does not show");
    }
}
