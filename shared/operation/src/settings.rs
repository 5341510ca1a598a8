//! What a function needs to be told, under the names of its environment variables.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The settings of a function: the environment on Lambda, a map elsewhere.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that is missing or of the wrong form. Its text never shows the value, which may be a secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingsError {
    /// It is not there, or empty.
    #[error("{name} is not set; set it to {expected}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// It is there but cannot be used.
    #[error("{name} is not {expected}: {problem}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong, without the value.
        problem: String,
    },
}

/// The names alone: values may be secrets.
impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Settings {
    /// A setting, or an error that says what it should hold. `expected` reads on from "set it to".
    pub fn require(&self, name: &'static str, expected: &'static str) -> Result<&str, SettingsError> {
        self.get(name).ok_or(SettingsError::Missing { name, expected })
    }

    /// A setting that may be absent. An empty one counts as absent, as templates cannot leave a variable out.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A setting that holds bytes in base64.
    pub fn require_base64(&self, name: &'static str, expected: &'static str) -> Result<Vec<u8>, SettingsError> {
        STANDARD
            .decode(self.require(name, expected)?)
            .map_err(|_| SettingsError::Invalid {
                name,
                expected,
                problem: "it is not base64".to_owned(),
            })
    }

    /// These settings with one more, or another value for it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(settings: T) -> Self {
        Self(settings.into_iter().collect())
    }
}
