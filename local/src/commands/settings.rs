//! What the functions are told when they run here: the one place that puts their settings together.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_operation::Settings;
use chat_stores::postgres::role_url;
use chat_stores::sqs::LocalQueue;
use rand::Rng;

use super::error::CommandError;
use crate::stack::{Endpoints, StackError};

/// The registry of connections.
const LIVE_TABLE: &str = "chat-live";
/// The queue of what is for more members than a call names.
const DELIVERY_QUEUE: &str = "chat-deliveries";
/// The users of Postgres besides the owner, whom `DATABASE_URL` names: their settings, and the ends of their names.
const ROLES: [(&str, &str); 2] = [
    ("FUNCTIONS_DATABASE_URL", "functions"),
    ("HEALTH_DATABASE_URL", "health"),
];
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The settings of all functions, except for the addresses that only the gateway knows. Secrets that must outlive the process are kept in `folder`.
pub(super) fn settings(folder: &Path, endpoints: &Endpoints) -> Result<Settings, CommandError> {
    let from_environment = ["MONGODB_DATABASE", "AWS_SESSION_TOKEN"]
        .into_iter()
        .chain(ROLES.map(|(name, _)| name))
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let mut settings: Settings = endpoints
        .variables()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(from_environment)
        .collect();
    for (name, role) in ROLES {
        if settings.get(name).is_none() {
            let url = user_url(&endpoints.database_url, role)?;
            settings = settings.with(name, url);
        }
    }
    Ok(settings
        .with("LIVE_TABLE", LIVE_TABLE)
        .with(
            "DELIVERY_QUEUE_URL",
            LocalQueue::url(&endpoints.aws_endpoint_url, DELIVERY_QUEUE),
        )
        .with("TICKET_KEY", key(&folder.join("ticket.key"))?)
        .with("CONTENT_KEY", key(&folder.join("content.key"))?))
}

/// The URL of a user of the owner's database. Named after the database, since users belong to a whole server.
fn user_url(owner_url: &str, role: &str) -> Result<String, CommandError> {
    let fault = |source| CommandError::Settings {
        function: "migrate",
        source,
    };
    let database = owner_url.split(['?', '#']).next().unwrap_or_default();
    let database = database.rsplit('/').next().unwrap_or_default();
    role_url(owner_url, &format!("{database}_{role}")).map_err(fault)
}

/// The key in this file in base64, which is made, readable by its owner only, when it is not there.
fn key(path: &Path) -> Result<String, CommandError> {
    let mut bytes = [0_u8; KEY_BYTES];
    rand::rng().fill(&mut bytes);
    let key = STANDARD.encode(bytes);
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created.and_then(|mut file| file.write_all(key.as_bytes())) {
        Ok(()) => return Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(StackError::File {
                action: "create",
                path: path.to_owned(),
                source,
            }
            .into());
        }
    }
    let key = std::fs::read_to_string(path).map_err(|source| StackError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let is_key = STANDARD.decode(key.trim()).is_ok_and(|bytes| bytes.len() >= KEY_BYTES);
    if is_key {
        Ok(key.trim().to_owned())
    } else {
        Err(CommandError::Key(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn users_are_named_after_the_database() {
        let url = user_url("postgres://chat@127.0.0.1:5432/team?sslmode=disable", "health").unwrap();
        assert_eq!(url, "postgres://team_health@127.0.0.1:5432/team?sslmode=disable");
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let path = std::env::temp_dir().join(format!("chat-key-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let made = key(&path).unwrap();
        assert_eq!(STANDARD.decode(&made).unwrap().len(), KEY_BYTES);
        assert_eq!(key(&path).unwrap(), made);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        assert!(key(&path).unwrap_err().to_string().contains("delete it"));
        std::fs::remove_file(&path).unwrap();
    }
}
