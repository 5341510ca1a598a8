//! What the functions are told when they run here: the one place that puts their settings together.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_runtime::Settings;
use rand::Rng;

use super::error::CommandError;
use crate::stack::{Endpoints, StackError};

/// The registry of connections.
const LIVE_TABLE: &str = "chat-live";
/// Bytes of the key that signs live tickets.
const TICKET_KEY_BYTES: usize = 32;

/// The settings of all functions, except for the addresses that only the gateway knows. Secrets that must outlive the
/// process are kept in `folder`.
pub(super) fn settings(folder: &Path, endpoints: &Endpoints) -> Result<Settings, CommandError> {
    let from_environment = ["MONGODB_DATABASE", "AWS_SESSION_TOKEN"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let settings: Settings = endpoints
        .variables()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(from_environment)
        .collect();
    Ok(settings
        .with("LIVE_TABLE", LIVE_TABLE)
        .with("TICKET_KEY", ticket_key(&folder.join("ticket.key"))?))
}

/// The key in this file in base64, which is made, readable by its owner only, when it is not there.
fn ticket_key(path: &Path) -> Result<String, CommandError> {
    let mut bytes = [0_u8; TICKET_KEY_BYTES];
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
    let is_key = STANDARD
        .decode(key.trim())
        .is_ok_and(|bytes| bytes.len() >= TICKET_KEY_BYTES);
    if is_key {
        Ok(key.trim().to_owned())
    } else {
        Err(CommandError::TicketKey(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_ticket_key_is_made_once_and_only_its_owner_can_read_it() {
        let path = std::env::temp_dir().join(format!("chat-ticket-key-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let key = ticket_key(&path).unwrap();
        assert_eq!(STANDARD.decode(&key).unwrap().len(), TICKET_KEY_BYTES);
        assert_eq!(ticket_key(&path).unwrap(), key);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "short").unwrap();
        assert!(ticket_key(&path).unwrap_err().to_string().contains("delete it"));
        std::fs::remove_file(&path).unwrap();
    }
}
