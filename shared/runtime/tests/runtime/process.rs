//! A function's own process against a Lambda Runtime API.

use std::path::PathBuf;
use std::time::Duration;

use chat_testing::{FunctionProcess, REQUEST_ID, Seen, TRACE_ID, WAIT_MAX};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::operations::settings;
use crate::{events, gateway};

/// The smallest function, which cargo builds along with the tests of this package.
pub(crate) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/echo");
    assert!(
        program.exists(),
        "there is no {}; build it: cargo build --package chat-runtime --examples",
        program.display()
    );
    program
}

/// Starts the function with a registry at this port, for these events, each with the time that it leaves the function.
pub(crate) async fn start(registry_port: u16, events: impl IntoIterator<Item = (Value, Duration)>) -> FunctionProcess {
    let function = FunctionProcess::start(&program(), &settings(registry_port)).await;
    for (event, left) in events {
        function.invoke(event, left);
    }
    function
}

pub(crate) async fn returned(function: &mut FunctionProcess) -> gateway::Answer {
    gateway::Answer::of(&function.answer().await)
}

#[tokio::test]
async fn a_function_answers_then_delivers_then_asks_for_more() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let left = Duration::from_millis(1_500);
    let calls = [(events::grpc_web("notify"), left), (events::grpc_web("hi"), WAIT_MAX)];
    let mut function = start(registry.local_addr().unwrap().port(), calls).await;

    let (start, first) = function.seen().await;
    assert!(matches!(first, Seen::Next));
    let answer = returned(&mut function).await;
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
    assert_eq!(returned(&mut function).await.grpc_status(), 0);
}

#[tokio::test]
async fn a_panic_and_a_bad_event_leave_the_function_running() {
    let calls = [
        events::grpc_web("panic"),
        events::socket("$default"),
        events::grpc_web("hi"),
    ];
    let mut function = start(9, calls.map(|event| (event, WAIT_MAX))).await;
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert_eq!(returned(&mut function).await.grpc_status(), 13);
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert!(matches!(function.seen().await.1, Seen::Error));
    assert!(matches!(function.seen().await.1, Seen::Next));
    assert_eq!(returned(&mut function).await.grpc_status(), 0);
}

#[tokio::test]
async fn a_log_line_is_json_that_says_which_call_it_is_of() {
    let mut function = start(9, [(events::grpc_web("panic"), WAIT_MAX)]).await;
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
    assert_eq!(invocation["request_id"], REQUEST_ID);
    assert_eq!(invocation["xray_trace_id"], TRACE_ID);
    assert_eq!(rpc["rpc"], "/chat.v1.MessageService/SendMessage");
    for line in [hook, call] {
        assert!(!line.to_string().contains("secret"), "{line}");
    }
}

#[tokio::test]
async fn no_level_of_the_log_shows_what_was_said_or_the_token() {
    let registry = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = settings(registry.local_addr().unwrap().port());
    for level in ["trace", "lambda_runtime::layers=trace,debug"] {
        let mut function = FunctionProcess::start(&program(), &settings.clone().with("RUST_LOG", level)).await;
        let said = "a word of their own";
        let mut event = events::http("application/json", &format!(r#"{{"text":"{said}"}}"#), false);
        event["headers"]["authorization"] = "Bearer of-a-token".into();
        // The second call fails while it delivers, so that clients have something to tell as well.
        function.invoke(event, WAIT_MAX);
        function.invoke(events::grpc_web("notify"), Duration::from_secs(1));
        function.invoke(events::grpc_web("panic"), WAIT_MAX);
        let mut lines = Vec::new();
        while lines
            .last()
            .is_none_or(|line: &Value| line["message"] != "the operation panicked")
        {
            lines.push(function.logged().await);
        }
        let answered = lines.iter().filter(|line| line["message"] == "call answered").count();
        assert_eq!(answered, 2, "{lines:#?}");
        for line in lines {
            let line = line.to_string();
            for secret in [said, "of-a-token", "secret"] {
                assert!(!line.contains(secret), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_setting_is_one_line_and_exit_code_1() {
    let settings = settings(9);
    let delivery = [
        "LIVE_TABLE",
        "DELIVERY_QUEUE_URL",
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
