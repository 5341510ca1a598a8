//! Registers a connection: the route `$connect`.

use std::time::Instant;

use chat_runtime::{EventError, EventHandler, Settings, SettingsError};
use chat_stores::dynamo::{Connection, Registration, Registry};
use chrono::{DateTime, Utc};
use tokio::time::timeout_at;

use crate::clock;
use crate::socket::{Authorized, REGISTRY_PATIENCE, SocketAnswer, SocketEvent, registry_failed, registry_late};

/// The function of the route `$connect`: uses the ticket up and registers the connection, in one write.
///
/// 200 opens the socket; 403 refuses a used ticket, 429 one connection too many; 503 says that the registry failed.
#[derive(Debug)]
pub struct Connect {
    registry: Registry,
}

impl EventHandler for Connect {
    type Event = SocketEvent;
    type Answer = SocketAnswer;

    /// Needs `LIVE_TABLE` and what the registry is called with.
    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            registry: Registry::new(settings)?,
        })
    }

    async fn call(&self, event: SocketEvent, deadline: Instant) -> Result<SocketAnswer, EventError> {
        Ok(self.register(event.authorized()?, clock::now(), deadline).await)
    }
}

impl Connect {
    async fn register(&self, authorized: Authorized, now: DateTime<Utc>, deadline: Instant) -> SocketAnswer {
        if authorized.lease_end <= now {
            return SocketAnswer::status(403);
        }
        let connection = Connection {
            user: authorized.user,
            ticket: authorized.ticket,
            id: authorized.connection,
            since: now,
            until: authorized.lease_end,
            ticket_until: authorized.ticket_end,
        };
        let deadline = deadline.min(Instant::now() + REGISTRY_PATIENCE);
        match timeout_at(deadline.into(), self.registry.register(&connection, now)).await {
            Ok(Ok(Registration::Registered)) => SocketAnswer::open(),
            Ok(Ok(Registration::TicketUsed)) => {
                tracing::info!(user_id = %connection.user, "refused a used ticket");
                SocketAnswer::status(403)
            }
            Ok(Ok(Registration::TooManyConnections)) => {
                tracing::info!(user_id = %connection.user, "refused one connection too many");
                SocketAnswer::status(429)
            }
            Ok(Err(error)) => registry_failed(error),
            Err(_) => registry_late(),
        }
    }
}
