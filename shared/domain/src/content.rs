//! What people write: message texts, names and pictures.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    AVATAR_URL_BYTES_MAX, ClientMessageId, DISPLAY_NAME_CHARS_MAX, EXCERPT_CHARS_MAX, MESSAGE_TEXT_CHARS_MAX,
    MessageId, Violation,
};

/// Reads 1 to `chars_max` characters that are not blank and have no control characters but those of `allowed`.
fn text(value: &str, chars_max: usize, allowed: &[char]) -> Result<String, Violation> {
    // A text over four bytes a character is too long whatever it holds; it need not be walked.
    let chars = if value.len() > chars_max * 4 {
        value.len()
    } else {
        value.chars().count()
    };
    if chars > chars_max {
        return Err(Violation::new(format!(
            "is too long; at most {chars_max} characters are allowed"
        )));
    }
    if let Some(control) = value.chars().find(|char| char.is_control() && !allowed.contains(char)) {
        return Err(Violation::new(format!(
            "has the control character U+{:04X}, which is not allowed",
            u32::from(control)
        )));
    }
    if value.trim().is_empty() {
        return Err(Violation::new("must not be empty or blank"));
    }
    Ok(value.to_owned())
}

/// The text of a message: 1 to 4,000 characters, not blank, no control characters but tab and line breaks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageText(String);

impl MessageText {
    /// Reads a text as a client sent it. It is kept as it is, never trimmed.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        text(value, MESSAGE_TEXT_CHARS_MAX, &['\t', '\n', '\r']).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How others call a user: 1 to 64 characters, not blank, no control characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a name as a client sent it.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        text(value, DISPLAY_NAME_CHARS_MAX, &[]).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user's picture: an https URL of at most 512 bytes, or none, which is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AvatarUrl(String);

impl AvatarUrl {
    /// Reads a URL as a client sent it.
    ///
    /// Other schemes are refused since clients put it into pages; the rest of its syntax is the browser's to judge.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        if value.len() > AVATAR_URL_BYTES_MAX {
            return Err(Violation::new(format!(
                "has {} bytes; at most {AVATAR_URL_BYTES_MAX} are allowed",
                value.len()
            )));
        }
        let host = value
            .strip_prefix("https://")
            .ok_or_else(|| Violation::new("must start with https://"))?;
        let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>`\\".contains(&byte);
        if host.is_empty() || host.starts_with('/') || !value.bytes().all(is_fine) {
            return Err(Violation::new(
                "must be an https URL of visible ASCII characters, without quotes and angle brackets, with a host",
            ));
        }
        Ok(Self(value.to_owned()))
    }

    /// The URL, or an empty string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first characters of a text, on one line, for replies and lists.
pub fn excerpt(text: &str) -> String {
    text.chars()
        .take(EXCERPT_CHARS_MAX)
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// The key under which contents are hashed: a plain hash of "yes" would tell that it was said long after it was deleted.
#[derive(Clone)]
pub struct ContentKey(Hmac<Sha256>);

impl ContentKey {
    /// Bytes of a key, at least.
    pub const BYTES_MIN: usize = 32;

    /// Reads a key of at least 32 bytes.
    pub fn new(key: &[u8]) -> Result<Self, Violation> {
        if key.len() < Self::BYTES_MIN {
            return Err(Violation::new(format!(
                "has {} bytes; at least {} are needed",
                key.len(),
                Self::BYTES_MIN
            )));
        }
        Hmac::new_from_slice(key)
            .map(Self)
            .map_err(|error| Violation::new(error.to_string()))
    }

    /// What makes two sends with one client message id the same send: a hash over the content.
    pub fn hash_content(&self, text: &MessageText, reply_to: Option<MessageId>) -> [u8; 32] {
        // The id has a fixed length and comes first, so no two contents run into the same bytes.
        let reply_to = reply_to.map_or([0; 16], |message| *message.uuid().as_bytes());
        self.hash(&[&reply_to, text.as_str().as_bytes()])
    }

    /// A hash of an operation's id, by which a sender's newest operations are remembered.
    pub fn hash_operation(&self, op: &ClientMessageId) -> [u8; 32] {
        self.hash(&[op.as_str().as_bytes()])
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// Never shows the key.
impl std::fmt::Debug for ContentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ContentKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_1_to_4000_characters_whatever_their_bytes() {
        for good in [
            "x",
            "two\nlines\twith\r\nbreaks",
            &"x".repeat(4_000),
            &"🦀".repeat(4_000),
        ] {
            assert_eq!(
                MessageText::parse(good).map(|text| text.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            " \n\t ",
            "\u{3000}",
            "a\u{0}b",
            "a\u{1b}[31m",
            "a\u{7f}",
            "a\u{85}",
            &"x".repeat(4_001),
            &"🦀".repeat(4_001),
        ] {
            assert!(MessageText::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refused_control_character_is_named() {
        let violation = MessageText::parse("a\u{0}").unwrap_err();
        assert_eq!(
            violation.to_string(),
            "has the control character U+0000, which is not allowed"
        );
    }

    #[test]
    fn a_display_name_is_one_line() {
        assert!(DisplayName::parse("Alice ☀").is_ok());
        assert!(DisplayName::parse("Alice\nBob").is_err());
        assert!(DisplayName::parse(&"x".repeat(65)).is_err());
    }

    #[test]
    fn an_avatar_is_an_https_url_or_nothing() {
        for good in ["", "https://example.com/a.png"] {
            assert_eq!(
                AvatarUrl::parse(good).map(|url| url.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "http://example.com",
            "javascript:alert(1)",
            "https://",
            "https:///x",
            "https://a b",
            "https://a\n",
            "https://a\"><script>",
        ] {
            assert!(AvatarUrl::parse(bad).is_err(), "{bad:?}");
        }
        assert!(AvatarUrl::parse(&format!("https://{}", "x".repeat(512))).is_err());
    }

    #[test]
    fn an_excerpt_is_cut_by_characters_and_has_one_line() {
        assert_eq!(excerpt("a\nb"), "a b");
        assert_eq!(excerpt(&"🦀".repeat(200)).chars().count(), 140);
    }

    #[test]
    fn the_content_hash_tells_text_and_reply_apart_and_depends_on_the_key() {
        let text = |value| MessageText::parse(value).unwrap();
        let key = ContentKey::new(&[7; 32]).unwrap();
        let message = MessageId::generate();
        assert_eq!(key.hash_content(&text("a"), None), key.hash_content(&text("a"), None));
        assert_ne!(key.hash_content(&text("a"), None), key.hash_content(&text("b"), None));
        assert_ne!(
            key.hash_content(&text("a"), None),
            key.hash_content(&text("a"), Some(message))
        );
        let other = ContentKey::new(&[8; 32]).unwrap();
        assert_ne!(key.hash_content(&text("a"), None), other.hash_content(&text("a"), None));
        let op = |id: &str| id.parse::<ClientMessageId>().unwrap();
        assert_eq!(key.hash_operation(&op("k")), key.hash_operation(&op("k")));
        assert_ne!(key.hash_operation(&op("k")), key.hash_operation(&op("l")));
    }

    #[test]
    fn a_short_key_is_refused_and_no_key_is_shown() {
        let violation = ContentKey::new(&[7; 31]).unwrap_err();
        assert_eq!(violation.to_string(), "has 31 bytes; at least 32 are needed");
        assert_eq!(format!("{:?}", ContentKey::new(&[7; 32]).unwrap()), "ContentKey { .. }");
    }
}
