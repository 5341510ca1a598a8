//! Hands out a ticket for one live connection.

use chat_contract::Timestamp;
use chat_contract::v1::{CreateLiveTicketRequest, CreateLiveTicketResponse};
use chat_domain::TICKET_LIFETIME;
use chat_rpc::{Answer, CallContext, Caller, Failure, Operation};
use chat_runtime::{Settings, SettingsError};
use chat_stores::dynamo::TicketId;
use chrono::{DateTime, Utc};

use crate::clock;
use crate::ticket::{Ticket, TicketKey};

/// The RPC `CreateLiveTicket`. It calls nobody: a ticket carries its own proof.
#[derive(Debug)]
pub struct CreateLiveTicket {
    key: TicketKey,
    url: String,
}

impl Operation for CreateLiveTicket {
    type Request = CreateLiveTicketRequest;

    /// Needs `TICKET_KEY` and `LIVE_URL`.
    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        const NAME: &str = "LIVE_URL";
        const EXPECTED: &str = "the ws or wss URL that clients connect to";
        let url = settings.require(NAME, EXPECTED)?;
        if !url.starts_with("wss://") && !url.starts_with("ws://") {
            return Err(SettingsError::Invalid {
                name: NAME,
                expected: EXPECTED,
                problem: "it starts with neither wss:// nor ws://".to_owned(),
            });
        }
        Ok(Self {
            key: TicketKey::new(settings)?,
            url: url.to_owned(),
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        CreateLiveTicketRequest {}: CreateLiveTicketRequest,
    ) -> Result<Answer<CreateLiveTicketResponse>, Failure> {
        Ok(self.ticket_for(context.caller()?, clock::now()).into())
    }
}

impl CreateLiveTicket {
    fn ticket_for(&self, caller: &Caller, now: DateTime<Utc>) -> CreateLiveTicketResponse {
        let ticket = Ticket {
            id: TicketId::generate(),
            user: caller.user.clone(),
            expires_at: now + TICKET_LIFETIME,
            token_expires_at: caller.token_expires_at,
        };
        CreateLiveTicketResponse {
            ticket: self.key.sign(&ticket),
            // A ticket keeps whole seconds, and so does what is said of it.
            expires_at: Some(Timestamp {
                seconds: ticket.expires_at.timestamp(),
                nanos: 0,
            }),
            url: self.url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::ticket::tests::{key, now, settings};

    fn create_live_ticket() -> CreateLiveTicket {
        CreateLiveTicket::new(&settings().with("LIVE_URL", "wss://live.example/live")).unwrap()
    }

    #[test]
    fn the_caller_gets_a_ticket_of_their_own() {
        let token_expires_at = Some(now() + Duration::from_mins(10));
        let caller = Caller {
            user: "alice".parse().unwrap(),
            token_expires_at,
        };
        let response = create_live_ticket().ticket_for(&caller, now() + Duration::from_millis(900));
        assert_eq!(response.url, "wss://live.example/live");
        let ticket = key().verify(&response.ticket, now()).unwrap();
        assert_eq!(ticket.user, caller.user);
        assert_eq!(ticket.token_expires_at, token_expires_at);
        let end = now() + Duration::from_secs(30);
        assert_eq!(ticket.expires_at, end);
        assert_eq!(
            response.expires_at,
            Some(Timestamp {
                seconds: end.timestamp(),
                nanos: 0
            })
        );
        assert_eq!(key().verify(&response.ticket, end), None);
    }

    #[tokio::test]
    async fn no_two_tickets_are_the_same_and_nobody_gets_none() {
        let operation = create_live_ticket();
        let context = CallContext::for_user("alice".parse().unwrap(), Instant::now() + Duration::from_secs(1));
        let first = operation.call(&context, CreateLiveTicketRequest {}).await.unwrap();
        let second = operation.call(&context, CreateLiveTicketRequest {}).await.unwrap();
        assert_ne!(first.response.ticket, second.response.ticket);
        assert!(first.notices.is_empty());
        let nobody = CallContext::new(None, Instant::now() + Duration::from_secs(1));
        let failure = operation.call(&nobody, CreateLiveTicketRequest {}).await.unwrap_err();
        assert_eq!(failure.reason(), "TOKEN_MISSING");
    }

    #[test]
    fn a_url_that_is_no_socket_is_a_bad_setting() {
        for bad in ["", "https://live.example/live", "live.example"] {
            let error = CreateLiveTicket::new(&settings().with("LIVE_URL", bad)).unwrap_err();
            assert!(error.to_string().starts_with("LIVE_URL is not "), "{error}");
        }
    }
}
