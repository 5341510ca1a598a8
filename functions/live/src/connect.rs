//! Registers a connection: the route `$connect`.

use std::time::{Duration, Instant};

use chat_delivery::Closer;
use chat_operation::FromSettings;
use chat_runtime::{EventError, EventHandler};
use chat_stores::dynamo::{Connection, Registration, Registry};
use chrono::{DateTime, Utc};
use tokio::time::timeout_at;

use crate::clock;
use crate::socket::{Authorized, REGISTRY_PATIENCE, SocketAnswer, SocketEvent, registry_failed, registry_late};

/// The longest that a client waits for the end of a connection that its own replaced.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The function of the route `$connect`: uses the ticket up and registers the connection, in one write. Who has as many
/// connections as are allowed loses the one that has been quiet for longest, which is then closed.
///
/// 200 opens the socket; 403 refuses a used ticket; 503 says that the registry failed.
#[derive(Debug, FromSettings)]
pub struct Connect {
    registry: Registry,
    closer: Closer,
}

impl EventHandler for Connect {
    type Event = SocketEvent;
    type Answer = SocketAnswer;

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
        let patience = deadline.min(Instant::now() + REGISTRY_PATIENCE);
        match timeout_at(patience.into(), self.registry.register(&connection, now)).await {
            Ok(Ok(Registration::Registered)) => SocketAnswer::open(),
            Ok(Ok(Registration::Replaced(replaced))) => {
                tracing::info!(user_id = %connection.user, replaced = replaced.len(), "replaced the quietest connection");
                self.close(&replaced, deadline).await;
                SocketAnswer::open()
            }
            Ok(Ok(Registration::TicketUsed)) => {
                tracing::info!(user_id = %connection.user, "refused a used ticket");
                SocketAnswer::status(403)
            }
            Ok(Err(error)) => registry_failed(&error),
            Err(_) => registry_late(),
        }
    }

    /// Closes connections that were replaced. One that lives on gets no pushes, and is closed by its next heartbeat.
    async fn close(&self, replaced: &[Connection], deadline: Instant) {
        let closing = async {
            for connection in replaced {
                self.closer.close(&connection.id).await;
            }
        };
        let patience = deadline.min(Instant::now() + CLOSE_PATIENCE);
        if timeout_at(patience.into(), closing).await.is_err() {
            tracing::warn!("a replaced connection could not be closed in time");
        }
    }
}
