use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_contract::health::{HealthCheckRequest, HealthCheckResponse};
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_operation::{Settings, SettingsError};
use chat_runtime::{Function, Invocation, InvocationError, Trigger};
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::echo::Echo;
use crate::{events, gateway};

const ECHO: Function = Function::operation::<Echo>();

/// An operation that tells nobody anything and may be called by anyone.
struct Check;

impl FromSettings for Check {
    fn from_settings(_settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }
}

impl Operation for Check {
    type Request = HealthCheckRequest;
    const PUBLIC: bool = true;

    async fn call(&self, _: &CallContext, _: HealthCheckRequest) -> Result<Answer<HealthCheckResponse>, Failure> {
        Ok(HealthCheckResponse::default().into())
    }
}

/// Settings of a function that delivers, with a registry at this port.
pub(crate) fn settings(registry_port: u16) -> Settings {
    [
        ("LIVE_TABLE", "live".to_owned()),
        ("DELIVERY_QUEUE_URL", "http://127.0.0.1:9/000000000000/queue".to_owned()),
        ("LIVE_ENDPOINT", format!("http://127.0.0.1:{registry_port}/live")),
        ("AWS_REGION", "eu-central-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "id".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{registry_port}")),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

async fn invoke(function: Function, event: &Value) -> Result<Invocation, InvocationError> {
    let mut environment = function.environment(&settings(9)).unwrap();
    environment
        .invoke(event.to_string().as_bytes(), Instant::now() + Duration::from_secs(5))
        .await
}

async fn answer(event: &Value) -> gateway::Answer {
    gateway::Answer::of(&invoke(ECHO, event).await.unwrap().response)
}

#[test]
fn a_function_is_named_after_its_rpc() {
    assert_eq!(ECHO.name(), "send-message");
    let path = "/chat.v1.MessageService/SendMessage";
    assert_eq!(ECHO.trigger(), Trigger::Rpc { path, public: false });
    let check = Function::operation::<Check>();
    assert_eq!(check.name(), "check");
    assert_eq!(
        check.trigger(),
        Trigger::Rpc {
            path: "/grpc.health.v1.Health/Check",
            public: true
        }
    );
}

#[test]
fn only_a_function_that_delivers_needs_the_settings_for_it() {
    assert!(Function::operation::<Check>().environment(&Settings::default()).is_ok());
    let error = ECHO.environment(&Settings::default()).unwrap_err();
    assert!(matches!(error, SettingsError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_binary_answer_travels_as_base64() {
    let answer = answer(&events::grpc_web("hi")).await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (200, "application/grpc-web+proto")
    );
    assert!(answer.is_base64_encoded);
    assert_eq!(answer.grpc_status(), 0);
    assert!(
        String::from_utf8_lossy(&answer.body).contains("alice"),
        "the claims name the caller"
    );
}

#[tokio::test]
async fn a_text_answer_travels_as_it_is() {
    let body = STANDARD.encode(events::frame("hi"));
    // API Gateway treats this content type as binary, but a gateway may also pass its text on as text.
    for (body, is_base64_encoded) in [(STANDARD.encode(&body), true), (body, false)] {
        let answer = answer(&events::http("application/grpc-web-text", &body, is_base64_encoded)).await;
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (200, "application/grpc-web-text+proto")
        );
        assert!(!answer.is_base64_encoded);
        assert!(STANDARD.decode(&answer.body).unwrap().ends_with(b"grpc-status:0\r\n"));
    }
}

#[tokio::test]
async fn json_travels_as_it_is() {
    let good = answer(&events::http("application/json", r#"{"text":"hi"}"#, false)).await;
    assert_eq!(
        (good.status, good.content_type.as_str(), good.is_base64_encoded),
        (200, "application/json", false)
    );
    let message: Value = serde_json::from_slice(&good.body).unwrap();
    assert_eq!(message, json!({ "message": { "senderId": "alice", "text": "hi" } }));
    let bad = answer(&events::http("application/json", "{", false)).await;
    assert_eq!((bad.status, bad.is_base64_encoded), (400, false));
}

#[tokio::test]
async fn a_request_that_is_no_call_is_refused_over_http() {
    let other = answer(&events::http("text/html", "", false)).await;
    assert_eq!((other.status, other.is_base64_encoded), (415, false));
}

#[tokio::test]
async fn without_claims_there_is_no_caller() {
    for authorizer in [
        Value::Null,
        json!({}),
        json!({ "jwt": null }),
        json!({ "lambda": { "sub": "mallory" } }),
    ] {
        let mut event = events::grpc_web("hi");
        event["requestContext"]["authorizer"] = authorizer;
        assert_eq!(answer(&event).await.grpc_status(), 16);
    }
    let mut event = events::http("application/json", "{}", false);
    event["requestContext"].as_object_mut().unwrap().remove("authorizer");
    let invocation = invoke(Function::operation::<Check>(), &event).await.unwrap();
    assert_eq!(gateway::Answer::of(&invocation.response).status, 200);
}

#[tokio::test]
async fn a_call_ends_before_its_invocation_does() {
    let mut environment = ECHO.environment(&settings(9)).unwrap();
    let event = events::grpc_web("hi").to_string();
    // Less is left than what is kept back for the answer.
    for left in [Duration::ZERO, Duration::from_millis(150)] {
        let invocation = environment
            .invoke(event.as_bytes(), Instant::now() + left)
            .await
            .unwrap();
        assert_eq!(gateway::Answer::of(&invocation.response).grpc_status(), 4);
    }
}

#[tokio::test]
async fn an_event_of_another_shape_is_an_error_in_one_line() {
    let mut environment = ECHO.environment(&settings(9)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    for event in [
        "",
        "{",
        "null",
        "{}",
        "[]",
        r#"{"Records":[]}"#,
        &events::socket("$default").to_string(),
    ] {
        let error = environment.invoke(event.as_bytes(), deadline).await.unwrap_err();
        assert!(matches!(error, InvocationError::Event(_)), "{event}: {error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    let unreadable = events::http("application/grpc-web+proto", "not base64!", true).to_string();
    let error = environment.invoke(unreadable.as_bytes(), deadline).await.unwrap_err();
    assert!(matches!(error, InvocationError::Panic), "{error}");
    // The environment lives on.
    let good = environment
        .invoke(events::grpc_web("hi").to_string().as_bytes(), deadline)
        .await
        .unwrap();
    assert_eq!(gateway::Answer::of(&good.response).grpc_status(), 0);
}

#[tokio::test]
async fn a_host_or_query_that_is_no_part_of_a_url_does_no_harm() {
    for bad in ["", "[", "a b", "%zz", "x\"<>", "ä", "@:0"] {
        let mut event = events::grpc_web("hi");
        event["headers"]["host"] = bad.into();
        event["requestContext"]["domainName"] = bad.into();
        event["rawQueryString"] = bad.into();
        event["rawPath"] = format!("/{bad}").into();
        event["cookies"] = json!([bad]);
        assert_eq!(answer(&event).await.grpc_status(), 0, "{bad}");
    }
}

#[tokio::test]
async fn a_panic_of_an_operation_is_an_answer() {
    assert_eq!(answer(&events::grpc_web("panic")).await.grpc_status(), 13);
}

#[tokio::test]
async fn notices_wait_for_the_answer() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut environment = ECHO
        .environment(&settings(registry.local_addr().unwrap().port()))
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let invocation = environment
        .invoke(events::grpc_web("notify").to_string().as_bytes(), deadline)
        .await
        .unwrap();
    assert_eq!(gateway::Answer::of(&invocation.response).grpc_status(), 0);
    assert!(
        registry.accept().now_or_never().is_none(),
        "delivery began before the answer was out"
    );

    // A registry that takes the connection and says nothing holds delivery up, but not beyond the deadline.
    let (_connection, ()) = tokio::join!(registry.accept(), invocation.after_answer);
    assert!(Instant::now() < deadline);
}

#[tokio::test]
async fn each_invocation_has_its_own_notices() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut environment = ECHO
        .environment(&settings(registry.local_addr().unwrap().port()))
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let notify = events::grpc_web("notify").to_string();
    // Nobody waits for this one's delivery, as if the environment had been frozen for good.
    drop(environment.invoke(notify.as_bytes(), deadline).await.unwrap());
    let silent = environment
        .invoke(events::grpc_web("hi").to_string().as_bytes(), deadline)
        .await
        .unwrap();
    assert_eq!(silent.after_answer.now_or_never(), Some(()));
}
