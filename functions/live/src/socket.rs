//! What the WebSocket API hands to its functions and takes from them: only the parts that are read here.

use std::time::Duration;

use chat_domain::{CONNECTION_LIFETIME, UserId};
use chat_runtime::EventError;
use chat_stores::StoreError;
use chat_stores::dynamo::{ConnectionId, TicketId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ticket::Ticket;

/// The subprotocol that clients speak and the server selects.
pub(crate) const PROTOCOL: &str = "chat.v1";
/// The header that subprotocols are offered and selected in.
pub(crate) const PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

/// The event of a route of the WebSocket API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    request_context: RequestContext,
    /// The client's frame, on `$default`.
    pub(crate) body: Option<String>,
    /// Whether `body` had to be encoded, as a binary frame would be.
    #[serde(default)]
    pub(crate) is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    connection_id: String,
    authorizer: Option<Context>,
}

/// What the authorizer leaves for the later events of a connection. API Gateway wants flat values and hands all of them
/// on as text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Context {
    user_id: String,
    ticket_id: String,
    /// When the connection's lease ends, in Unix seconds.
    expires_at: String,
    /// When the ticket stops working, in Unix seconds.
    ticket_expires_at: String,
}

impl Context {
    /// The context of a connection that this ticket opens `now`. Its lease ends with the token, at the latest when API
    /// Gateway closes the connection.
    pub(crate) fn new(ticket: &Ticket, now: DateTime<Utc>) -> Self {
        let lifetime_end = now + CONNECTION_LIFETIME;
        let lease_end = ticket
            .token_expires_at
            .map_or(lifetime_end, |token_end| token_end.min(lifetime_end));
        Self {
            user_id: ticket.user.to_string(),
            ticket_id: ticket.id.to_string(),
            expires_at: lease_end.timestamp().to_string(),
            ticket_expires_at: ticket.expires_at.timestamp().to_string(),
        }
    }
}

/// Whose connection an event is about, as the authorizer found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Authorized {
    pub(crate) connection: ConnectionId,
    pub(crate) user: UserId,
    pub(crate) ticket: TicketId,
    pub(crate) lease_end: DateTime<Utc>,
    pub(crate) ticket_end: DateTime<Utc>,
}

impl SocketEvent {
    /// Whose connection it is about. An error means that the API is set up wrongly: clients cannot write the context.
    pub(crate) fn authorized(&self) -> Result<Authorized, EventError> {
        let context = self.request_context.authorizer.as_ref().ok_or_else(|| {
            EventError::new("the event has no authorizer context; let authorize-socket guard the route $connect")
        })?;
        Ok(Authorized {
            connection: self
                .request_context
                .connection_id
                .parse()
                .map_err(|violation| EventError::new(format!("requestContext.connectionId {violation}")))?,
            user: parse("user_id", context.user_id.parse().ok())?,
            ticket: parse("ticket_id", context.ticket_id.parse().ok())?,
            lease_end: parse("expires_at", time(&context.expires_at))?,
            ticket_end: parse("ticket_expires_at", time(&context.ticket_expires_at))?,
        })
    }
}

fn parse<T>(name: &str, value: Option<T>) -> Result<T, EventError> {
    value.ok_or_else(|| {
        EventError::new(format!(
            "requestContext.authorizer.{name} is not what authorize-socket writes"
        ))
    })
}

fn time(seconds: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.parse().ok()?, 0)
}

/// What a function of a route of the WebSocket API answers.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketAnswer {
    /// For `$connect`, what the client gets: 200 opens the socket.
    status_code: u16,
    /// For `$connect`, headers of the handshake's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
    /// For `$default`, the text frame that the client gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Headers {
    #[serde(rename = "Sec-WebSocket-Protocol")]
    protocol: &'static str,
}

impl SocketAnswer {
    /// Only a status.
    pub(crate) fn status(status_code: u16) -> Self {
        Self {
            status_code,
            ..Self::default()
        }
    }

    /// Opens the socket, with the protocol that this server speaks.
    pub(crate) fn open() -> Self {
        Self {
            headers: Some(Headers { protocol: PROTOCOL }),
            ..Self::status(200)
        }
    }

