//! Decides who may open a live socket: the WebSocket API's authorizer.

use std::collections::HashMap;
use std::time::Instant;

use chat_operation::FromSettings;
use chat_runtime::{EventError, EventHandler};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::socket::{Context, PROTOCOL, PROTOCOL_HEADER};
use crate::ticket::{Ticket, TicketKey};

/// What a ticket is offered behind.
const TICKET_PREFIX: &str = "ticket.";
/// Who is denied, whoever they are.
const NOBODY: &str = "nobody";

/// The WebSocket API's authorizer. It calls nobody; that a ticket works only once is seen to by `connect`.
///
/// Whatever is wrong with a request, the denial is the same, so that nothing can be learnt from it.
#[derive(Debug, FromSettings)]
pub struct AuthorizeSocket {
    key: TicketKey,
}

/// The event of a REQUEST authorizer: what of it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerEvent {
    method_arn: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
    #[serde(default)]
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
}

/// What a REQUEST authorizer answers.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    principal_id: String,
    policy_document: PolicyDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: String,
}

impl EventHandler for AuthorizeSocket {
    type Event = AuthorizerEvent;
    type Answer = Authorization;

    async fn call(&self, event: AuthorizerEvent, _deadline: Instant) -> Result<Authorization, EventError> {
        Ok(self.decide(event, clock::now()))
    }
}

impl AuthorizeSocket {
    fn decide(&self, event: AuthorizerEvent, now: DateTime<Utc>) -> Authorization {
        let ticket = event.ticket().and_then(|ticket| self.key.verify(ticket, now));
        if ticket.is_none() {
            tracing::info!("denied a live socket");
        }
        Authorization::new(event.method_arn, ticket.as_ref(), now)
    }
}

impl AuthorizerEvent {
    /// The ticket that is offered beside our protocol, if there is exactly one.
    fn ticket(&self) -> Option<&str> {
        let mut tickets = self.offers().filter_map(|offer| offer.strip_prefix(TICKET_PREFIX));
        let ticket = tickets.next()?;
        let sound = tickets.next().is_none() && self.offers().any(|offer| offer == PROTOCOL);
        sound.then_some(ticket)
    }

    /// The subprotocols that the client offers. A header may come in any case and in several lines, of which `headers`
    /// keeps only the last.
    fn offers(&self) -> impl Iterator<Item = &str> {
        let all_lines = self
            .multi_value_headers
            .iter()
            .flatten()
            .filter(|(name, _)| name.eq_ignore_ascii_case(PROTOCOL_HEADER))
            .flat_map(|(_, lines)| lines.iter());
        let last_line = self
            .headers
            .iter()
            .flatten()
            .filter(|(name, _)| self.multi_value_headers.is_none() && name.eq_ignore_ascii_case(PROTOCOL_HEADER))
            .map(|(_, line)| line);
        all_lines
            .chain(last_line)
            .flat_map(|line| line.split(','))
            .map(str::trim)
    }
}

impl Authorization {
    /// Allows `method_arn` to the holder of this ticket; without one, denies it.
    fn new(method_arn: String, ticket: Option<&Ticket>, now: DateTime<Utc>) -> Self {
        Self {
            principal_id: ticket.map_or_else(|| NOBODY.to_owned(), |ticket| ticket.user.to_string()),
            policy_document: PolicyDocument {
                version: "2012-10-17",
                statement: [Statement {
                    action: "execute-api:Invoke",
                    effect: if ticket.is_some() { "Allow" } else { "Deny" },
                    resource: method_arn,
                }],
            },
            context: ticket.map(|ticket| Context::new(ticket, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::ticket::tests::{key, now, settings, ticket};

    const ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef/live/$connect";

    fn decide_at(event: Value, now: DateTime<Utc>) -> Value {
        let authorizer = AuthorizeSocket::from_settings(&settings()).unwrap();
        serde_json::to_value(authorizer.decide(serde_json::from_value(event).unwrap(), now)).unwrap()
    }

    fn decide(event: Value) -> Value {
        decide_at(event, now())
    }

    /// The event of a client that sends these lines of `Sec-WebSocket-Protocol`.
    fn event(lines: &[&str]) -> Value {
        json!({
            "type": "REQUEST",
            "methodArn": ARN,
            "headers": { "Host": "localhost", "Sec-WebSocket-Protocol": lines.last().unwrap_or(&"") },
            "multiValueHeaders": { "Host": ["localhost"], "Sec-WebSocket-Protocol": lines },
            "queryStringParameters": {},
            "requestContext": { "routeKey": "$connect", "connectionId": "L0SM9cOFvHcCIhw=" }
        })
    }

    fn denial() -> Value {
        json!({
            "principalId": "nobody",
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{ "Action": "execute-api:Invoke", "Effect": "Deny", "Resource": ARN }]
            }
        })
    }

    #[test]
    fn the_holder_of_a_ticket_is_allowed() {
        let ticket = ticket();
        let signed = key().sign(&ticket);
        let allowance = json!({
            "principalId": "alice",
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [{ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN }]
            },
            "context": {
                "user_id": "alice",
                "ticket_id": ticket.id.to_string(),
                "expires_at": "1800003600",
                "ticket_expires_at": "1800000030"
            }
        });
        let offer = format!("chat.v1, ticket.{signed}");
        assert_eq!(decide(event(&[&offer])), allowance);
        let ticket_offer = format!("ticket.{signed}");
        let other_orders = [
            event(&[&format!("ticket.{signed},chat.v1")]),
            event(&[&format!("  chat.v2 ,ticket.{signed}\t,  chat.v1,")]),
            event(&["chat.v1", &ticket_offer]),
            event(&[&ticket_offer, "chat.v1"]),
            json!({ "methodArn": ARN, "headers": { "sec-websocket-protocol": offer } }),
            json!({ "methodArn": ARN, "headers": { "SEC-WEBSOCKET-PROTOCOL": offer }, "multiValueHeaders": null }),
            json!({ "methodArn": ARN, "headers": null, "multiValueHeaders": { "sec-WebSocket-protocol": [offer] } }),
        ];
        for event in other_orders {
            assert_eq!(decide(event.clone()), allowance, "{event}");
        }
    }

    #[test]
    fn all_others_are_denied_alike() {
        let signed = key().sign(&ticket());
        let second = key().sign(&ticket());
        let other_key = TicketKey::from_settings(&settings().with("TICKET_KEY", "A".repeat(64))).unwrap();
        let forged = other_key.sign(&ticket());
        let offers = [
            String::new(),
            ",".to_owned(),
            "chat.v1".to_owned(),
            format!("ticket.{signed}"),
            format!("chat.v2, ticket.{signed}"),
            format!("CHAT.V1, ticket.{signed}"),
            format!("chat.v1, Ticket.{signed}"),
            format!("chat.v1, {signed}"),
            format!("chat.v1 ticket.{signed}"),
            format!("chat.v1, ticket. {signed}"),
            format!("chat.v1, ticket.{signed}, ticket.{second}"),
            format!("chat.v1, ticket.{forged}"),
            format!("chat.v1, ticket.{}", &signed[2..]),
            "chat.v1, ticket.".to_owned(),
            "chat.v1, ticket.💥".to_owned(),
        ];
        for offer in &offers {
            assert_eq!(decide(event(&[offer])), denial(), "{offer}");
        }
        assert_eq!(decide(event(&[])), denial());
        assert_eq!(decide(json!({ "methodArn": ARN })), denial());
        let expired = format!("chat.v1, ticket.{signed}");
        assert_eq!(decide_at(event(&[&expired]), now() + Duration::from_secs(30)), denial());
    }
}
