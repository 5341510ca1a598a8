//! What people write: message texts, names and pictures.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::GraphemeCursor;
use url::Url;

use crate::{
    AVATAR_URL_BYTES_MAX, ClientMessageId, DISPLAY_NAME_CHARS_MAX, EXCERPT_CHARS_MAX, GROUP_DESCRIPTION_CHARS_MAX,
    GROUP_NAME_CHARS_MAX, MESSAGE_TEXT_CHARS_MAX, MessageId, Violation,
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
    if !value.chars().any(is_visible) {
        return Err(Violation::new("must not be empty or blank"));
    }
    Ok(value.to_owned())
}

/// Reads a name: a text on one line, with nothing that turns the direction of what stands beside it.
fn line(value: &str, chars_max: usize) -> Result<String, Violation> {
    const TURNING: [char; 11] = [
        '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
        '\u{2068}', '\u{2069}',
    ];
    if let Some(turning) = value.chars().find(|char| TURNING.contains(char)) {
        return Err(Violation::new(format!(
            "has the character U+{:04X}, which separates lines or turns their direction, and is not allowed in names",
            u32::from(turning)
        )));
    }
    text(value, chars_max, &[])
}

/// Letters, numbers, punctuation and symbols, but for those that show nothing: fillers of Hangul and empty Braille.
fn is_visible(char: char) -> bool {
    const BLANK: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];
    let shows = matches!(
        char.general_category_group(),
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    );
    shows && !BLANK.contains(&char)
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

/// How others call a user: 1 to 64 characters, not blank, no control characters, on one line, and nothing that turns the
/// direction of what stands beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a name as a client sent it.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        line(value, DISPLAY_NAME_CHARS_MAX).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a group is called: 1 to 100 characters on one line, as a display name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupName(String);

impl GroupName {
    /// Reads a name as a client sent it.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        line(value, GROUP_NAME_CHARS_MAX).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a group is about: at most 1,000 characters, or none, which is empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GroupDescription(String);

impl GroupDescription {
    /// Reads a description as a client sent it.
    pub fn parse(value: &str) -> Result<Self, Violation> {
        if value.is_empty() {
            return Ok(Self::default());
        }
        text(value, GROUP_DESCRIPTION_CHARS_MAX, &['\t', '\n', '\r']).map(Self)
    }

