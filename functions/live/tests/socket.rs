//! The life of a live socket through its functions, as API Gateway calls them, with a real registry of connections.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps or indexes fails where it should, also in its helpers"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the functions look at the clock, and what they find must fit"
)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chat_contract::Rpc;
use chat_contract::v1::CreateLiveTicketRequest;
use chat_operation::{FromSettings, Settings};
use chat_runtime::Environment;
use chat_stores::dynamo::{Connection, RegistryReader};
use chrono::Utc;
use futures::future::join_all;
use serde_json::{Value, json};

const PING: &str = r#"{"ping":{}}"#;
const ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:abcdef/live/$connect";

struct Fixture {
    databases: chat_testing::Fixture,
    reader: RegistryReader,
    environments: HashMap<&'static str, Environment>,
}

impl Fixture {
    async fn new() -> Self {
        let databases = chat_testing::Fixture::new().await;
        let reader = RegistryReader::from_settings(databases.settings()).unwrap();
        Self {
            databases,
            reader,
            environments: HashMap::new(),
        }
    }

    /// Calls a function in its one warm environment.
    async fn call(&mut self, function: &'static str, event: Value) -> Value {
        let environment = self
            .environments
            .entry(function)
            .or_insert_with(|| environment(function, self.databases.settings()));
        invoke(environment, event).await
    }

    /// A ticket for a user, by the RPC, as a Connect call in JSON.
    async fn ticket(&mut self, user: &str) -> String {
        let event = json!({
            "version": "2.0",
            "routeKey": format!("POST {}", CreateLiveTicketRequest::PATH),
            "rawPath": CreateLiveTicketRequest::PATH,
            "rawQueryString": "",
            "headers": { "content-type": "application/json", "host": "localhost" },
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abcdef",
                "authorizer": { "jwt": { "claims": { "sub": user, "exp": "4000000000" }, "scopes": null } },
                "domainName": "localhost",
                "domainPrefix": "localhost",
                "http": {
                    "method": "POST",
                    "path": CreateLiveTicketRequest::PATH,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test"
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": format!("POST {}", CreateLiveTicketRequest::PATH),
                "stage": "$default",
                "time": "22/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_800_000_000_000_i64
            },
            "body": "{}",
            "isBase64Encoded": false
        });
        let answer = self.call("create-live-ticket", event).await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        let response: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(response["url"].as_str(), self.databases.settings().get("LIVE_URL"));
        response["ticket"].as_str().unwrap().to_owned()
    }

    /// What the authorizer says of a ticket.
    async fn authorize(&mut self, ticket: &str) -> Value {
        let event = json!({
            "type": "REQUEST",
            "methodArn": ARN,
            "headers": { "Sec-WebSocket-Protocol": format!("chat.v1, ticket.{ticket}") },
            "requestContext": { "routeKey": "$connect", "connectionId": "ignored=" }
        });
        self.call("authorize-socket", event).await
    }

    /// The context that a fresh ticket of this user leads to.
    async fn context(&mut self, user: &str) -> Value {
        let ticket = self.ticket(user).await;
        let authorization = self.authorize(&ticket).await;
        assert_eq!(
            authorization["policyDocument"]["Statement"][0]["Effect"], "Allow",
            "{authorization}"
        );
        assert_eq!(authorization["principalId"], user);
        authorization["context"].clone()
    }

