//! Answers the frames that clients send: the route `$default`.

use std::time::{Duration, Instant};

use chat_contract::Timestamp;
use chat_contract::v1::live_event::Event;
use chat_contract::v1::live_request::Request;
use chat_contract::v1::{LiveError, LiveEvent, LiveRequest, Pong, Welcome};
use chat_delivery::Closer;
use chat_operation::FromSettings;
use chat_runtime::{EventError, EventHandler};
use chat_stores::StoreError;
use chat_stores::dynamo::{Hearing, Registry};
use chrono::{DateTime, Utc};
use tokio::time::timeout_at;

use crate::clock;
use crate::socket::{Authorized, SocketAnswer, SocketEvent};

/// The longest that a frame waits for the registry, and for the end of its connection: a client that gets no answer for 10
/// seconds takes its connection for dead.
const FRAME_PATIENCE: Duration = Duration::from_secs(2);

/// The function of the route `$default`: answers a hello with a welcome, a ping with a pong, and anything else with an
/// error that says what is understood. It never logs what a client sent.
///
/// Each frame is one write to the registry. It counts the frame, so that a connection that floods is closed; it keeps the
/// connection from being the next to give way; and it finds out that nothing is pushed to the connection any more, which a
/// client must not learn only when it misses something. While the registry is away, frames are answered all the same.
#[derive(Debug, FromSettings)]
pub struct DefaultRoute {
    registry: Registry,
    closer: Closer,
}

/// What a connection that sent a frame may expect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    /// An answer.
    Good,
    /// To be told that its lease has ended.
    LeaseEnded,
    /// To be closed, since its client goes on when its lease has ended and it was told so, or it was replaced.
    NotConnected,
    /// To be closed, since it sends too much.
    Flooding,
}

impl EventHandler for DefaultRoute {
    type Event = SocketEvent;
    type Answer = SocketAnswer;

    async fn call(&self, event: SocketEvent, deadline: Instant) -> Result<SocketAnswer, EventError> {
        let authorized = event.authorized()?;
        let standing = self.standing(&authorized, clock::now(), deadline).await;
        if let Standing::NotConnected | Standing::Flooding = standing {
            self.close(&authorized, standing, deadline).await;
        }
        let answer = LiveEvent {
            event: Some(standing.refusal().unwrap_or_else(|| answer(frame(&event), &authorized))),
            ..LiveEvent::default()
        };
        serde_json::to_string(&answer)
            .map(SocketAnswer::frame)
            .map_err(|error| EventError::new(format!("the answer cannot be written: {error}")))
    }
}

impl DefaultRoute {
    /// Counts the frame. Where the registry fails, the lease alone decides.
    async fn standing(&self, authorized: &Authorized, now: DateTime<Utc>, deadline: Instant) -> Standing {
        let has_ended = authorized.lease_end <= now;
        let asking = async {
            if has_ended {
                self.end(authorized, now).await
            } else {
                self.hear(authorized, now).await
            }
        };
        let patience = deadline.min(Instant::now() + FRAME_PATIENCE);
        match timeout_at(patience.into(), asking).await {
            Ok(Ok(standing)) => return standing,
            Ok(Err(error)) => tracing::error!(error = %error, causes = error.causes(), "a frame was not counted"),
            Err(_) => tracing::error!("a frame was not counted in time"),
        }
        if has_ended {
            Standing::LeaseEnded
        } else {
            Standing::Good
        }
    }

    async fn hear(&self, authorized: &Authorized, now: DateTime<Utc>) -> Result<Standing, StoreError> {
        let Authorized {
            user,
            ticket,
            connection,
            ..
        } = authorized;
        Ok(match self.registry.hear(user, *ticket, connection, now).await? {
            Hearing::Heard => Standing::Good,
            Hearing::Flooding => Standing::Flooding,
            Hearing::Unknown => Standing::NotConnected,
        })
    }

    /// Forgets a connection whose lease has ended. So its client is told once, and a client that does not listen is closed
    /// by its next frame.
    async fn end(&self, authorized: &Authorized, now: DateTime<Utc>) -> Result<Standing, StoreError> {
        let Authorized {
            user,
            ticket,
            connection,
            ticket_end,
            ..
        } = authorized;
        let was_there = self
            .registry
            .unregister(user, *ticket, connection, *ticket_end, now)
            .await?;
        Ok(if was_there {
            Standing::LeaseEnded
        } else {
            Standing::NotConnected
        })
    }

    async fn close(&self, authorized: &Authorized, standing: Standing, deadline: Instant) {
        let Authorized { user, connection, .. } = authorized;
        tracing::info!(user_id = %user, connection_id = %connection, ?standing, "closing a connection");
        let patience = deadline.min(Instant::now() + FRAME_PATIENCE);
        if timeout_at(patience.into(), self.closer.close(connection))
            .await
            .is_err()
        {
            tracing::warn!(connection_id = %connection, "a connection could not be closed in time");
        }
    }
}

