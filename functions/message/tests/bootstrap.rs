//! The program that is deployed as `send-message`, run as Lambda runs it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps or indexes fails where it should, also in its helpers"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the program looks at the clock, and what it finds must fit"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::post;
use chat_contract::Rpc;
use chat_contract::v1::{LiveEvent, Message, SendMessageRequest, SendMessageResponse, live_event};
use chat_domain::ConversationId;
use chat_operation::FromSettings;
use chat_stores::dynamo::{Connection, Registration, Registry, TicketId};
use chat_stores::mongo::{Consistency, HistoryRange, Timeline};
use chat_testing::{Fixture, FunctionProcess, Seen, WAIT_MAX, function_command, http_event, user};
use chrono::Utc;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_send-message");
const CONNECTION: &str = "L0SM9cOFvHcCIhw=";

/// An `@connections` endpoint that takes a post only when it is let.
struct Connections {
    posted: mpsc::UnboundedSender<(String, LiveEvent)>,
    take: Notify,
}

impl Connections {
    async fn post(State(connections): State<Arc<Self>>, Segment(id): Segment<String>, body: String) -> StatusCode {
        let event = chat_contract::json::decode(body.as_bytes()).unwrap();
        connections.posted.send((id, event)).unwrap();
        connections.take.notified().await;
        StatusCode::OK
    }
}

/// A call in the shape in which API Gateway hands it to the function, as JSON.
fn call(conversation: ConversationId, op: &str, text: &str) -> Value {
    let request = json!({ "conversationId": conversation.to_string(), "clientMessageId": op, "text": text });
    http_event(
        SendMessageRequest::PATH,
        "alice",
        "application/json",
        &request.to_string(),
        false,
    )
}

/// The message in the JSON that the function returned.
fn message(returned: &[u8]) -> Message {
    let returned: Value = serde_json::from_slice(returned).unwrap();
    assert_eq!(returned["statusCode"], 200, "{returned}");
    assert_eq!(returned["headers"]["content-type"], "application/json");
    assert_eq!(returned["isBase64Encoded"], false);
    let response: SendMessageResponse =
        chat_contract::json::decode(returned["body"].as_str().unwrap().as_bytes()).unwrap();
    assert!(!response.deduplicated);
    response.message.unwrap()
}

#[tokio::test]
async fn the_program_answers_with_what_is_durable_then_delivers_then_asks_for_more() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let now = Utc::now();
    let connection = Connection {
        user: user("bob"),
        ticket: TicketId::generate(),
        id: CONNECTION.parse().unwrap(),
        since: now,
        until: now + Duration::from_hours(1),
        ticket_until: now + Duration::from_secs(30),
    };
    let registered = Registry::from_settings(fixture.settings())
        .unwrap()
        .register(&connection, now)
        .await;
    assert_eq!(registered.unwrap(), Registration::Registered);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/live", listener.local_addr().unwrap());
    let (posted, mut posts) = mpsc::unbounded_channel();
    let connections = Arc::new(Connections {
        posted,
        take: Notify::new(),
    });
    let router = Router::new()
        .route("/live/@connections/{id}", post(Connections::post))
        .with_state(connections.clone());
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await });

    let settings = fixture.settings().clone().with("LIVE_ENDPOINT", endpoint);
    let mut function = FunctionProcess::start(Path::new(PROGRAM), &settings).await;
    assert!(matches!(function.seen().await.1, Seen::Next));
    function.invoke(call(conversation, "a1", "Hello, Bob"), WAIT_MAX);

    let sent = message(&function.answer().await);
    assert_eq!(
        (sent.seq, sent.revision, &*sent.sender_id, &*sent.text),
        (1, 1, "alice", "Hello, Bob")
    );
    let timeline = Timeline::from_settings(fixture.settings()).unwrap();
    let kept = timeline
        .list_messages(conversation, HistoryRange::After(0), 10, Consistency::Majority)
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].message.to_string(), &*kept[0].text),
        (sent.message_id.clone(), "Hello, Bob")
    );

    // The answer is out while the push is still under way, and only when that is done comes the next event's turn.
    let (id, event) = tokio::time::timeout(WAIT_MAX, posts.recv()).await.unwrap().unwrap();
    assert_eq!(id, CONNECTION);
    assert_eq!(
        event,
        LiveEvent {
            conversation_id: conversation.to_string(),
            revision: 1,
            previous_revision: 0,
            event: Some(live_event::Event::MessageSent(sent)),
            ..LiveEvent::default()
        }
    );
    assert!(function.seen_already().is_none());
    connections.take.notify_one();
    assert!(matches!(function.seen().await.1, Seen::Next));

    // The same process, with its connections, serves the next call.
    connections.take.notify_one();
    function.invoke(call(conversation, "a2", "Are you there?"), WAIT_MAX);
    assert_eq!(message(&function.answer().await).revision, 2);
    assert!(matches!(function.seen().await.1, Seen::Next));
    let call = function.logged().await;
    assert_eq!((&call["level"], &call["code"]), (&json!("INFO"), &json!("OK")));
    assert!(
        !call.to_string().contains("Hello"),
        "what is said is not logged: {call}"
    );
}

#[tokio::test]
async fn a_missing_or_broken_setting_is_one_line_and_exit_code_1() {
    let fixture = Fixture::new().await;
    for (name, value, problem) in [
        (
            "FUNCTIONS_DATABASE_URL",
            "",
            "send-message: FUNCTIONS_DATABASE_URL is not set; set it to a Postgres URL",
        ),
        (
            "FUNCTIONS_DATABASE_URL",
            "mysql://chat@localhost/chat",
            "send-message: FUNCTIONS_DATABASE_URL is not",
        ),
        (
            "MONGODB_URI",
            "",
            "send-message: MONGODB_URI is not set; set it to a MongoDB URI",
        ),
        ("LIVE_TABLE", "", "send-message: LIVE_TABLE is not set; set it to "),
        ("CONTENT_KEY", "", "send-message: CONTENT_KEY is not set; set it to "),
    ] {
        let settings = fixture.settings().clone().with(name, value);
        let output = function_command(Path::new(PROGRAM), &settings)
            .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
            .output()
            .await
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.starts_with(problem), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}
