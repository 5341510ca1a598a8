//! Removes a connection: the route `$disconnect`.

use std::time::Instant;

use chat_operation::FromSettings;
use chat_runtime::{EventError, EventHandler};
use chat_stores::dynamo::Registry;
use chrono::{DateTime, Utc};
use tokio::time::timeout_at;

use crate::clock;
use crate::socket::{Authorized, REGISTRY_PATIENCE, SocketAnswer, SocketEvent, registry_failed, registry_late};

/// The function of the route `$disconnect`: removes the connection, in one write.
///
/// API Gateway calls it when it can, and nobody reads its answer. A connection that it misses is removed by the first push
/// that finds it gone, or ends with its lease.
#[derive(Debug, FromSettings)]
pub struct Disconnect {
    registry: Registry,
}

impl EventHandler for Disconnect {
    type Event = SocketEvent;
    type Answer = SocketAnswer;

    async fn call(&self, event: SocketEvent, deadline: Instant) -> Result<SocketAnswer, EventError> {
        Ok(self.unregister(&event.authorized()?, clock::now(), deadline).await)
    }
}

impl Disconnect {
    async fn unregister(&self, authorized: &Authorized, now: DateTime<Utc>, deadline: Instant) -> SocketAnswer {
        let Authorized {
            connection,
            user,
            ticket,
            ticket_end,
            ..
        } = authorized;
        let deadline = deadline.min(Instant::now() + REGISTRY_PATIENCE);
        let removal = self.registry.unregister(user, *ticket, connection, *ticket_end, now);
        match timeout_at(deadline.into(), removal).await {
            Ok(Ok(_)) => SocketAnswer::status(200),
            Ok(Err(error)) => registry_failed(&error),
            Err(_) => registry_late(),
        }
    }
}
