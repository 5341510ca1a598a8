//! A function's own process against a Lambda Runtime API.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::operations::settings;
use crate::{events, gateway};

/// How long the tests wait for anything at all.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// The smallest function, which cargo builds along with the tests of this package.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/echo");
    assert!(
        program.exists(),
        "there is no {}; build it: cargo build --package chat-runtime --examples",
        program.display()
    );
    program
}

/// What the Runtime API sees of a function.
#[derive(Debug)]
enum Seen {
    /// It asked for an event.
    Next,
    /// It answered the event of this id.
    Response(String, Bytes),
    /// It said that it cannot handle an event.
    Error,
}

struct RuntimeApi {
    /// Events still to be handed out, each with the time that it leaves the function.
    events: Mutex<VecDeque<(Value, Duration)>>,
    seen: mpsc::UnboundedSender<(Instant, Seen)>,
}

impl RuntimeApi {
    fn saw(&self, seen: Seen) {
        self.seen.send((Instant::now(), seen)).unwrap();
    }

    async fn next(State(api): State<Arc<Self>>) -> Response {
        api.saw(Seen::Next);
        let event = api.events.lock().unwrap().pop_front();
        let Some((event, left)) = event else {
            return std::future::pending().await;
        };
        let deadline = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + left;
        let headers = [
            (
                "lambda-runtime-aws-request-id",
                "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
            ),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:echo".to_owned(),
            ),
            (
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1".to_owned(),
            ),
        ];
        (headers, event.to_string()).into_response()
    }

    #[expect(clippy::unused_async, reason = "axum calls async functions only")]
    async fn response(State(api): State<Arc<Self>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
        api.saw(Seen::Response(id, body));
        StatusCode::ACCEPTED
    }

    #[expect(clippy::unused_async, reason = "axum calls async functions only")]
    async fn error(State(api): State<Arc<Self>>) -> StatusCode {
        api.saw(Seen::Error);
        StatusCode::ACCEPTED
    }
}

/// A running function, killed when it is dropped.
struct Running {
    _process: Child,
    log: Lines<BufReader<ChildStdout>>,
    seen: mpsc::UnboundedReceiver<(Instant, Seen)>,
}

impl Running {
    /// Starts the function with a registry at this port, for these events.
    async fn start(registry_port: u16, events: impl IntoIterator<Item = (Value, Duration)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::unbounded_channel();
        let api = Arc::new(RuntimeApi {
            events: Mutex::new(events.into_iter().collect()),
            seen: sender,
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(RuntimeApi::next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(RuntimeApi::response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(RuntimeApi::error))
            .with_state(api);
        tokio::spawn(async move { axum::serve(listener, router).await });

        let settings = settings(registry_port);
        let names = [
            "LIVE_TABLE",
            "LIVE_ENDPOINT",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
        ];
        let mut process = Command::new(program())
            .env_clear()
            .envs(names.map(|name| (name, settings.get(name).unwrap())))
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "chat-send-message")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            _process: process,
            log,
            seen,
        }
    }

    async fn seen(&mut self) -> (Instant, Seen) {
        tokio::time::timeout(WAIT_MAX, self.seen.recv()).await.unwrap().unwrap()
    }

    async fn answer(&mut self) -> gateway::Answer {
        match self.seen().await {
            (_, Seen::Response(id, body)) => {
                assert_eq!(id, "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
                gateway::Answer::of(&body)
            }
            other => panic!("no answer, but {other:?}"),
        }
    }

    async fn logged(&mut self) -> Value {
        let line = tokio::time::timeout(WAIT_MAX, self.log.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

#[tokio::test]
async fn a_function_answers_then_delivers_then_asks_for_more() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let left = Duration::from_millis(1_500);
    let calls = [(events::grpc_web("notify"), left), (events::grpc_web("hi"), WAIT_MAX)];
    let mut function = Running::start(registry.local_addr().unwrap().port(), calls).await;

    let (start, first) = function.seen().await;
    assert!(matches!(first, Seen::Next));
    let answer = function.answer().await;
    assert_eq!(
        (answer.status, answer.is_base64_encoded, answer.grpc_status()),
        (200, true, 0)
    );

    // The registry takes the connection and says nothing: delivery goes on until 200 ms before the deadline.
    let _connection = tokio::time::timeout(WAIT_MAX, registry.accept())
        .await
        .unwrap()
        .unwrap();
    let (next, second) = function.seen().await;
    assert!(matches!(second, Seen::Next), "{second:?}");
    let busy = next - start;
    assert!(
        busy + Duration::from_millis(210) >= left,
        "the next event was asked for during delivery, after {busy:?}"
    );
    assert_eq!(function.answer().await.grpc_status(), 0);
}

#[tokio::test]
async fn a_panic_and_a_bad_event_leave_the_function_running() {
    let calls = [
        events::grpc_web("panic"),
        events::socket("$default"),
        events::grpc_web("hi"),
    ];
    let mut function = Running::start(9, calls.map(|event| (event, WAIT_MAX))).await;
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert_eq!(function.answer().await.grpc_status(), 13);
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert!(matches!(function.seen().await.1, Seen::Error));
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert_eq!(function.answer().await.grpc_status(), 0);
}

#[tokio::test]
async fn a_log_line_is_json_that_says_which_call_it_is_of() {
    let mut function = Running::start(9, [(events::grpc_web("panic"), WAIT_MAX)]).await;
    let hook = function.logged().await;
    assert_eq!(hook["message"], "panicked");
    assert!(hook["location"].as_str().unwrap().contains("echo.rs"));
    assert_eq!(function.logged().await["message"], "the operation panicked");
    let call = function.logged().await;
    assert_eq!(
        (&call["level"], &call["code"], &call["reason"]),
        (&"ERROR".into(), &"INTERNAL".into(), &"PANIC".into())
    );
    assert!(call["duration_ms"].is_f64());
    let (invocation, rpc) = (&call["spans"][0], &call["spans"][1]);
    assert_eq!(invocation["function"], "send-message");
    assert_eq!(invocation["request_id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    assert_eq!(
        invocation["xray_trace_id"],
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1"
    );
    assert_eq!(rpc["rpc"], "/chat.v1.MessageService/SendMessage");
    for line in [hook, call] {
        assert!(!line.to_string().contains("secret"), "{line}");
    }
}

#[tokio::test]
async fn a_missing_setting_is_one_line_and_exit_code_1() {
    let settings = settings(9);
    let delivery = [
        "LIVE_TABLE",
        "LIVE_ENDPOINT",
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ]
    .map(|name| (name, settings.get(name).unwrap()));
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9"),
        ("AWS_LAMBDA_FUNCTION_NAME", "send-message"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ];
    let bad_log = [("RUST_LOG", "=loud")];
    for (environment, begin) in [
        (vec![], "send-message: "),
        (
            delivery.to_vec(),
            "send-message: AWS_LAMBDA_RUNTIME_API is not set; set it to ",
        ),
        (
            [delivery.as_slice(), &lambda, &bad_log].concat(),
            "send-message: RUST_LOG is not log directives",
        ),
    ] {
        let output = Command::new(program())
            .env_clear()
            .envs(environment)
            .output()
            .await
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
        assert!(stderr.starts_with(begin), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}