    /// What a frame of a connection is answered.
    async fn frame(&mut self, connection: &str, context: &Value, frame: &str) -> Value {
        let answer = self
            .call("default", event("$default", connection, context, Some(frame)))
            .await;
        assert_eq!(answer["statusCode"], 200, "{answer}");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    async fn connections_of(&self, user: &str) -> Vec<Connection> {
        self.reader
            .connections_of(&[user.parse().unwrap()].into(), Utc::now())
            .await
            .unwrap()
    }
}

fn environment(function: &str, settings: &Settings) -> Environment {
    let function = chat_live::FUNCTIONS.iter().find(|one| one.name() == function).unwrap();
    function.environment(settings).unwrap()
}

async fn invoke(environment: &mut Environment, event: Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    let invocation = environment
        .invoke(event.to_string().as_bytes(), deadline)
        .await
        .unwrap();
    invocation.after_answer.await;
    serde_json::from_slice(&invocation.response).unwrap()
}

/// The event of a connection that was authorized with this context.
fn event(route: &str, connection: &str, context: &Value, body: Option<&str>) -> Value {
    json!({
        "requestContext": {
            "routeKey": route,
            "authorizer": context,
            "stage": "live",
            "connectionId": connection,
            "apiId": "abcdef"
        },
        "body": body,
        "isBase64Encoded": false
    })
}

#[tokio::test]
async fn a_client_connects_says_hello_and_leaves() {
    let mut fixture = Fixture::new().await;
    let context = fixture.context("alice").await;
    let answer = fixture
        .call("connect", event("$connect", "first=", &context, None))
        .await;
    assert_eq!(
        answer,
        json!({ "statusCode": 200, "headers": { "Sec-WebSocket-Protocol": "chat.v1" } })
    );
    let connections = fixture.connections_of("alice").await;
    assert_eq!(
        connections.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["first="]
    );

    let answer = fixture
        .call(
            "default",
            event("$default", "first=", &context, Some(r#"{"hello":{}}"#)),
        )
        .await;
    let welcome: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(welcome["welcome"]["userId"], "alice");

    let answer = fixture
        .call("disconnect", event("$disconnect", "first=", &context, None))
        .await;
    assert_eq!(answer, json!({ "statusCode": 200 }));
    assert!(fixture.connections_of("alice").await.is_empty());
    // It may come again, and for a connection that was never there.
    let answer = fixture
        .call("disconnect", event("$disconnect", "first=", &context, None))
        .await;
    assert_eq!(answer, json!({ "statusCode": 200 }));
}

#[tokio::test]
async fn a_ticket_opens_one_socket_also_when_eight_knock_at_once() {
    let mut fixture = Fixture::new().await;
    let context = fixture.context("alice").await;
    let mut environments: Vec<_> = (0..8)
        .map(|_| environment("connect", fixture.databases.settings()))
        .collect();
    let knocks = environments.iter_mut().enumerate().map(|(number, environment)| {
        invoke(
            environment,
            event("$connect", &format!("knock-{number}"), &context, None),
        )
    });
    let mut statuses: Vec<_> = join_all(knocks)
        .await
        .iter()
        .map(|answer| answer["statusCode"].as_u64().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403, 403, 403, 403, 403, 403, 403]);
    let [connection] = &fixture.connections_of("alice").await[..] else {
        panic!("one connection")
    };

    // Nor does it open another one after the first has closed.
    let id = connection.id.to_string();
    fixture
        .call("disconnect", event("$disconnect", &id, &context, None))
        .await;
    let answer = fixture
        .call("connect", event("$connect", "replay=", &context, None))
        .await;
    assert_eq!(answer, json!({ "statusCode": 403 }));
    assert!(fixture.connections_of("alice").await.is_empty());
}

#[tokio::test]
async fn the_seventeenth_socket_of_a_user_replaces_the_quietest() {
    let mut fixture = Fixture::new().await;
    let mut contexts = Vec::new();
    for number in 0..16 {
        let context = fixture.context("alice").await;
        let answer = fixture
            .call(
                "connect",
                event("$connect", &format!("socket-{number}"), &context, None),
            )
            .await;
        assert_eq!(answer["statusCode"], 200);
        contexts.push(context);
    }
    // A heartbeat keeps the first from being the next to go.
    fixture.frame("socket-0", &contexts[0], PING).await;
    let context = fixture.context("alice").await;
    let answer = fixture
        .call("connect", event("$connect", "one-more", &context, None))
        .await;
    assert_eq!(
        answer["statusCode"], 200,
        "also when the gateway cannot be told to close the other"
    );
    let ids = async |fixture: &Fixture| {
        let mut ids: Vec<_> = fixture.connections_of("alice").await;
        ids.sort_by_key(|one| one.ticket);
        ids.into_iter().map(|one| one.id.to_string()).collect::<Vec<_>>()
    };
    let mut expected = vec!["socket-0".to_owned()];
    expected.extend((2..16).map(|number| format!("socket-{number}")));
    expected.push("one-more".to_owned());
    assert_eq!(ids(&fixture).await, expected);

    // What the replaced one does takes nobody with it, and does not bring it back.
    let answer = fixture.frame("socket-1", &contexts[1], PING).await;
    assert_eq!(answer["error"]["reason"], "NOT_CONNECTED");
    for route in ["$disconnect", "$connect"] {
        let function = route.trim_start_matches('$');
        let answer = fixture
            .call(function, event(route, "socket-1", &contexts[1], None))
            .await;
        assert_eq!(answer["statusCode"], if function == "connect" { 403 } else { 200 });
    }
    assert_eq!(ids(&fixture).await, expected);
}

#[tokio::test]
async fn a_frame_after_the_end_of_its_lease_is_told_so_and_the_next_finds_no_connection() {
    let mut fixture = Fixture::new().await;
    let mut context = fixture.context("alice").await;
    fixture
        .call("connect", event("$connect", "first=", &context, None))
        .await;
    assert_eq!(fixture.frame("first=", &context, PING).await, json!({ "pong": {} }));
    context["expires_at"] = json!(Utc::now().timestamp().to_string());
    for reason in ["LEASE_ENDED", "NOT_CONNECTED"] {
        let answer = fixture.frame("first=", &context, PING).await;
        assert_eq!(answer["error"]["reason"], reason);
        assert!(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains("reconnect with a new ticket")
        );
    }
    assert!(fixture.connections_of("alice").await.is_empty());
}

#[tokio::test]
async fn frames_are_answered_while_the_registry_is_away_but_not_past_the_lease() {
    let mut fixture = Fixture::new().await;
    let mut context = fixture.context("alice").await;
    let away = fixture
        .databases
        .settings()
        .clone()
        .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let mut environment = environment("default", &away);
    let ping = |context: &Value| event("$default", "first=", context, Some(PING));
    let answer = invoke(&mut environment, ping(&context)).await;
    assert_eq!(answer["body"], r#"{"pong":{}}"#);
    context["expires_at"] = json!(Utc::now().timestamp().to_string());
    let answer = invoke(&mut environment, ping(&context)).await;
    assert!(answer["body"].as_str().unwrap().contains("LEASE_ENDED"));
}

#[tokio::test]
async fn the_twenty_first_frame_at_once_is_one_too_many() {
    let mut fixture = Fixture::new().await;
    let context = fixture.context("alice").await;
    fixture
        .call("connect", event("$connect", "first=", &context, None))
        .await;
    // Garbage counts as well. The first frames may be paid off by the time of the last, so a few more are needed.
    let mut answers = Vec::new();
    for frame in [PING, "garbage"].iter().cycle().take(200) {
        answers.push(fixture.frame("first=", &context, frame).await);
        if answers.last().unwrap()["error"]["reason"] == "TOO_MANY_FRAMES" {
            break;
        }
    }
    assert_eq!(answers.last().unwrap()["error"]["reason"], "TOO_MANY_FRAMES");
    assert!(answers.len() > 20, "{}", answers.len());
    // It is this connection's rate alone.
    let context = fixture.context("alice").await;
    fixture
        .call("connect", event("$connect", "second=", &context, None))
        .await;
    assert_eq!(fixture.frame("second=", &context, PING).await, json!({ "pong": {} }));
}

#[tokio::test]
async fn a_lease_that_has_ended_opens_nothing() {
    let mut fixture = Fixture::new().await;
    let mut context = fixture.context("alice").await;
    context["expires_at"] = json!(Utc::now().timestamp().to_string());
    let answer = fixture
        .call("connect", event("$connect", "late=", &context, None))
        .await;
    assert_eq!(answer, json!({ "statusCode": 403 }));
    assert!(fixture.connections_of("alice").await.is_empty());
}

#[tokio::test]
async fn a_registry_that_is_away_is_an_answer_and_not_a_crash() {
    let mut fixture = Fixture::new().await;
    let context = fixture.context("alice").await;
    let away = fixture
        .databases
        .settings()
        .clone()
        .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    for function in ["connect", "disconnect"] {
        let mut environment = environment(function, &away);
        let answer = invoke(&mut environment, event("$connect", "first=", &context, None)).await;
        assert_eq!(answer, json!({ "statusCode": 503 }), "{function}");
    }
}

#[tokio::test]
async fn an_unguarded_route_is_an_error_that_says_what_to_mend() {
    let fixture = Fixture::new().await;
    let mut unguarded = event("$connect", "first=", &Value::Null, None);
    for function in ["connect", "disconnect", "default"] {
        unguarded["requestContext"]["routeKey"] = json!(format!("${function}"));
        let mut environment = environment(function, fixture.databases.settings());
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = environment
            .invoke(unguarded.to_string().as_bytes(), deadline)
            .await
            .err()
            .unwrap();
        assert!(
            error
                .to_string()
                .contains("let authorize-socket guard the route $connect"),
            "{error}"
        );
    }
}