    /// Sends a text frame to the client.
    pub(crate) fn frame(text: String) -> Self {
        Self {
            body: Some(text),
            ..Self::status(200)
        }
    }
}

/// The longest that a function of the socket waits for the registry: well below what API Gateway waits for the function.
pub(crate) const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);

/// The answer when the registry failed.
pub(crate) fn registry_failed(error: &StoreError) -> SocketAnswer {
    error.log();
    SocketAnswer::status(503)
}

/// The answer when the registry did not answer in time.
pub(crate) fn registry_late() -> SocketAnswer {
    tracing::error!("the registry of connections did not answer in time");
    SocketAnswer::status(503)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ticket::tests::{now, ticket};

    /// An event of a connection, as API Gateway makes it after this context.
    pub(crate) fn event(connection: &str, context: &Context, body: Option<&str>) -> Value {
        let mut authorizer = serde_json::to_value(context).unwrap();
        authorizer["principalId"] = json!("alice");
        authorizer["integrationLatency"] = json!(3);
        json!({
            "requestContext": {
                "routeKey": "$default",
                "authorizer": authorizer,
                "messageId": "dGVzdGluZyE=",
                "eventType": "MESSAGE",
                "extendedRequestId": "dGVzdGluZyE=",
                "requestTime": "22/Nov/2026:12:00:00 +0000",
                "messageDirection": "IN",
                "stage": "live",
                "connectedAt": 1_800_000_000_000_i64,
                "requestTimeEpoch": 1_800_000_000_000_i64,
                "identity": { "sourceIp": "127.0.0.1", "userAgent": "test" },
                "requestId": "dGVzdGluZyE=",
                "domainName": "localhost",
                "connectionId": connection,
                "apiId": "local"
            },
            "body": body,
            "isBase64Encoded": false
        })
    }

    fn authorized(event: &Value) -> Result<Authorized, String> {
        let event: SocketEvent = serde_json::from_value(event.clone()).unwrap();
        event.authorized().map_err(|error| error.to_string())
    }

    #[test]
    fn an_event_says_whose_connection_it_is_about() {
        let ticket = ticket();
        let event = event("L0SM9cOFvHcCIhw=", &Context::new(&ticket, now()), None);
        let authorized = authorized(&event).unwrap();
        assert_eq!(authorized.connection.as_str(), "L0SM9cOFvHcCIhw=");
        assert_eq!(authorized.user, ticket.user);
        assert_eq!(authorized.ticket, ticket.id);
        assert_eq!(authorized.ticket_end, ticket.expires_at);
        assert_eq!(Some(authorized.lease_end), ticket.token_expires_at);
    }

    #[test]
    fn a_lease_ends_with_the_token_or_after_two_hours() {
        let two_hours = (now() + Duration::from_hours(2)).timestamp().to_string();
        for token_expires_at in [None, Some(now() + Duration::from_hours(3))] {
            let ticket = Ticket {
                token_expires_at,
                ..ticket()
            };
            assert_eq!(Context::new(&ticket, now()).expires_at, two_hours);
        }
    }

    #[test]
    fn a_context_that_the_authorizer_did_not_write_is_an_error_that_says_what_to_mend() {
        let good = event("L0SM9cOFvHcCIhw=", &Context::new(&ticket(), now()), None);
        let mut bare = good.clone();
        bare["requestContext"].as_object_mut().unwrap().remove("authorizer");
        assert!(
            authorized(&bare)
                .unwrap_err()
                .contains("let authorize-socket guard the route $connect")
        );
        for name in ["user_id", "ticket_id", "expires_at", "ticket_expires_at"] {
            let mut bad = good.clone();
            bad["requestContext"]["authorizer"][name] = json!("not it");
            assert!(authorized(&bad).unwrap_err().contains(name), "{name}");
        }
        let mut bad = good;
        bad["requestContext"]["connectionId"] = json!("");
        assert!(authorized(&bad).unwrap_err().contains("connectionId"));
    }
}
