//! The key under which contents are hashed.

use chat_operation::{FromSettings, Settings, SettingsError};

const NAME: &str = "CONTENT_KEY";
const EXPECTED: &str = "at least 32 random bytes in base64, the same for all functions and for ever";

/// The key in `CONTENT_KEY`.
#[derive(Debug)]
pub(crate) struct ContentKey(pub(crate) chat_domain::ContentKey);

impl FromSettings for ContentKey {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let key = settings.require_base64(NAME, EXPECTED)?;
        let key = chat_domain::ContentKey::new(&key).map_err(|problem| SettingsError::Invalid {
            name: NAME,
            expected: EXPECTED,
            problem: format!("it {problem}"),
        })?;
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_is_a_bad_setting_and_never_shown() {
        for (bad, problem) in [
            ("", "CONTENT_KEY is not set; set it to at least 32 random bytes"),
            ("secret!", "it is not base64"),
            ("c2VjcmV0", "it has 6 bytes; at least 32 are needed"),
        ] {
            let error = ContentKey::from_settings(&Settings::default().with(NAME, bad))
                .unwrap_err()
                .to_string();
            assert!(error.contains(problem), "{error}");
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
