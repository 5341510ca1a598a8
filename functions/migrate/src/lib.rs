//! Brings the databases to the schema of this version. A deployment runs it before traffic reaches new functions; every
//! migration must therefore leave the functions of the version before working.

use std::error::Error;
use std::time::Instant;

use chat_runtime::{EventError, EventHandler, Function, Settings, SettingsError, Trigger};
use chat_stores::mongo::Timeline;
use chat_stores::postgres;
use serde::Serialize;
use serde::de::IgnoredAny;
use tokio::time::timeout_at;

/// The Lambda functions of this crate.
pub const FUNCTIONS: &[Function] = &[Function::event::<Migrate>("migrate", Trigger::Deployment)];

/// The function `migrate`.
#[derive(Debug)]
pub struct Migrate {
    settings: Settings,
    timeline: Timeline,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Migrated {
    /// Always true: a migration that does not get this far fails the function, and with it the deployment.
    migrated: bool,
}

impl EventHandler for Migrate {
    type Event = IgnoredAny;
    type Answer = Migrated;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            settings: settings.clone(),
            timeline: Timeline::new(settings)?,
        })
    }

    async fn call(&self, _event: IgnoredAny, deadline: Instant) -> Result<Migrated, EventError> {
        let migrate = async {
            postgres::migrate(&self.settings).await.map_err(|error| chain(&error))?;
            self.timeline.create_indexes().await.map_err(|error| chain(&error))
        };
        match timeout_at(deadline.into(), migrate).await {
            Ok(migrated) => migrated.map(|()| Migrated { migrated: true }),
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
