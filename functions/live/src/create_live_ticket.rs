//! Hands out a ticket for one live connection.

use std::time::Duration;

use chat_contract::Timestamp;
use chat_contract::v1::{CreateLiveTicketRequest, CreateLiveTicketResponse};
use chat_domain::{TICKET_INTERVAL, TICKET_LIFETIME, TICKETS_AT_ONCE_MAX};
use chat_operation::{Answer, CallContext, Caller, Failure, FromSettings, Operation, Settings, SettingsError};
use chat_stores::StoreError;
use chat_stores::dynamo::{Allowance, Registry, TicketId};
use chrono::{DateTime, Utc};

use crate::clock;
use crate::ticket::{Ticket, TicketKey};

/// The RPC `CreateLiveTicket`. A ticket carries its own proof; what is written is only that one was made, since the rate of
/// tickets bounds how many connections a user can open, and what the registry has to remember of them.
#[derive(Debug, FromSettings)]
pub struct CreateLiveTicket {
    key: TicketKey,
    registry: Registry,
    url: LiveUrl,
}

/// Where clients connect to: `LIVE_URL`.
#[derive(Debug)]
struct LiveUrl(String);

impl FromSettings for LiveUrl {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
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
        Ok(Self(url.to_owned()))
    }
}

impl Operation for CreateLiveTicket {
    type Request = CreateLiveTicketRequest;

    async fn call(
        &self,
        context: &CallContext,
        CreateLiveTicketRequest {}: CreateLiveTicketRequest,
    ) -> Result<Answer<CreateLiveTicketResponse>, Failure> {
        let (caller, now) = (context.caller()?, clock::now());
        match self.registry.count_ticket(&caller.user, now).await {
            Ok(Allowance::Allowed) => Ok(self.ticket_for(caller, now).into()),
            Ok(Allowance::RetryAfter(wait)) => {
                tracing::info!(user_id = %caller.user, "refused one ticket too many");
                Err(too_many_tickets(wait))
            }
            Err(error) => Err(registry_away(&error)),
        }
    }
}

fn too_many_tickets(wait: Duration) -> Failure {
    let message = format!(
        "you had {TICKETS_AT_ONCE_MAX} tickets at once and one every {} s since; ask again in {} s",
        TICKET_INTERVAL.as_secs(),
        wait.as_millis().div_ceil(1_000)
    );
    Failure::resource_exhausted("TOO_MANY_TICKETS", message).with_retry_after(wait)
}

/// Whatever is wrong with the registry, nobody can be connected now, and nothing is lost but a counted ticket.
fn registry_away(error: &StoreError) -> Failure {
    tracing::error!(error = %error, causes = error.causes(), "tickets cannot be counted");
    Failure::unavailable(
        "LIVE_UNAVAILABLE",
        "live connections cannot be opened now; sync meanwhile and ask again later",
    )
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
            url: self.url.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use chat_operation::Code;
    use chat_testing::{Fixture, call, call_without_token};

    use super::*;
    use crate::ticket::tests::{key, now, registry_settings};

    fn create_live_ticket() -> CreateLiveTicket {
        CreateLiveTicket::from_settings(&registry_settings().with("LIVE_URL", "wss://live.example/live")).unwrap()
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
    async fn no_two_tickets_are_the_same() {
        let fixture = Fixture::new().await;
        let operation: CreateLiveTicket = fixture.operation();
        let first = call(&operation, "alice", CreateLiveTicketRequest {}).await.unwrap();
        let second = call(&operation, "alice", CreateLiveTicketRequest {}).await.unwrap();
        assert_ne!(first.response.ticket, second.response.ticket);
        assert!(first.notices.is_empty());
    }

    #[tokio::test]
    async fn a_call_without_a_token_is_refused() {
        let operation: CreateLiveTicket = create_live_ticket();
        let failure = call_without_token(&operation, CreateLiveTicketRequest {})
            .await
            .unwrap_err();
        assert_eq!(failure.reason(), "TOKEN_MISSING");
    }

    #[tokio::test]
    async fn one_ticket_too_many_is_told_when_to_come_back() {
        let fixture = Fixture::new().await;
        let operation: CreateLiveTicket = fixture.operation();
        let refused = loop {
            match call(&operation, "alice", CreateLiveTicketRequest {}).await {
                Ok(_) => {}
                Err(failure) => break failure,
            }
        };
        assert_eq!(
            (refused.code(), refused.reason()),
            (Code::ResourceExhausted, "TOO_MANY_TICKETS")
        );
        let wait = refused.retry_after().unwrap();
        assert!(wait > Duration::ZERO && wait <= TICKET_INTERVAL, "{wait:?}");
        // It is alice's rate alone.
        call(&operation, "bob", CreateLiveTicketRequest {}).await.unwrap();
    }

    #[tokio::test]
    async fn without_the_registry_there_are_no_tickets() {
        let away = registry_settings().with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
        let operation = CreateLiveTicket::from_settings(&away.with("LIVE_URL", "wss://live.example/live")).unwrap();
        let context = CallContext::for_user("alice".parse().unwrap(), Instant::now() + Duration::from_secs(10));
        let failure = operation.call(&context, CreateLiveTicketRequest {}).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::Unavailable, "LIVE_UNAVAILABLE")
        );
    }

    #[test]
    fn a_url_that_is_no_socket_is_a_bad_setting() {
        for bad in ["", "https://live.example/live", "live.example"] {
            let error = CreateLiveTicket::from_settings(&registry_settings().with("LIVE_URL", bad)).unwrap_err();
            assert!(error.to_string().starts_with("LIVE_URL is not "), "{error}");
        }
    }
}