    /// The description, or an empty string.
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
        if !value
            .get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        {
            return Err(Violation::new("must start with https://"));
        }
        let is_fine = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>`\\".contains(&byte);
        // Browsers forgive more slashes; nobody else does.
        let has_host = value.get(8..).is_some_and(|rest| !rest.starts_with('/')) && Url::parse(value).is_ok();
        if !has_host || !value.bytes().all(is_fine) {
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

/// The first characters of a text, on one line, for replies and lists. Nothing that is read as one character is cut apart,
/// unless it alone is too long.
///
/// Of the text, what is needed are its first [`EXCERPT_CHARS_READ`](crate::EXCERPT_CHARS_READ) characters.
pub fn excerpt(text: &str) -> String {
    let end = match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        // Only the one that may be cut apart is looked at: telling characters apart costs more than all the rest of a list.
        Some((end, _)) => last_boundary(text, end).unwrap_or(end),
        None => text.len(),
    };
    let excerpt = text.get(..end).unwrap_or(text);
    excerpt.replace(char::is_control, " ")
}

/// The last place up to `end` that is between two things that are read as one character; None before the first.
fn last_boundary(text: &str, end: usize) -> Option<usize> {
    let mut cursor = GraphemeCursor::new(end, text.len(), true);
    // It is given the whole text, so it never asks for another piece.
    if cursor.is_boundary(text, 0) == Ok(true) {
        return Some(end);
    }
    let boundary = cursor.prev_boundary(text, 0).ok().flatten();
    boundary.filter(|boundary| *boundary > 0)
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
    use unicode_segmentation::UnicodeSegmentation;

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
    fn what_shows_nothing_is_blank() {
        for blank in [
            "\u{200b}",
            "\u{2800}",
            "\u{3164}\u{ffa0}",
            "\u{115f}\u{1160}",
            "\u{ad}",
            "\u{2060}\u{feff}",
            "\u{34f}\u{fe0f}",
            "\u{301}",
            "\u{e0061}",
            " \u{a0}\u{3000}\u{2003}",
            "\u{202e}",
        ] {
            assert!(MessageText::parse(blank).is_err(), "{blank:?}");
            assert!(DisplayName::parse(blank).is_err(), "{blank:?}");
        }
        for shown in [
            "a\u{200b}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{915}",
            "e\u{301}",
            ".",
            "\u{e001}x",
            "\u{1100}",
        ] {
            assert!(MessageText::parse(shown).is_ok(), "{shown:?}");
            assert!(DisplayName::parse(shown).is_ok(), "{shown:?}");
        }
    }

    #[test]
    fn a_name_turns_nobody_elses_text() {
        for turning in
            "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}".chars()
        {
            let violation = DisplayName::parse(&format!("Al{turning}ice")).unwrap_err().to_string();
            assert!(
                violation.contains(&format!("U+{:04X}", u32::from(turning))),
                "{violation}"
            );
            assert!(MessageText::parse(&format!("Al{turning}ice")).is_ok());
        }
        assert!(DisplayName::parse("\u{5d0}\u{5dc}\u{5d9}\u{5e1}").is_ok());
    }

    #[test]
    fn an_avatar_is_an_https_url_or_nothing() {
        for good in [
            "",
            "https://example.com/a.png",
            "HTTPS://example.com",
            "https://[::1]:8443/a?b#c",
        ] {
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
            "https://?",
            "https://#",
            "https://:80",
            "https://a:b",
            "https:example.com",
            "https:/example.com",
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
    fn an_excerpt_cuts_nothing_apart_that_is_read_as_one_character() {
        // Two code points each: after 139 there is no room for another one.
        let accents = format!("a{}", "e\u{301}".repeat(100));
        assert_eq!(excerpt(&accents), format!("a{}", "e\u{301}".repeat(69)));
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let text = format!("{}{family}", "x".repeat(137));
        assert_eq!(excerpt(&text), "x".repeat(137));
        // What is read of it tells as much as the whole.
        let read: String = text.chars().take(crate::EXCERPT_CHARS_READ).collect();
        assert_eq!(excerpt(&read), "x".repeat(137));
        let exact = format!("{}e\u{301}", "x".repeat(138));
        assert_eq!(excerpt(&format!("{exact}y")), exact);
        // One that is too long alone.
        let zalgo = format!("a{}", "\u{301}".repeat(200));
        assert_eq!(excerpt(&zalgo).chars().count(), 140);
    }

    /// What an excerpt is, said by taking the whole text apart.
    fn excerpt_by_all_graphemes(text: &str) -> String {
        let mut chars = 0;
        let whole = text.graphemes(true).take_while(|grapheme| {
            chars += grapheme.chars().count();
            chars <= EXCERPT_CHARS_MAX
        });
        let length = match whole.map(|grapheme| grapheme.chars().count()).sum() {
            0 => EXCERPT_CHARS_MAX,
            length => length,
        };
        let chars = text.chars().take(length);
        chars.map(|char| if char.is_control() { ' ' } else { char }).collect()
    }

    #[test]
    fn an_excerpt_ends_where_taking_the_whole_text_apart_ends_it() {
        let pieces = [
            "x",
            "\r\n",
            "e\u{301}",
            "\u{1f1e9}\u{1f1ea}",
            "\u{1f1e9}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{1f44d}\u{1f3fd}",
            "\u{1100}\u{1161}\u{11a8}",
            "\u{915}\u{94d}\u{937}",
            "\u{600}1",
        ];
        for last in pieces {
            for filler in pieces {
                for start in 0..EXCERPT_CHARS_MAX {
                    let text = format!("{}{}{}", "x".repeat(start), filler.repeat(3), last.repeat(80));
                    assert_eq!(excerpt(&text), excerpt_by_all_graphemes(&text), "{text:?}");
                }
            }
        }
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
