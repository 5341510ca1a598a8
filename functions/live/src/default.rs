//! Answers the frames that clients send: the route `$default`.

use std::time::Instant;

use chat_contract::Timestamp;
use chat_contract::v1::live_event::Event;
use chat_contract::v1::live_request::Request;
use chat_contract::v1::{LiveError, LiveEvent, LiveRequest, Pong, Welcome};
use chat_runtime::{EventError, EventHandler, Settings, SettingsError};

use crate::socket::{Authorized, SocketAnswer, SocketEvent};

/// The function of the route `$default`: answers a hello with a welcome, a ping with a pong, and anything else with an
/// error that says what is understood. It calls nobody, and never logs what a client sent.
#[derive(Debug)]
pub struct DefaultRoute;

impl EventHandler for DefaultRoute {
    type Event = SocketEvent;
    type Answer = SocketAnswer;

    fn new(_settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }

    async fn call(&self, event: SocketEvent, _deadline: Instant) -> Result<SocketAnswer, EventError> {
        let authorized = event.authorized()?;
        let frame = event
            .body
            .as_deref()
            .filter(|_| !event.is_base64_encoded)
            .unwrap_or_default();
        let answer = LiveEvent {
            event: Some(answer(frame, &authorized)),
            ..LiveEvent::default()
        };
        serde_json::to_string(&answer)
            .map(SocketAnswer::frame)
            .map_err(|error| EventError::new(format!("the answer cannot be written: {error}")))
    }
}

fn answer(frame: &str, authorized: &Authorized) -> Event {
    match serde_json::from_str(frame) {
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
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::socket::Context;
    use crate::socket::tests::event;
    use crate::ticket::tests::{now, ticket};

    async fn call(event: Value) -> Value {
        let route = DefaultRoute::new(&Settings::default()).unwrap();
        let event = serde_json::from_value(event).unwrap();
        let answer = route
            .call(event, Instant::now() + Duration::from_secs(1))
            .await
            .unwrap();
        serde_json::to_value(answer).unwrap()
    }

    /// The frame that answers this one.
    async fn answer_to(frame: &str) -> Value {
        let answer = call(event("L0SM9cOFvHcCIhw=", &Context::new(&ticket(), now()), Some(frame))).await;
        assert_eq!(answer.get("statusCode"), Some(&json!(200)));
        serde_json::from_str(answer.get("body").unwrap().as_str().unwrap()).unwrap()
    }

    fn malformed() -> Value {
        let message = r#"send {"hello":{}} or {"ping":{}} as a text frame"#;
        json!({ "error": { "reason": "MALFORMED_FRAME", "message": message } })
    }

    #[tokio::test]
    async fn a_hello_is_welcomed() {
        // One hour: the token of the ticket ends then.
        let welcome = json!({ "welcome": { "userId": "alice", "expiresAt": "2027-01-15T09:00:00Z" } });
        for frame in [
            r#"{"hello":{}}"#,
            " {\n\"hello\" : { } } ",
            r#"{"hello":{},"futureField":[1]}"#,
        ] {
            assert_eq!(answer_to(frame).await, welcome, "{frame}");
        }
    }

    #[tokio::test]
    async fn a_ping_is_ponged() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let newer = format!(r#"{{"ping":{{"futureField":{deep}}},"futureField":{deep}}}"#);
        for frame in [r#"{"ping":{}}"#, &newer] {
            assert_eq!(answer_to(frame).await, json!({ "pong": {} }), "{frame:.60}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused_and_the_connection_stays() {
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
            assert_eq!(answer_to(frame).await, malformed(), "{frame:.60}");
        }
        let context = Context::new(&ticket(), now());
        let none = call(event("L0SM9cOFvHcCIhw=", &context, None)).await;
        let mut binary = event("L0SM9cOFvHcCIhw=", &context, Some(r#"{"ping":{}}"#));
        binary["isBase64Encoded"] = json!(true);
        for answer in [none, call(binary).await] {
            let body = answer.get("body").unwrap().as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(body).unwrap(), malformed());
        }
    }
}