impl Standing {
    /// What a frame is answered in place of what it asks for. Where the connection was closed, it rarely arrives.
    fn refusal(self) -> Option<Event> {
        let (reason, message) = match self {
            Self::Good => return None,
            Self::LeaseEnded => ("LEASE_ENDED", "reconnect with a new ticket"),
            Self::NotConnected => (
                "NOT_CONNECTED",
                "nothing is pushed to this connection any more; reconnect with a new ticket",
            ),
            Self::Flooding => ("TOO_MANY_FRAMES", "send fewer frames; reconnect with a new ticket"),
        };
        Some(Event::Error(LiveError {
            reason: reason.to_owned(),
            message: message.to_owned(),
        }))
    }
}

/// The text that the client sent; empty for a binary frame.
fn frame(event: &SocketEvent) -> &str {
    event
        .body
        .as_deref()
        .filter(|_| !event.is_base64_encoded)
        .unwrap_or_default()
}

fn answer(frame: &str, authorized: &Authorized) -> Event {
    match chat_contract::json::decode(frame.as_bytes()) {
        Ok(LiveRequest {
            request: Some(Request::Hello(_)),
        }) => Event::Welcome(Welcome {
            user_id: authorized.user.to_string(),
            expires_at: Some(Timestamp {
                seconds: authorized.lease_end.timestamp(),
                nanos: 0,
            }),
        }),
        Ok(LiveRequest {
            request: Some(Request::Ping(_)),
        }) => Event::Pong(Pong {}),
        Ok(LiveRequest { request: None }) | Err(_) => Event::Error(LiveError {
            reason: "MALFORMED_FRAME".to_owned(),
            message: r#"send {"hello":{}} or {"ping":{}} as a text frame"#.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::socket::Context;
    use crate::socket::tests::event;
    use crate::ticket::tests::{now, ticket};

    /// What a connection in good standing gets for this event.
    fn answer_to_event(event: Value) -> Value {
        let event: SocketEvent = serde_json::from_value(event).unwrap();
        let answer = LiveEvent {
            event: Some(answer(frame(&event), &event.authorized().unwrap())),
            ..LiveEvent::default()
        };
        serde_json::to_value(answer).unwrap()
    }

    fn answer_to(frame: &str) -> Value {
        let context = Context::new(&ticket(), now());
        answer_to_event(event("L0SM9cOFvHcCIhw=", &context, Some(frame)))
    }

    fn malformed() -> Value {
        let message = r#"send {"hello":{}} or {"ping":{}} as a text frame"#;
        json!({ "error": { "reason": "MALFORMED_FRAME", "message": message } })
    }

    #[test]
    fn a_hello_is_welcomed() {
        // One hour: the token of the ticket ends then.
        let welcome = json!({ "welcome": { "userId": "alice", "expiresAt": "2027-01-15T09:00:00Z" } });
        for frame in [
            r#"{"hello":{}}"#,
            " {\n\"hello\" : { } } ",
            r#"{"hello":{},"futureField":[1]}"#,
        ] {
            assert_eq!(answer_to(frame), welcome, "{frame}");
        }
    }

    #[test]
    fn a_ping_is_ponged() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let newer = format!(r#"{{"ping":{{"futureField":{deep}}},"futureField":{deep}}}"#);
        for frame in [r#"{"ping":{}}"#, &newer] {
            assert_eq!(answer_to(frame), json!({ "pong": {} }), "{frame:.60}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_the_connection_stays() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let long = "x".repeat(100_000);
        let frames = [
            "",
            " ",
            "hello",
            "null",
            "1",
            "[]",
            "{}",
            r#""hello""#,
            r#"{"hello":null}"#,
            r#"{"hello":1}"#,
            r#"{"hello":{},"ping":{}}"#,
            r#"{"ping":{}"#,
            r#"{"ping":{}} x"#,
            r#"{"Ping":{}}"#,
            r#"{"welcome":{}}"#,
            "\u{0}",
            "💥",
            &deep,
            &long,
        ];
        for frame in frames {
            assert_eq!(answer_to(frame), malformed(), "{frame:.60}");
        }
        let context = Context::new(&ticket(), now());
        let none = event("L0SM9cOFvHcCIhw=", &context, None);
        let mut binary = event("L0SM9cOFvHcCIhw=", &context, Some(r#"{"ping":{}}"#));
        binary["isBase64Encoded"] = json!(true);
        for event in [none, binary] {
            assert_eq!(answer_to_event(event), malformed());
        }
    }
}
