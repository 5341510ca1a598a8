//! What a function needs to be told, under the names of its environment variables, and what it may do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The settings of a function: the environment on Lambda, a map elsewhere.
#[derive(Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
    /// Where it is noted what is asked for, when somebody wants to know.
    needs: Option<Arc<Mutex<Needs>>>,
}

/// What is made from settings: a client of a store, a key, or a struct of such, for which it is derived. No IO happens
/// here; clients connect at first use.
///
/// What it asks the settings for is what a function that has it is deployed with: nothing else says what a function needs.
pub trait FromSettings: Sized {
    /// Makes it, or says which setting is missing or wrong.
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError>;
}

/// What something that is made from settings asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// The names of settings, whether there was a value or not.
    pub settings: BTreeSet<&'static str>,
    /// What has to be allowed, each on what the setting of this name leads to.
    pub grants: BTreeSet<(&'static str, Grant)>,
}

/// An action that a client calls, in the terms of IAM.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Grant {
    /// Such as `dynamodb:UpdateItem`.
    pub action: &'static str,
    /// The part of the resource that it is called on, as its ARN goes on; empty for all of it.
    pub path: &'static str,
}

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
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

impl Grant {
    /// An action on all of a resource.
    pub const fn of(action: &'static str) -> Self {
        Self { action, path: "" }
    }
}

impl Settings {
    /// A setting, or an error that says what it should hold. `expected` reads on from "set it to".
    pub fn require(&self, name: &'static str, expected: &'static str) -> Result<&str, SettingsError> {
        self.get(name).ok_or(SettingsError::Missing { name, expected })
    }

    /// A setting that leads to something of AWS's, with what its client calls there.
    pub fn require_granted(
        &self,
        name: &'static str,
        expected: &'static str,
        grants: &[Grant],
    ) -> Result<&str, SettingsError> {
        self.note(|needs| needs.grants.extend(grants.iter().map(|grant| (name, *grant))));
        self.require(name, expected)
    }

    /// A setting that may be absent. An empty one counts as absent, as templates cannot leave a variable out.
    pub fn get(&self, name: &'static str) -> Option<&str> {
        self.note(|needs| {
            needs.settings.insert(name);
        });
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
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
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// What `make` asks these settings for, if they are enough for it.
    pub fn needs_of<T>(&self, make: impl FnOnce(&Self) -> Result<T, SettingsError>) -> Result<Needs, SettingsError> {
        let needs = Arc::<Mutex<Needs>>::default();
        make(&Self {
            values: self.values.clone(),
            needs: Some(Arc::clone(&needs)),
        })?;
        Ok(needs.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn note(&self, note: impl FnOnce(&mut Needs)) {
        if let Some(needs) = &self.needs {
            note(&mut needs.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl FromIterator<(String, String)> for Settings {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(settings: T) -> Self {
        Self {
            values: settings.into_iter().collect(),
            needs: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two things that are made from settings.
    #[derive(crate::FromSettings)]
    struct Both {
        table: Table,
        greeting: Greeting,
    }

    struct Table(String);

    struct Greeting(String);

    impl FromSettings for Table {
        fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
            let read = Grant::of("dynamodb:GetItem");
            Ok(Self(settings.require_granted("TABLE", "a table", &[read])?.to_owned()))
        }
    }

    impl FromSettings for Greeting {
        fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
            Ok(Self(settings.get("GREETING").unwrap_or("hello").to_owned()))
        }
    }

    #[test]
    fn a_struct_is_made_of_what_its_fields_make_of_the_settings() {
        let settings = Settings::default().with("TABLE", "people");
        let both = Both::from_settings(&settings).unwrap();
        assert_eq!((both.table.0.as_str(), both.greeting.0.as_str()), ("people", "hello"));
        let missing = Both::from_settings(&Settings::default()).err().unwrap();
        assert_eq!(missing.to_string(), "TABLE is not set; set it to a table");
    }

    #[test]
    fn what_is_asked_for_is_what_is_needed_optional_things_included() {
        let settings = Settings::default().with("TABLE", "people").with("OTHER", "unused");
        let needs = settings.needs_of(Both::from_settings).unwrap();
        assert_eq!(needs.settings, BTreeSet::from(["GREETING", "TABLE"]));
        let read = Grant::of("dynamodb:GetItem");
        assert_eq!(needs.grants, BTreeSet::from([("TABLE", read)]));
        assert!(settings.needs_of(|_| Ok(())).unwrap().settings.is_empty());
    }

    #[test]
    fn values_are_never_shown() {
        let settings = Settings::default().with("TABLE", "people");
        assert_eq!(format!("{settings:?}"), r#"{"TABLE"}"#);
    }
}
