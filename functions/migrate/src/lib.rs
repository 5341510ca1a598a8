//! Brings the databases to the schema of this version. A deployment runs it before traffic reaches new functions; every
//! migration must therefore leave the functions of the version before working.

use std::error::Error;
use std::time::Instant;

use chat_operation::{FromSettings, Settings, SettingsError};
use chat_runtime::{EventError, EventHandler, Function, Trigger};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::Migration;
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::time::timeout_at;

/// The Lambda functions of this crate.
pub const FUNCTIONS: &[Function] = &[Function::event::<Migrate>("migrate", Trigger::Deployment)];

/// The function `migrate`.
#[derive(Debug)]
pub struct Migrate {
    /// What is wrong with the settings is the answer: whoever deploys sees that, and not why an environment did not start.
    migration: Result<Migration, SettingsError>,
    timeline: Timeline,
}

impl FromSettings for Migrate {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            migration: Migration::from_settings(settings),
            timeline: Timeline::from_settings(settings)?,
        })
    }
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Migrated {
    /// Always true: a migration that does not get this far fails the function, and with it the deployment.
    migrated: bool,
    /// What whoever deploys should know, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl EventHandler for Migrate {
    type Event = IgnoredAny;
    type Answer = Migrated;

    async fn call(&self, _event: IgnoredAny, deadline: Instant) -> Result<Migrated, EventError> {
        let migrate = async {
            let migration = self.migration.as_ref().map_err(|error| chain(error))?;
            let notes = migration.run().await.map_err(|error| chain(&error))?;
            let indexed = self.timeline.create_indexes().await;
            indexed.map(|()| notes).map_err(|error| chain(&error))
        };
        match timeout_at(deadline.into(), migrate).await {
            Ok(migrated) => migrated.map(|notes| Migrated { migrated: true, notes }),
            Err(_) => Err(EventError::new(
                "the databases were not migrated in time; run migrate again",
            )),
        }
    }
}

/// An error with its causes, in one line: whoever deploys reads it.
fn chain(error: &dyn Error) -> EventError {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    EventError::new(line)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_testing::Fixture;

    use super::*;

    async fn migrate(settings: &Settings) -> Result<String, EventError> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let migrated = Migrate::from_settings(settings)
            .unwrap()
            .call(IgnoredAny, deadline)
            .await?;
        Ok(serde_json::to_string(&migrated).unwrap())
    }

    #[tokio::test]
    async fn it_answers_that_it_did_its_work_however_often_it_is_called() {
        let fixture = Fixture::new().await;
        for _ in 0..2 {
            assert_eq!(migrate(fixture.settings()).await.unwrap(), r#"{"migrated":true}"#);
        }
    }

    #[tokio::test]
    async fn one_user_for_all_works_and_is_said() {
        let fixture = Fixture::new().await;
        let owner = fixture.settings().get("DATABASE_URL").unwrap().to_owned();
        let settings = fixture
            .settings()
            .clone()
            .with("FUNCTIONS_DATABASE_URL", &owner)
            .with("HEALTH_DATABASE_URL", &owner);
        for _ in 0..2 {
            let answer = migrate(&settings).await.unwrap();
            for variable in ["FUNCTIONS_DATABASE_URL", "HEALTH_DATABASE_URL"] {
                let note = format!("{variable} names the user of DATABASE_URL, and has all of its rights");
                assert!(answer.contains(&note), "{answer}");
            }
        }
    }

    #[tokio::test]
    async fn a_missing_url_is_named() {
        let fixture = Fixture::new().await;
        for variable in ["DATABASE_URL", "FUNCTIONS_DATABASE_URL", "HEALTH_DATABASE_URL"] {
            let settings = fixture.settings().clone().with(variable, "");
            let error = migrate(&settings).await.unwrap_err().to_string();
            assert!(error.contains(&format!("{variable} is not set")), "{error}");
        }
    }
}
