use std::time::{Duration, Instant};

use chat_operation::{FromSettings, Settings, SettingsError};
use chat_runtime::{EventError, EventHandler, Function, InvocationError, Trigger};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::events;

/// Answers with the id of the connection that it is called for.
struct WhoAmI {
    stage: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: Context,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    route_key: String,
    connection_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    status_code: u16,
    body: String,
}

impl FromSettings for WhoAmI {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            stage: settings.require("STAGE", "the name of the stage")?.to_owned(),
        })
    }
}

impl EventHandler for WhoAmI {
    type Event = Event;
    type Answer = Reply;

    async fn call(&self, event: Event, deadline: Instant) -> Result<Reply, EventError> {
        match event.request_context.route_key.as_str() {
            "$connect" => panic!("a secret"),
            "$disconnect" => Err(EventError::new("cannot disconnect")),
            "late" => Ok(Reply {
                status_code: 200,
                body: format!("{}", deadline.elapsed().is_zero()),
            }),
            _ => Ok(Reply {
                status_code: 200,
                body: event.request_context.connection_id + " " + &self.stage,
            }),
        }
    }
}

const WHO_AM_I: Function = Function::event::<WhoAmI>("who-am-i", Trigger::SocketRoute("$default"));

async fn invoke(route: &str, left: Duration) -> Result<Value, InvocationError> {
    let mut environment = WHO_AM_I
        .environment(&Settings::default().with("STAGE", "live"))
        .unwrap();
    let event = events::socket(route).to_string();
    let invocation = environment.invoke(event.as_bytes(), Instant::now() + left).await?;
    assert_eq!(invocation.after_answer.now_or_never(), Some(()));
    Ok(serde_json::from_slice(&invocation.response).unwrap())
}

#[test]
fn a_handler_is_a_function_with_settings() {
    assert_eq!(
        (WHO_AM_I.name(), WHO_AM_I.trigger()),
        ("who-am-i", Trigger::SocketRoute("$default"))
    );
    let error = WHO_AM_I.environment(&Settings::default()).unwrap_err();
    assert_eq!(error.to_string(), "STAGE is not set; set it to the name of the stage");
}

#[tokio::test]
async fn a_handler_reads_an_event_and_answers_json() {
    let answer = invoke("$default", Duration::from_secs(5)).await.unwrap();
    assert_eq!(answer, json!({ "statusCode": 200, "body": "JKJaXcPLvHcCJaQ= live" }));
}

#[tokio::test]
async fn a_handlers_deadline_leaves_time_for_the_answer() {
    let body = async |left| invoke("late", Duration::from_millis(left)).await.unwrap()["body"].clone();
    assert_eq!((body(5_000).await, body(150).await), (json!("true"), json!("false")));
}

#[tokio::test]
async fn what_goes_wrong_is_one_line() {
    let failed = invoke("$disconnect", Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(failed.to_string(), "cannot disconnect");
    let panicked = invoke("$connect", Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(panicked.to_string(), "the function panicked");
    let mut environment = WHO_AM_I
        .environment(&Settings::default().with("STAGE", "live"))
        .unwrap();
    let unreadable = environment
        .invoke(b"{}", Instant::now() + Duration::from_secs(5))
        .await
        .unwrap_err();
    assert!(matches!(unreadable, InvocationError::Event(_)), "{unreadable}");
}
