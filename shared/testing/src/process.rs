//! Functions as processes of their own, against a Lambda Runtime API.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use chat_operation::Settings;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::WAIT_MAX;

/// The id of every invocation.
pub const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
/// The trace that every invocation belongs to.
pub const TRACE_ID: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1";

/// What functions may be told by their environment.
const SETTINGS: [&str; 14] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "CONTENT_KEY",
    "DELIVERY_QUEUE_URL",
    "FUNCTIONS_DATABASE_URL",
    "LIVE_ENDPOINT",
    "LIVE_TABLE",
    "LIVE_URL",
    "MONGODB_DATABASE",
    "MONGODB_URI",
    "RUST_LOG",
    "TICKET_KEY",
];

/// A function's process with a Runtime API of its own, as Lambda starts it: an environment of what it is told and
/// nothing else. Killed when it is dropped.
pub struct FunctionProcess {
    process: Child,
    _serving: JoinSet<()>,
    log: Lines<BufReader<ChildStdout>>,
    events: mpsc::UnboundedSender<(Value, Duration)>,
    seen: mpsc::UnboundedReceiver<(Instant, Seen)>,
}

/// What the Runtime API sees of a function.
#[derive(Debug)]
pub enum Seen {
    /// It asked for an event.
    Next,
    /// It answered the event of this id.
    Response(String, Bytes),
    /// It said that it cannot handle an event.
    Error,
}

struct RuntimeApi {
    events: Mutex<mpsc::UnboundedReceiver<(Value, Duration)>>,
    seen: mpsc::UnboundedSender<(Instant, Seen)>,
}

impl RuntimeApi {
    fn saw(&self, seen: Seen) {
        // A test that has ended looks no more.
        let _ = self.seen.send((Instant::now(), seen));
    }

    async fn next(State(api): State<Arc<Self>>) -> Response {
        api.saw(Seen::Next);
        let Some((event, left)) = api.events.lock().await.recv().await else {
            return std::future::pending().await;
        };
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let deadline = epoch.unwrap_or_default() + left;
        let headers = [
            ("lambda-runtime-aws-request-id", REQUEST_ID.to_owned()),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:123456789012:function:chat".to_owned(),
            ),
            ("lambda-runtime-trace-id", TRACE_ID.to_owned()),
        ];
        (headers, event.to_string()).into_response()
    }

    #[expect(clippy::unused_async, reason = "axum calls async functions only")]
    async fn response(State(api): State<Arc<Self>>, Segment(id): Segment<String>, body: Bytes) -> StatusCode {
        api.saw(Seen::Response(id, body));
        StatusCode::ACCEPTED
    }

    #[expect(clippy::unused_async, reason = "axum calls async functions only")]
    async fn error(State(api): State<Arc<Self>>) -> StatusCode {
        api.saw(Seen::Error);
        StatusCode::ACCEPTED
    }
}

impl FunctionProcess {
    /// Starts a function's program with these settings.
    ///
    /// # Panics
    /// When the program is not there or cannot be started.
    pub async fn start(program: &Path, settings: &Settings) -> Self {
        let listening = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            std::io::Result::Ok((listener, address))
        };
        let (listener, address) = listening
            .await
            .unwrap_or_else(|error| panic!("no port for a Runtime API: {error}"));
        let (sender, seen) = mpsc::unbounded_channel();
        let (events, handed_out) = mpsc::unbounded_channel();
        let api = Arc::new(RuntimeApi {
            events: Mutex::new(handed_out),
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
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            // It serves until it is dropped.
            let _ = axum::serve(listener, router).await;
        });
        let started = function_command(program, settings)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let stdout = process.stdout.take().unwrap_or_else(|| panic!("stdout is piped"));
        Self {
            process,
            _serving: serving,
            log: BufReader::new(stdout).lines(),
            events,
            seen,
        }
    }

    /// Has the function handle an event, in turn, within this time from when it takes it.
    pub fn invoke(&self, event: Value, left: Duration) {
        // The Runtime API, which takes it, lives as long as this.
        let _ = self.events.send((event, left));
    }

    /// What the function does next.
    ///
    /// # Panics
    /// When it does nothing within [`WAIT_MAX`].
    pub async fn seen(&mut self) -> (Instant, Seen) {
        match tokio::time::timeout(WAIT_MAX, self.seen.recv()).await {
            Ok(Some(seen)) => seen,
            _ => panic!("the function did nothing within {} s", WAIT_MAX.as_secs()),
        }
    }

    /// Asks the program to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not within [`WAIT_MAX`].
    pub async fn terminate(mut self) {
        let pid = self
            .process
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        // One that has ended by itself has no id any more.
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let ended = tokio::time::timeout(WAIT_MAX, self.process.wait()).await;
        assert!(ended.is_ok(), "the program did not end within {} s", WAIT_MAX.as_secs());
    }

    /// What the function has done already, if anything.
    pub fn seen_already(&mut self) -> Option<(Instant, Seen)> {
        self.seen.try_recv().ok()
    }

    /// The answer, which must be what the function does next: the JSON that it returns.
    ///
    /// # Panics
    /// When it does something else.
    pub async fn answer(&mut self) -> Bytes {
        match self.seen().await {
            (_, Seen::Response(id, body)) => {
                assert_eq!(id, REQUEST_ID);
                body
            }
            other => panic!("no answer, but {other:?}"),
        }
    }

    /// The next line of its log.
    ///
    /// # Panics
    /// When none comes within [`WAIT_MAX`], or one that is no JSON.
    pub async fn logged(&mut self) -> Value {
        match tokio::time::timeout(WAIT_MAX, self.log.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}")),
            other => panic!("no line of the log, but {other:?}"),
        }
    }
}

/// A command that starts a function's program as Lambda would, but for the address of the Runtime API.
pub fn function_command(program: &Path, settings: &Settings) -> Command {
    let told = SETTINGS
        .iter()
        .filter_map(|name| Some((*name, settings.get(name)?)))
        .chain([
            ("AWS_LAMBDA_FUNCTION_NAME", "chat"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ]);
    let mut command = Command::new(program);
    command.env_clear().envs(told).kill_on_drop(true);
    command
}

/// The event of an HTTP API (payload format 2.0) for a call of an RPC, in the shape that API Gateway sends.
pub fn http_event(path: &str, caller: &str, content_type: &str, body: &str, is_base64_encoded: bool) -> Value {
    json!({
        "version": "2.0",
        "routeKey": format!("POST {path}"),
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "authorization": "Bearer e30.e30.e30",
            "content-length": "16",
            "content-type": content_type,
            "host": "abcde12345.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "grpc-web-javascript/0.1",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            "x-grpc-web": "1"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcde12345",
            "authorizer": {
                "jwt": {
                    "claims": {
                        "aud": "chat", "exp": "1893456000", "iat": "1700000000", "iss": "https://issuer.example",
                        "scope": "chat", "sub": caller, "groups": "[a b]"
                    },
                    "scopes": null
                }
            },
            "domainName": "abcde12345.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcde12345",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "grpc-web-javascript/0.1"
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("POST {path}"),
            "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1_583_817_383_220_i64
        },
        "body": body,
        "isBase64Encoded": is_base64_encoded
    })
}
