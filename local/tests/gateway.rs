//! The local gateway seen from outside: what its functions get, what its callers get, and how it ends.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chat_contract::Rpc;
use chat_contract::v1::{CreateLiveTicketRequest, CreateLiveTicketResponse, LiveEvent};
use chat_local::gateway::{self, Gateway, GatewayConfig, GatewayError, Issuer, IssuerError, Limits};
use chat_operation::{Answer, CallContext, Failure, FromSettings, Notice, Operation};
use chat_operation::{Settings, SettingsError};
use chat_runtime::{EventError, EventHandler, Function, Trigger};
use futures::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

const RUN: &str = "/test.v1.TestService/Run";
const OPEN: &str = "/test.v1.TestService/Open";
const ACCESS_KEY: &str = "AKIDLOCAL";
/// Longer than anything here takes, so that a broken test ends.
const PATIENCE: Duration = Duration::from_secs(20);

// ---- The functions behind the gateway ----

const FUNCTIONS: &[Function] = &[
    Function::event::<Run>(
        "run",
        Trigger::Rpc {
            path: RUN,
            public: false,
        },
    ),
    Function::event::<Run>(
        "open",
        Trigger::Rpc {
            path: OPEN,
            public: true,
        },
    ),
    Function::event::<Authorize>("authorize", Trigger::SocketAuthorizer),
    Function::event::<Connect>("connect", Trigger::SocketRoute("$connect")),
    Function::event::<Reply>("default", Trigger::SocketRoute("$default")),
    Function::event::<Disconnect>("disconnect", Trigger::SocketRoute("$disconnect")),
    Function::event::<Run>("once", Trigger::Deployment),
];

/// What a test sees of the functions of its gateway, and how it holds them up.
struct World {
    counts: watch::Sender<Counts>,
    /// A function that holds goes on when it gets a permit.
    gate: Semaphore,
    disconnects: mpsc::UnboundedSender<Value>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    created: usize,
    dropped: usize,
    holding: usize,
    finished: usize,
}

static WORLDS: Mutex<Option<HashMap<String, Arc<World>>>> = Mutex::new(None);

impl World {
    fn of(settings: &Settings) -> Result<Arc<Self>, SettingsError> {
        let id = settings.require("WORLD", "the id of the test's world")?;
        Ok(Arc::clone(&WORLDS.lock().unwrap().as_ref().unwrap()[id]))
    }

    async fn hold(&self) {
        self.counts.send_modify(|counts| counts.holding += 1);
        self.gate.acquire().await.unwrap().forget();
        self.counts.send_modify(|counts| counts.finished += 1);
    }

    async fn until(&self, reached: impl Fn(Counts) -> bool) -> Counts {
        *timeout(PATIENCE, self.counts.subscribe().wait_for(|counts| reached(*counts)))
            .await
            .unwrap()
            .unwrap()
    }
}

/// Does what the body of its event asks for.
struct Run(Arc<World>);

impl FromSettings for Run {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let world = World::of(settings)?;
        world.counts.send_modify(|counts| counts.created += 1);
        Ok(Self(world))
    }
}

impl EventHandler for Run {
    type Event = Value;
    type Answer = Value;

    async fn call(&self, event: Value, _: std::time::Instant) -> Result<Value, EventError> {
        let body = event["body"].as_str().unwrap_or_default();
        let body = if event["isBase64Encoded"] == true {
            STANDARD.decode(body).unwrap()
        } else {
            body.into()
        };
        let wish: Value = serde_json::from_slice(&body).unwrap_or_default();
        match wish["do"].as_str() {
            Some("answer") => Ok(wish["answer"].clone()),
            Some("fail") => Err(EventError::new("it cannot be done")),
            Some("panic") => panic!("as the test wishes"),
            Some("hold") => {
                self.0.hold().await;
                Ok(json!({"statusCode": 200, "body": "held"}))
            }
            _ => Ok(json!({"statusCode": 200, "body": event.to_string()})),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.dropped += 1);
    }
}

/// Lets in whoever offers a ticket; the ticket says what else to do.
struct Authorize;

impl FromSettings for Authorize {
    fn from_settings(_: &Settings) -> Result<Self, SettingsError> {
        Ok(Self)
    }
}

impl EventHandler for Authorize {
    type Event = Value;
    type Answer = Value;

    async fn call(&self, event: Value, _: std::time::Instant) -> Result<Value, EventError> {
        assert_eq!(event["type"], "REQUEST");
        let offer = event["headers"]["Sec-WebSocket-Protocol"].as_str().unwrap();
        let (effect, context) = match offer.split(", ").nth(1) {
            Some("ticket.fail") => return Err(EventError::new("it cannot be decided")),
            Some("ticket.deep") => ("Allow", json!({"user": ["alice"]})),
            Some("ticket.deny") | None => ("Deny", json!({})),
            Some(ticket) => ("Allow", json!({"ticket": ticket, "exp": 1_700_000_000, "admin": false})),
        };
        let statement = json!({"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]});
        let document = json!({"Version": "2012-10-17", "Statement": [statement]});
        Ok(json!({"principalId": "alice", "policyDocument": document, "context": context}))
    }
}

struct Connect(Arc<World>);

impl FromSettings for Connect {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        World::of(settings).map(Self)
    }
}

impl EventHandler for Connect {
    type Event = Value;
    type Answer = Value;

    async fn call(&self, event: Value, _: std::time::Instant) -> Result<Value, EventError> {
        match event["requestContext"]["authorizer"]["ticket"].as_str().unwrap() {
            "ticket.used" => Ok(json!({"statusCode": 409, "body": "the ticket was used"})),
            "ticket.panic" => panic!("as the test wishes"),
            "ticket.mute" => Ok(json!({"statusCode": 200})),
            "ticket.hold" => {
                self.0.hold().await;
                Ok(json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chat.v1"}}))
            }
            _ => Ok(json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chat.v1", "X-Other": "1"}})),
        }
    }
}

struct Reply(Arc<World>);

impl FromSettings for Reply {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        World::of(settings).map(Self)
    }
}

impl EventHandler for Reply {
    type Event = Value;
    type Answer = Value;

    async fn call(&self, event: Value, _: std::time::Instant) -> Result<Value, EventError> {
        match event["body"].as_str().unwrap() {
            "quiet" => Ok(json!({"statusCode": 200})),
            "fail" => Err(EventError::new("it cannot be answered")),
            "hold" => {
                self.0.hold().await;
                Ok(json!({"statusCode": 200, "body": "held"}))
            }
            "event" => Ok(json!({"statusCode": 200, "body": event.to_string()})),
            text => Ok(json!({"statusCode": 200, "body": format!("you said {}", text.len())})),
        }
    }
}

struct Disconnect(Arc<World>);

impl FromSettings for Disconnect {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        World::of(settings).map(Self)
    }
}

impl EventHandler for Disconnect {
    type Event = Value;
    type Answer = Value;

    async fn call(&self, event: Value, _: std::time::Instant) -> Result<Value, EventError> {
        self.0.disconnects.send(event).unwrap();
        Ok(json!({"statusCode": 200}))
    }
}

/// An operation that tells its caller's user id, and has something to deliver to them.
struct Notify;

impl FromSettings for Notify {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        World::of(settings)?.counts.send_modify(|counts| counts.created += 1);
        Ok(Self)
    }
}

impl Operation for Notify {
    type Request = CreateLiveTicketRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        _: CreateLiveTicketRequest,
    ) -> Result<Answer<CreateLiveTicketResponse>, Failure> {
        let user = context.caller()?.user.clone();
        let response = CreateLiveTicketResponse {
            ticket: user.to_string(),
            ..CreateLiveTicketResponse::default()
        };
        let notice = Notice {
            recipients: vec![user].into(),
            event: LiveEvent::default(),
            occurred_at: chrono::Utc::now(),
        };
        Ok(Answer::new(response).notify(notice))
    }
}

/// An operation that takes as long as the test wishes.
struct Slow(Arc<World>);

impl FromSettings for Slow {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        World::of(settings).map(Self)
    }
}

impl Operation for Slow {
    type Request = CreateLiveTicketRequest;

    async fn call(
        &self,
        _: &CallContext,
        _: CreateLiveTicketRequest,
    ) -> Result<Answer<CreateLiveTicketResponse>, Failure> {
        self.0.hold().await;
        Ok(Answer::new(CreateLiveTicketResponse::default()))
    }
}

// ---- A gateway and its clients ----

struct Stack {
    gateway: Gateway,
    address: SocketAddr,
    world: Arc<World>,
    disconnects: mpsc::UnboundedReceiver<Value>,
}

/// One key for all tests, since making one takes a while.
fn issuer() -> Issuer {
    static ISSUER: OnceLock<Issuer> = OnceLock::new();
    ISSUER
        .get_or_init(|| Issuer::generate("http://issuer.test", "chat").unwrap())
        .clone()
}

fn token() -> String {
    issuer().token("alice", Duration::from_mins(1)).unwrap()
}

fn config(id: &str) -> GatewayConfig {
    let settings = [("WORLD", id), ("AWS_ACCESS_KEY_ID", ACCESS_KEY)];
    GatewayConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        functions: FUNCTIONS.to_vec(),
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect(),
        issuer: issuer(),
        limits: Limits::default(),
        site: None,
    }
}

async fn stack(change: impl FnOnce(&mut Limits)) -> Stack {
    stack_of(|config| change(&mut config.limits)).await
}

async fn stack_of(change: impl FnOnce(&mut GatewayConfig)) -> Stack {
    let (disconnect, disconnects) = mpsc::unbounded_channel();
    let world = Arc::new(World {
        counts: watch::Sender::default(),
        gate: Semaphore::new(0),
        disconnects: disconnect,
    });
    let id = uuid::Uuid::now_v7().to_string();
    WORLDS
        .lock()
        .unwrap()
        .get_or_insert_default()
        .insert(id.clone(), Arc::clone(&world));
    let mut config = config(&id);
    change(&mut config);
    let gateway = gateway::serve(config).await.unwrap();
    Stack {
        address: gateway.address(),
        gateway,
        world,
        disconnects,
    }
}

impl Stack {
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
    }

    /// A call of the function that does what it is told.
    fn wish(&self, wish: &Value) -> Request<Full<Bytes>> {
        let authorization = format!("Bearer {}", token());
        let request = self.request(Method::POST, RUN).header("authorization", authorization);
        request
            .header("content-type", "application/json")
            .body(wish.to_string().into())
            .unwrap()
    }

    fn spawn(&self, wish: &Value) -> JoinHandle<Response<Bytes>> {
        tokio::spawn(send(self.wish(wish)))
    }

    async fn get(&self, path: &str) -> Response<Bytes> {
        send(self.request(Method::GET, path).body(Full::default()).unwrap()).await
    }

    async fn socket(&self, offer: &str) -> Result<Socket, tungstenite::Error> {
        let mut request = format!("ws://{}/live", self.address).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", offer.parse().unwrap());
        let (socket, response) = timeout(PATIENCE, tokio_tungstenite::connect_async(request))
            .await
            .unwrap()?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
        assert!(response.headers().get("x-other").is_none());
        Ok(Socket(socket))
    }

    async fn refused(&self, offer: &str) -> (StatusCode, Value) {
        match self.socket(offer).await {
            Err(tungstenite::Error::Http(response)) => (
                response.status(),
                serde_json::from_slice(response.body().as_ref().unwrap()).unwrap(),
            ),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was let in"),
        }
    }

    /// What `$disconnect` was told: the code and the reason.
    async fn disconnect(&mut self) -> (u64, String) {
        let event = timeout(PATIENCE, self.disconnects.recv()).await.unwrap().unwrap();
        let context = &event["requestContext"];
        assert_eq!(
            (&context["routeKey"], &context["eventType"]),
            (&json!("$disconnect"), &json!("DISCONNECT"))
        );
        assert!(context["authorizer"]["ticket"].is_string());
        (
            context["disconnectStatusCode"].as_u64().unwrap(),
            context["disconnectReason"].as_str().unwrap().to_owned(),
        )
    }

    fn management(&self, access_key: &str) -> aws_sdk_apigatewaymanagement::Client {
        let config = aws_sdk_apigatewaymanagement::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("local"))
            .endpoint_url(format!("http://{}/live", self.address))
            .credentials_provider(Credentials::new(access_key, "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_apigatewaymanagement::Client::from_conf(config)
    }
}

async fn send(request: Request<Full<Bytes>>) -> Response<Bytes> {
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
    let response = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn message(response: &Response<Bytes>) -> (u16, Value) {
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body["message"].clone())
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn send(&mut self, message: impl Into<Message>) {
        timeout(PATIENCE, self.0.send(message.into())).await.unwrap().unwrap();
    }

    async fn next(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        timeout(PATIENCE, self.0.next()).await.unwrap()
    }

    async fn text(&mut self) -> String {
        match self.next().await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Reads on until the close frame and answers its code.
    async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(Message::Text(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn frame(bytes: impl Into<Bytes>, kind: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(kind), is_final))
}

// ---- The HTTP API ----

#[tokio::test]
async fn a_function_gets_the_event_of_payload_format_2() {
    let stack = stack(|_| ()).await;
    let token = token();
    let request = stack
        .request(Method::POST, &format!("{RUN}?page=1&tag=a&tag=b%20c"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("Cookie", "a=1; b=2")
        .header("Cookie", "c=3")
        .header("User-Agent", "test/1")
        .header("X-Twice", "one")
        .header("X-Twice", "two")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X-Forwarded-Proto", "https")
        .header("X-Amzn-Trace-Id", "Root=1-forged")
        .body("grüße \"\\\n".into())
        .unwrap();
    let response = send(request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let mut event: Value = serde_json::from_slice(response.body()).unwrap();
    let context = event["requestContext"].as_object_mut().unwrap();
    assert_eq!(
        context["requestId"],
        response.headers()["apigw-requestid"].to_str().unwrap()
    );
    let request_id = context.remove("requestId").unwrap();
    assert!(
        request_id
            .as_str()
            .is_some_and(|id| id.len() == 16 && id.ends_with('=')),
        "{request_id}"
    );
    let time_ms = context.remove("timeEpoch").unwrap().as_i64().unwrap();
    let time = chrono::DateTime::from_timestamp_millis(time_ms).unwrap();
    assert_eq!(
        context.remove("time").unwrap(),
        time.format("%d/%b/%Y:%H:%M:%S +0000").to_string()
    );
    let claims = context["authorizer"]["jwt"]["claims"].as_object_mut().unwrap();
    let (iat, exp) = (claims.remove("iat").unwrap(), claims.remove("exp").unwrap());
    let seconds = |claim: &Value| claim.as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(seconds(&exp) - seconds(&iat), 60);
    let headers = event["headers"].as_object_mut().unwrap();
    let trace = headers.remove("x-amzn-trace-id").unwrap();
    assert!(
        trace
            .as_str()
            .is_some_and(|id| id.len() == 40 && id.starts_with("Root=1-")),
        "{trace}"
    );
    let expected = json!({
        "version": "2.0",
        "routeKey": format!("POST {RUN}"),
        "rawPath": RUN,
        "rawQueryString": "page=1&tag=a&tag=b%20c",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {
            "authorization": format!("Bearer {token}"),
            "content-length": "11",
            "content-type": "text/plain; charset=utf-8",
            "host": stack.address.to_string(),
            "user-agent": "test/1",
            "x-forwarded-for": "192.0.2.7, 127.0.0.1",
            "x-forwarded-port": stack.address.port().to_string(),
            "x-forwarded-proto": "http",
            "x-twice": "one,two",
        },
        "queryStringParameters": {"page": "1", "tag": "a,b c"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "authorizer": {"jwt": {
                "claims": {"aud": "chat", "iss": "http://issuer.test", "sub": "alice"},
                "scopes": null,
            }},
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "POST",
                "path": RUN,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test/1",
            },
            "routeKey": format!("POST {RUN}"),
            "stage": "$default",
        },
        "body": "grüße \"\\\n",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn a_body_is_text_or_base64_by_its_content_type() {
    let stack = stack(|_| ()).await;
    for (content_type, body, base64) in [
        (Some("application/json"), &b"{}"[..], false),
        (Some("Text/Plain"), b"hi", false),
        (Some("application/xml; charset=utf-8"), b"<a/>", false),
        (Some("text/plain"), b"\xff", true),
        (Some("application/grpc-web+proto"), b"\0\0\0\0\0", true),
        (Some("application/grpc-web-text"), b"AAAAAAA=", true),
        (Some("application/x-www-form-urlencoded"), b"a=b", true),
        (None, b"hi", false),
        (None, b"\xff", true),
        (Some("application/grpc-web"), b"", false),
    ] {
        let mut request = stack.request(Method::POST, OPEN);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let response = send(request.body(Bytes::from_static(body).into()).unwrap()).await;
        let event: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(event["isBase64Encoded"], base64, "{content_type:?}");
        assert!(event["requestContext"].get("authorizer").is_none());
        assert!(event.get("cookies").is_none() && event.get("queryStringParameters").is_none());
        match event.get("body").map(|text| text.as_str().unwrap()) {
            None => assert!(body.is_empty()),
            Some(text) if base64 => assert_eq!(STANDARD.decode(text).unwrap(), body),
            Some(text) => assert_eq!(text.as_bytes(), body),
        }
    }
}

#[tokio::test]
async fn a_response_is_honoured() {
    let stack = stack(|_| ()).await;
    let answer = json!({
        "statusCode": 201,
        "headers": {
            "Content-Type": "application/grpc-web+proto", "X-Number": 7, "X-Bool": true, "Content-Length": "999",
            "Access-Control-Allow-Origin": "https://evil.example", "access-control-allow-credentials": "true",
        },
        "cookies": ["a=1; Path=/", "b=2"],
        "body": STANDARD.encode(b"\0\xff"),
        "isBase64Encoded": true,
    });
    let response = send(stack.wish(&json!({"do": "answer", "answer": answer}))).await;
    assert_eq!(
        (response.status().as_u16(), &response.body()[..]),
        (201, &b"\0\xff"[..])
    );
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/grpc-web+proto");
    assert_eq!(
        (&headers["x-number"], &headers["x-bool"]),
        (&"7".parse().unwrap(), &"true".parse().unwrap())
    );
    assert_eq!(
        headers.get_all("set-cookie").iter().collect::<Vec<_>>(),
        ["a=1; Path=/", "b=2"]
    );
    assert_eq!(headers["content-length"], "2");
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")));

    for bare in [json!({"hello": "world"}), json!("text"), json!([1]), json!(null)] {
        let response = send(stack.wish(&json!({"do": "answer", "answer": bare}))).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"application/json".parse().unwrap())
        );
        assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), bare);
    }
    for wrong in [
        json!({"statusCode": "many"}),
        json!({"statusCode": 99}),
        json!({"statusCode": 100}),
        json!({"statusCode": 1000}),
        json!({"statusCode": 200, "headers": ["a"]}),
        json!({"statusCode": 200, "headers": {"a b": "c"}}),
        json!({"statusCode": 200, "headers": {"a": "b\nc: d"}}),
        json!({"statusCode": 200, "headers": {"a": {}}}),
        json!({"statusCode": 200, "body": {"a": 1}}),
        json!({"statusCode": 200, "body": "%%%", "isBase64Encoded": true}),
        json!({"statusCode": 200, "cookies": ["a\r\nb"]}),
    ] {
        let response = send(stack.wish(&json!({"do": "answer", "answer": wrong}))).await;
        assert_eq!(message(&response), (500, json!("Internal Server Error")), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_found() {
    let stack = stack(|_| ()).await;
    let authorization = format!("Bearer {}", token());
    for (method, path) in [
        (Method::POST, "/"),
        (Method::POST, "/test.v1.TestService/run"),
        (Method::POST, "/test.v1.TestService/Run/"),
        (Method::GET, RUN),
        (Method::PUT, RUN),
        (Method::PUT, "/dev/token"),
        (Method::POST, "/.well-known/jwks.json"),
    ] {
        let request = stack.request(method, path).header("authorization", &authorization);
        let response = send(request.body("x".into()).unwrap()).await;
        assert_eq!(message(&response), (404, json!("Not Found")), "{path}");
    }
    assert_eq!(stack.world.until(|_| true).await.created, 0);
}

#[tokio::test]
async fn cors_is_the_gateways_alone() {
    let stack = stack(|_| ()).await;
    let preflight = stack
        .request(Method::OPTIONS, RUN)
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-grpc-web")
        .body(Full::default())
        .unwrap();
    let response = send(preflight).await;
    assert_eq!(response.status(), 204);
    let headers = response.headers();
    assert_eq!(headers["access-control-allow-origin"], "*");
    assert_eq!(headers["access-control-allow-methods"], "POST");
    assert_eq!(
        headers["access-control-allow-headers"],
        "authorization,baggage,connect-protocol-version,connect-timeout-ms,content-type,grpc-accept-encoding,grpc-timeout,\
         traceparent,tracestate,x-grpc-web,x-user-agent"
    );
    assert!(headers.contains_key("access-control-max-age"));

    let with_origin = |authorization: &str, path: &str| {
        let request = stack
            .request(Method::POST, path)
            .header("origin", "https://app.example");
        request
            .header("authorization", authorization)
            .body(Full::default())
            .unwrap()
    };
    for (authorization, path, status) in [
        (format!("Bearer {}", token()), RUN, 200),
        ("Bearer x".to_owned(), RUN, 401),
        (String::new(), "/none", 404),
    ] {
        let response = send(with_origin(&authorization, path)).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert_eq!(
            response.headers()["access-control-expose-headers"],
            "grpc-message,grpc-status,grpc-status-details-bin,retry-after"
        );
    }
    let response = send(stack.wish(&json!({}))).await;
    assert!(response.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn only_a_good_token_gets_in() {
    let stack = stack(|_| ()).await;
    let folder = tempfile();
    let key = folder.join("key.pem");
    let other_audience = Issuer::load_or_create(&key, "http://issuer.test", "chat").unwrap();
    let foreign_key = other_audience.token("alice", Duration::from_mins(1)).unwrap();
    let good = token();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let unsigned = format!("{}.{claims}.", url_safe.encode(r#"{"alg":"none","typ":"JWT"}"#));
    let forged_claims = url_safe.encode(r#"{"sub":"bob","iss":"http://issuer.test","aud":"chat","exp":9999999999}"#);
    let header: Value = serde_json::from_slice(&url_safe.decode(head).unwrap()).unwrap();
    let symmetric = url_safe.encode(json!({"alg": "HS256", "kid": header["kid"]}).to_string());
    for (authorization, invalid) in [
        (None, false),
        (Some("Basic YTpi".to_owned()), false),
        (Some("Bearer".to_owned()), true),
        (Some("Bearer ".to_owned()), true),
        (Some("Bearer a.b.c".to_owned()), true),
        (Some(format!("Bearer {foreign_key}")), true),
        (Some(format!("Bearer {unsigned}")), true),
        (Some(format!("Bearer {symmetric}.{claims}.{signature}")), true),
        (Some(format!("Bearer {head}.{forged_claims}.{signature}")), true),
        (Some(format!("Bearer {head}.{claims}.{}", &signature[1..])), true),
    ] {
        let mut request = stack.request(Method::POST, RUN);
        if let Some(authorization) = &authorization {
            request = request.header("authorization", authorization);
        }
        let response = send(request.body("x".into()).unwrap()).await;
        assert_eq!(message(&response), (401, json!("Unauthorized")), "{authorization:?}");
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(
            challenge.contains("invalid_token"),
            invalid,
            "{authorization:?} {challenge}"
        );
        assert!(challenge.starts_with("Bearer"));
    }
    let twice = stack
        .request(Method::POST, RUN)
        .header("authorization", &good)
        .header("authorization", &good);
    assert_eq!(send(twice.body(Full::default()).unwrap()).await.status(), 401);
    assert_eq!(
        stack.world.until(|_| true).await.created,
        0,
        "nobody without a token reaches a function"
    );

    for authorization in [format!("Bearer {good}"), format!("bearer {good}"), good] {
        let request = stack.request(Method::POST, RUN).header("authorization", authorization);
        assert_eq!(send(request.body(Full::default()).unwrap()).await.status(), 200);
    }
}

#[tokio::test]
async fn a_token_for_another_audience_or_of_another_issuer_is_refused() {
    let folder = tempfile();
    let key = folder.join("key.pem");
    let mut config = config("none");
    config.issuer = Issuer::load_or_create(&key, "http://issuer.test", "chat").unwrap();
    config.functions.retain(|function| function.name() == "run");
    let gateway = gateway::serve(config).await.unwrap();
    for (url, audience) in [("http://issuer.test", "other"), ("http://other.test", "chat")] {
        let token = Issuer::load_or_create(&key, url, audience)
            .unwrap()
            .token("alice", Duration::from_mins(1))
            .unwrap();
        let request = Request::post(format!("http://{}{RUN}", gateway.address())).header("authorization", token);
        assert_eq!(send(request.body(Full::default()).unwrap()).await.status(), 401);
    }
}

#[tokio::test]
async fn sizes_are_limited() {
    let stack = stack(|limits| {
        limits.body_bytes_max = 2_000_000;
        limits.payload_bytes_max = 1_500_000;
    })
    .await;
    let post = |body: Vec<u8>, content_type: &str| {
        let request = stack.request(Method::POST, OPEN).header("content-type", content_type);
        send(request.body(Bytes::from(body).into()).unwrap())
    };
    let too_large = (413, json!("Request Entity Too Large"));
    assert_eq!(message(&post(vec![b'x'; 2_000_001], "text/plain").await), too_large);
    assert_eq!(message(&post(vec![b'x'; 1_500_000], "text/plain").await), too_large);
    assert_eq!(
        message(&post(vec![b'x'; 1_200_000], "application/grpc-web").await),
        too_large,
        "base64 grows"
    );
    assert_eq!(stack.world.until(|_| true).await.created, 0);
    let answer = json!({"do": "answer", "answer": "x".repeat(1_400_000)});
    assert_eq!(send(stack.wish(&answer)).await.status(), 200);
    let answer = json!({"do": "answer", "answer": "\u{1}".repeat(240_000)});
    assert_eq!(send(stack.wish(&answer)).await.status(), 413, "escapes count");

    let chunked = b"POST /test.v1.TestService/Open HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    stream.write_all(chunked).await.unwrap();
    let chunk = [
        format!("{:x}\r\n", 1_000_000).into_bytes(),
        vec![b'x'; 1_000_000],
        b"\r\n".to_vec(),
    ]
    .concat();
    for _ in 0..3 {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 413 "));

    let with_header = |bytes: usize| {
        send(
            stack
                .request(Method::POST, OPEN)
                .header("x-long", "x".repeat(bytes))
                .body(Full::default())
                .unwrap(),
        )
    };
    assert_eq!(with_header(10_000).await.status(), 200);
    assert_eq!(message(&with_header(10_240).await).0, 431);
    assert_eq!(with_header(100_000).await.status(), 431);
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
}

/// Reads a response's head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match timeout(PATIENCE, stream.read_u8()).await.unwrap() {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_response_that_is_too_large_is_an_error() {
    let stack = stack(|limits| limits.payload_bytes_max = 4_000).await;
    let half = json!({"do": "answer", "answer": {"statusCode": 200, "body": "x".repeat(2_000)}});
    assert_eq!(send(stack.wish(&half)).await.status(), 200);
    // The echo holds the request's event, and so is larger than it.
    let echo = send(stack.wish(&json!({"pad": "\"".repeat(600)}))).await;
    assert_eq!(message(&echo), (500, json!("Internal Server Error")));
}

#[tokio::test]
async fn a_function_that_fails_keeps_its_environment_and_one_that_panics_loses_it() {
    let stack = stack(|_| ()).await;
    let failed = (500, json!("Internal Server Error"));
    assert_eq!(message(&send(stack.wish(&json!({"do": "fail"}))).await), failed);
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    assert_eq!(stack.world.until(|_| true).await.created, 1);
    assert_eq!(message(&send(stack.wish(&json!({"do": "panic"}))).await), failed);
    stack.world.until(|counts| counts.dropped == 1).await;
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    assert_eq!(stack.world.until(|_| true).await.created, 2);
}

#[tokio::test]
async fn a_function_that_cannot_start_is_an_error() {
    let mut config = config("none");
    config.settings = Settings::default();
    let gateway = gateway::serve(config).await.unwrap();
    let request = Request::post(format!("http://{}{OPEN}", gateway.address()))
        .body(Full::default())
        .unwrap();
    assert_eq!(message(&send(request).await), (500, json!("Internal Server Error")));
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_given_up() {
    let stack = stack(|limits| limits.invocation_timeout = Duration::from_millis(200)).await;
    let response = send(stack.wish(&json!({"do": "hold"}))).await;
    assert_eq!(message(&response), (503, json!("Service Unavailable")));
    stack.world.until(|counts| counts.dropped == 1).await;
    assert_eq!(stack.world.until(|_| true).await.finished, 0);
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up() {
    let stack = stack(|limits| limits.invocation_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    let start = format!("POST {OPEN} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf");
    stream.write_all(start.as_bytes()).await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let stack = stack(|limits| limits.head_timeout = Duration::from_millis(200)).await;
    for start in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: lo",
    ] {
        let mut stream = TcpStream::connect(stack.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // However it ends, it ends.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect(start);
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{start}");
    }
}

#[tokio::test]
async fn garbage_does_no_harm() {
    let stack = stack(|_| ()).await;
    for garbage in [
        &b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS hello, perhaps",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand no frames at all",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"GET /live HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"GET /live/@connections/ HTTP/1.1\r\n\r\n",
        b"GET /live/@connections/%ff%fe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(stack.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // The gateway may well reset such a connection.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    }
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
}

// ---- Environments ----

#[tokio::test]
async fn an_environment_serves_one_request_at_a_time_and_is_used_again() {
    let stack = stack(|limits| {
        limits.environments_max = 2;
        limits.waiting_max = 1;
    })
    .await;
    for _ in 0..3 {
        assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    }
    assert_eq!(stack.world.until(|_| true).await.created, 1);
    let held = [stack.spawn(&json!({"do": "hold"})), stack.spawn(&json!({"do": "hold"}))];
    let counts = stack.world.until(|counts| counts.holding == 2).await;
    assert_eq!(counts.created, 2);

    // One more may wait; of two, one is turned away.
    let (mut one, mut other) = (stack.spawn(&json!({})), stack.spawn(&json!({})));
    let (turned_away, waiting) = tokio::select! {
        response = &mut one => (response.unwrap(), other),
        response = &mut other => (response.unwrap(), one),
    };
    assert_eq!(message(&turned_away), (429, json!("Too Many Requests")));
    stack.world.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap().status(), 200);
    stack.world.gate.add_permits(1);
    for response in held {
        assert_eq!(response.await.unwrap().status(), 200);
    }
    assert_eq!(stack.world.until(|_| true).await.created, 2);
}

#[tokio::test]
async fn a_request_that_waits_too_long_for_an_environment_is_given_up() {
    let stack = stack(|limits| {
        limits.environments_max = 1;
        limits.invocation_timeout = Duration::from_millis(300);
    })
    .await;
    let held = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    let responses = futures::future::join_all((0..4).map(|_| stack.spawn(&json!({"do": "hold"})))).await;
    for response in responses.into_iter().chain([held.await]) {
        assert_eq!(message(&response.unwrap()), (503, json!("Service Unavailable")));
    }
}

#[tokio::test]
async fn a_clients_deadline_holds_while_its_call_waits_for_an_environment() {
    let stack = stack_of(|config| {
        config.functions = vec![Function::operation::<Slow>()];
        config.limits.environments_max = 1;
    })
    .await;
    let call = |content_type: &str, timeout: Option<(&str, &str)>, body: &'static [u8]| {
        let mut request = stack
            .request(Method::POST, CreateLiveTicketRequest::PATH)
            .header("authorization", token())
            .header("content-type", content_type);
        if let Some((name, value)) = timeout {
            request = request.header(name, value);
        }
        send(request.body(Bytes::from_static(body).into()).unwrap())
    };
    let held = tokio::spawn(call("application/json", None, b"{}"));
    stack.world.until(|counts| counts.holding == 1).await;

    // Each is answered as the function answers a call whose time is up, though the one environment stays busy.
    for _ in 0..2 {
        let connect = call("application/json", Some(("connect-timeout-ms", "200")), b"{}").await;
        let answer: Value = serde_json::from_slice(connect.body()).unwrap();
        assert_eq!(
            (connect.status().as_u16(), &answer["code"]),
            (504, &json!("deadline_exceeded")),
            "{answer}"
        );
    }
    let grpc = call("application/grpc-web+proto", Some(("grpc-timeout", "200m")), &[0; 5]).await;
    let trailers = String::from_utf8_lossy(grpc.body());
    assert_eq!(grpc.status(), 200);
    assert!(trailers.contains("grpc-status:4\r\n"), "{trailers}");

    let counts = stack.world.until(|_| true).await;
    assert_eq!((counts.holding, counts.finished), (1, 0), "nothing was begun for them");
    stack.world.gate.add_permits(1);
    assert_eq!(held.await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_a_call_has_waited_is_taken_off_its_clients_time() {
    let stack = stack(|limits| {
        limits.environments_max = 1;
        limits.waiting_max = 1;
    })
    .await;
    let timed = || {
        let mut request = stack.wish(&json!({}));
        request
            .headers_mut()
            .insert("connect-timeout-ms", "19000".parse().unwrap());
        tokio::spawn(send(request))
    };
    let told = |response: &Response<Bytes>| -> u64 {
        let event: Value = serde_json::from_slice(response.body()).unwrap();
        event["headers"]["connect-timeout-ms"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert_eq!(
        told(&timed().await.unwrap()),
        19_000,
        "what has not waited stays as it is"
    );

    let held = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    // That one is turned away shows that the other waits.
    let (mut one, mut other) = (timed(), timed());
    let (turned_away, waiting) = tokio::select! {
        response = &mut one => (response.unwrap(), other),
        response = &mut other => (response.unwrap(), one),
    };
    assert_eq!(message(&turned_away), (429, json!("Too Many Requests")));
    stack.world.gate.add_permits(1);
    let left_ms = told(&waiting.await.unwrap());
    assert!(left_ms < 19_000, "{left_ms}");
    assert_eq!(held.await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_gateways_own_429_and_503_say_when_to_come_back() {
    let stack = stack(|limits| {
        limits.environments_max = 1;
        limits.waiting_max = 0;
        limits.sockets_max = 0;
        limits.stop_grace = Duration::from_millis(100);
    })
    .await;
    let told = |response: &Response<Bytes>| {
        let value = response.headers().get("retry-after");
        (
            response.status().as_u16(),
            value.map(|value| value.to_str().unwrap().to_owned()),
        )
    };
    let unavailable = json!({"do": "answer", "answer": {"statusCode": 503, "body": "busy"}});
    assert_eq!(
        told(&send(stack.wish(&unavailable)).await),
        (503, None),
        "the function's own"
    );

    let held = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    assert_eq!(told(&send(stack.wish(&json!({}))).await), (429, Some("1".to_owned())));
    let Err(tungstenite::Error::Http(refused)) = stack.socket("chat.v1, ticket.1").await else {
        panic!("it was let in")
    };
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    timeout(PATIENCE, stack.gateway.stop()).await.unwrap();
    assert_eq!(told(&held.await.unwrap()), (503, Some("1".to_owned())));
}

#[tokio::test]
async fn an_environment_that_nobody_needs_is_dropped() {
    let stack = stack(|limits| limits.environment_idle = Duration::from_millis(50)).await;
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    let counts = stack.world.until(|counts| counts.dropped == 1).await;
    assert_eq!(counts.created, 1);
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    stack.world.until(|counts| counts.created == 2).await;
}

#[tokio::test]
async fn of_the_environments_that_a_burst_needed_a_few_stay_for_long() {
    let stack = stack(|limits| {
        limits.environments_kept = 2;
        limits.environment_surplus_idle = Duration::from_millis(50);
    })
    .await;
    let burst: Vec<_> = (0..5).map(|_| stack.spawn(&json!({"do": "hold"}))).collect();
    stack.world.until(|counts| counts.holding == 5).await;
    stack.world.gate.add_permits(5);
    for call in burst {
        assert_eq!(call.await.unwrap().status(), 200);
    }
    stack.world.until(|counts| counts.dropped == 3).await;
    let held = [stack.spawn(&json!({"do": "hold"})), stack.spawn(&json!({"do": "hold"}))];
    let counts = stack.world.until(|counts| counts.holding == 7).await;
    assert_eq!(
        (counts.created, counts.dropped),
        (5, 3),
        "those that stayed serve again"
    );
    stack.world.gate.add_permits(2);
    for call in held {
        assert_eq!(call.await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn environments_that_are_killed_are_replaced() {
    let stack = stack(|limits| limits.environments_max = 2).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    let held = [stack.spawn(&json!({"do": "hold"})), stack.spawn(&json!({"do": "hold"}))];
    stack.world.until(|counts| counts.holding == 2).await;
    stack.gateway.kill_environments();
    for killed in held {
        assert_eq!(message(&killed.await.unwrap()), (500, json!("Internal Server Error")));
    }
    stack.world.until(|counts| counts.dropped == 2).await;
    assert_eq!(send(stack.wish(&json!({}))).await.status(), 200);
    let counts = stack.world.until(|_| true).await;
    assert_eq!((counts.created, counts.finished), (3, 0));
    socket.send("hi").await;
    assert_eq!(socket.text().await, "you said 2");
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_cancel_its_function() {
    let stack = stack(|_| ()).await;
    let caller = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    caller.abort();
    assert!(caller.await.is_err());
    stack.world.gate.add_permits(1);
    stack.world.until(|counts| counts.finished == 1).await;
}

#[tokio::test]
async fn the_answer_leaves_before_delivery_and_the_environment_stays_busy_until_it_ends() {
    // A registry that takes calls and never answers them holds delivery up.
    let registry = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stack = stack_of(|config| {
        config.functions = vec![Function::operation::<Notify>()];
        let endpoint = format!("http://{}", registry.local_addr().unwrap());
        for (name, value) in [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_REGION", "local"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("LIVE_TABLE", "live"),
            ("DELIVERY_QUEUE_URL", "http://127.0.0.1:9/000000000000/queue"),
        ] {
            config.settings = std::mem::take(&mut config.settings).with(name, value);
        }
        config.limits.stop_grace = Duration::from_millis(100);
    })
    .await;
    let call = || {
        let request = stack.request(Method::POST, CreateLiveTicketRequest::PATH);
        let request = request
            .header("authorization", token())
            .header("content-type", "application/json");
        send(request.body("{}".into()).unwrap())
    };
    for environments in 1..=2 {
        let response = call().await;
        let answer: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(
            (response.status().as_u16(), &answer["ticket"]),
            (200, &json!("alice")),
            "{answer}"
        );
        timeout(PATIENCE, registry.accept()).await.unwrap().unwrap();
        assert_eq!(stack.world.until(|_| true).await.created, environments);
    }
    timeout(PATIENCE, stack.gateway.stop()).await.unwrap();
}

// ---- The token issuer ----

/// A folder of its own for a test; the operating system's to clean.
fn tempfile() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(uuid::Uuid::now_v7().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn the_dev_token_is_one_that_the_gateway_accepts() {
    let stack = stack(|_| ()).await;
    let response = stack.get("/dev/token?user=auth0%7Cbob&ttl_seconds=60").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(response.headers().get("access-control-allow-origin").is_none());
    let token = std::str::from_utf8(response.body()).unwrap().trim();
    let call = stack
        .request(Method::POST, RUN)
        .header("authorization", format!("Bearer {token}"));
    let event: Value = serde_json::from_slice(send(call.body(Full::default()).unwrap()).await.body()).unwrap();
    assert_eq!(
        event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"],
        "auth0|bob"
    );

    for query in [
        "",
        "?user=",
        "?user=a%20b",
        "?user=%C3%A5lice",
        &format!("?user={}", "x".repeat(129)),
        "?name=alice",
        "?user=alice&ttl_seconds=0",
        "?user=alice&ttl_seconds=-1",
        "?user=alice&ttl_seconds=99999999999999999999",
        "?user=alice&ttl_seconds=2592001",
        "?user=alice&ttl_seconds=",
    ] {
        let response = stack.get(&format!("/dev/token{query}")).await;
        let text = std::str::from_utf8(response.body()).unwrap();
        assert_eq!(
            (response.status().as_u16(), text.lines().count()),
            (400, 1),
            "{query}: {text}"
        );
    }
}

#[tokio::test]
async fn a_page_from_elsewhere_learns_no_token() {
    let stack = stack(|_| ()).await;
    let get = |name: &'static str, value: &'static str| {
        send(
            stack
                .request(Method::GET, "/dev/token?user=alice")
                .header(name, value)
                .body(Full::default())
                .unwrap(),
        )
    };
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "",
    ] {
        assert_eq!(get("host", host).await.status(), 403, "{host}");
    }
    for host in [
        "localhost",
        "localhost:8080",
        "chat.localhost:8080",
        "127.0.0.1:8080",
        "[::1]:8080",
    ] {
        assert_eq!(get("host", host).await.status(), 200, "{host}");
    }
    for (origin, allowed) in [
        ("https://evil.example", false),
        ("null", false),
        ("http://localhost.evil.example", false),
        ("http://localhost:5173", true),
        ("http://127.0.0.1:3000", true),
    ] {
        let response = get("origin", origin).await;
        let allow = response
            .headers()
            .get("access-control-allow-origin")
            .map(|value| value.to_str().unwrap());
        assert_eq!(allow, allowed.then_some(origin));
    }
}

#[tokio::test]
async fn the_issuer_publishes_its_key() {
    let stack = stack(|_| ()).await;
    let configuration: Value =
        serde_json::from_slice(stack.get("/.well-known/openid-configuration").await.body()).unwrap();
    assert_eq!(configuration["issuer"], "http://issuer.test");
    assert_eq!(
        configuration["jwks_uri"],
        format!("http://{}/.well-known/jwks.json", stack.address)
    );
    let response = stack.get("/.well-known/jwks.json").await;
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(response.body()).unwrap();
    let token = token();
    let key_id = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&key_id).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["chat"]);
    validation.set_issuer(&["http://issuer.test"]);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], "alice");
    let public: Value = serde_json::from_slice(response.body()).unwrap();
    for private in ["d", "p", "q", "dp", "dq", "qi"] {
        assert!(public["keys"][0].get(private).is_none());
    }
}

#[tokio::test]
async fn the_issuers_key_is_made_once_and_kept_to_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let key = tempfile().join("below").join("issuer.pem");
    let makers = (0..3).map(|_| {
        let key = key.clone();
        tokio::task::spawn_blocking(move || Issuer::load_or_create(&key, "http://issuer.test", "chat").unwrap())
    });
    let mut key_ids = Vec::new();
    for issuer in futures::future::join_all(makers).await {
        let token = issuer.unwrap().token("alice", Duration::from_mins(1)).unwrap();
        key_ids.push(jsonwebtoken::decode_header(token).unwrap().kid.unwrap());
    }
    assert!(key_ids.iter().all(|key_id| *key_id == key_ids[0]));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(key.parent().unwrap()).unwrap().count(),
        1,
        "no drafts are left"
    );

    std::fs::write(&key, "not a key").unwrap();
    let error = Issuer::load_or_create(&key, "http://issuer.test", "chat")
        .err()
        .unwrap();
    assert!(matches!(error, IssuerError::NotAKey { .. }));
    let line = error.to_string();
    assert!(
        line.contains("issuer.pem") && line.contains("delete it") && !line.contains('\n'),
        "{line}"
    );
    assert!(matches!(
        issuer().token("a b", Duration::from_mins(1)),
        Err(IssuerError::User(_))
    ));
    assert!(matches!(issuer().token("alice", Duration::ZERO), Err(IssuerError::Ttl)));
}

// ---- The WebSocket API ----

#[tokio::test]
async fn a_socket_needs_its_authorizer_and_connect() {
    let mut stack = stack(|_| ()).await;
    for (offer, status, text) in [
        ("chat.v1, ticket.deny", 403, "Forbidden"),
        ("chat.v1", 403, "Forbidden"),
        ("chat.v1, ticket.fail", 500, "Internal server error"),
        ("chat.v1, ticket.deep", 500, "Internal server error"),
        ("chat.v1, ticket.used", 409, "the ticket was used"),
        ("chat.v1, ticket.panic", 502, "Internal server error"),
    ] {
        let (refused, body) = stack.refused(offer).await;
        assert_eq!(
            (refused.as_u16(), body["message"].as_str().unwrap()),
            (status, text),
            "{offer}"
        );
    }
    let request = format!("ws://{}/live", stack.address).into_client_request().unwrap();
    match tokio_tungstenite::connect_async(request).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 401),
        other => panic!("{other:?}"),
    }
    let plain = stack.get("/live").await;
    assert_eq!(
        (plain.status().as_u16(), &plain.headers()["upgrade"]),
        (426, &"websocket".parse().unwrap())
    );
    for (version, key, status) in [
        ("12", "AAAAAAAAAAAAAAAAAAAAAA==", 426),
        ("13", "AAAA", 400),
        ("13", "?", 400),
    ] {
        let request = stack
            .request(Method::GET, "/live")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "WebSocket")
            .header("sec-websocket-version", version)
            .header("sec-websocket-key", key);
        assert_eq!(send(request.body(Full::default()).unwrap()).await.status(), status);
    }
    assert!(
        stack.disconnects.try_recv().is_err(),
        "who never connected is not disconnected"
    );
}

#[tokio::test]
async fn only_the_subprotocol_of_connect_is_echoed() {
    let mut stack = stack(|_| ()).await;
    let error = stack.socket("chat.v1, ticket.mute").await.err().unwrap();
    assert!(matches!(error, tungstenite::Error::Protocol(_)), "{error}");
    assert_eq!(stack.disconnect().await.0, 1006);
    stack.socket("chat.v1, ticket.1").await.unwrap();
}

#[tokio::test]
async fn a_message_becomes_an_event_and_its_answer_a_message() {
    let stack = stack(|_| ()).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    socket.send("event").await;
    let mut event: Value = serde_json::from_str(&socket.text().await).unwrap();
    let context = event["requestContext"].as_object_mut().unwrap();
    for name in ["messageId", "requestId", "extendedRequestId", "connectionId"] {
        let id = context.remove(name).unwrap();
        assert!(
            id.as_str().is_some_and(|id| id.len() == 16 && id.ends_with('=')),
            "{name} {id}"
        );
    }
    let times: Vec<_> = ["connectedAt", "requestTimeEpoch"]
        .map(|name| context.remove(name).unwrap().as_i64().unwrap())
        .into();
    assert!(times.is_sorted());
    assert!(
        context
            .remove("requestTime")
            .unwrap()
            .as_str()
            .unwrap()
            .ends_with(" +0000")
    );
    assert!(
        context["authorizer"]
            .as_object_mut()
            .unwrap()
            .remove("integrationLatency")
            .unwrap()
            .is_number()
    );
    let expected = json!({
        "requestContext": {
            "routeKey": "$default",
            "authorizer": {"principalId": "alice", "ticket": "ticket.1", "exp": "1700000000", "admin": "false"},
            "eventType": "MESSAGE",
            "messageDirection": "IN",
            "stage": "live",
            "identity": {"userAgent": "", "sourceIp": "127.0.0.1"},
            "domainName": "127.0.0.1",
            "apiId": "local",
        },
        "body": "event",
        "isBase64Encoded": false,
    });
    assert_eq!(event, expected);

    socket.send("fail").await;
    let error: Value = serde_json::from_str(&socket.text().await).unwrap();
    assert_eq!(error["message"], "Internal server error");
    assert!(error["connectionId"].is_string() && error["requestId"].is_string());
    socket.send("quiet").await;
    socket.send(Message::Ping("are you there".into())).await;
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::Pong("are you there".into())
    );
    socket.send("after").await;
    assert_eq!(socket.text().await, "you said 5");
}

#[tokio::test]
async fn messages_of_one_socket_run_at_once_within_a_bound() {
    let stack = stack(|limits| limits.messages_in_flight_max = 2).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    for text in ["hold", "hold", "after"] {
        socket.send(text).await;
    }
    stack.world.until(|counts| counts.holding == 2).await;
    stack.world.gate.add_permits(1);
    assert_eq!(socket.text().await, "held");
    assert_eq!(socket.text().await, "you said 5");
    stack.world.gate.add_permits(1);
    assert_eq!(socket.text().await, "held");
}

#[tokio::test]
async fn frames_and_messages_are_limited() {
    let mut stack = stack(|_| ()).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    socket.send("x".repeat(32 * 1024)).await;
    assert_eq!(socket.text().await, "you said 32768");
    let quarter = "x".repeat(32 * 1024);
    for index in 0..4 {
        let kind = if index == 0 { Data::Text } else { Data::Continue };
        socket.send(frame(quarter.clone(), kind, index == 3)).await;
    }
    assert_eq!(socket.text().await, "you said 131072");
    for index in 0..4 {
        let kind = if index == 0 { Data::Text } else { Data::Continue };
        socket.send(frame(quarter.clone(), kind, false)).await;
    }
    socket.send(frame("x", Data::Continue, true)).await;
    assert_eq!(socket.closed().await, 1009);
    assert_eq!(stack.disconnect().await, (1009, "Message too long".to_owned()));

    for (message, code) in [
        (frame("x".repeat(32 * 1024 + 1), Data::Text, true), 1009),
        (frame("x".repeat(1_000_000), Data::Text, true), 1009),
        (Message::Binary("binary".into()), 1003),
        (frame(&b"\xff\xfe"[..], Data::Text, true), 1007),
        (frame("x", Data::Continue, true), 1002),
        (
            Message::Frame(Frame::message("x", OpCode::Data(Data::Reserved(3)), true)),
            1002,
        ),
    ] {
        let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
        socket.send(message).await;
        assert_eq!(socket.closed().await, code);
        assert_eq!(stack.disconnect().await.0, u64::from(code));
    }
}

#[tokio::test]
async fn a_socket_ends_when_it_is_idle_or_old() {
    let mut stack = stack(|limits| limits.socket_idle = Duration::from_millis(100)).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    assert_eq!(socket.closed().await, 1001);
    assert_eq!(stack.disconnect().await, (1001, "Going away".to_owned()));

    let mut stack = self::stack(|limits| limits.socket_life = Duration::from_millis(200)).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    socket.send("hi").await;
    assert_eq!(socket.closed().await, 1001);
    assert_eq!(stack.disconnect().await, (1001, "Going away".to_owned()));
}

#[tokio::test]
async fn disconnect_follows_however_a_client_leaves() {
    let mut stack = stack(|_| ()).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    let frame = tungstenite::protocol::CloseFrame {
        code: 4000.into(),
        reason: "bye".into(),
    };
    socket.0.close(Some(frame)).await.unwrap();
    assert_eq!(stack.disconnect().await, (4000, "bye".to_owned()));
    assert_eq!(socket.closed().await, 4000);

    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    socket.0.close(None).await.unwrap();
    assert_eq!(
        stack.disconnect().await,
        (1005, "Client-side close frame status not set".to_owned())
    );

    drop(stack.socket("chat.v1, ticket.1").await.unwrap());
    assert_eq!(stack.disconnect().await.0, 1006);

    // A client that leaves while $connect runs: $connect succeeds, so $disconnect follows.
    let request = "GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
        sec-websocket-protocol: chat.v1, ticket.hold\r\n\r\n";
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stack.world.until(|counts| counts.holding == 1).await;
    drop(stream);
    stack.world.gate.add_permits(1);
    assert_eq!(stack.disconnect().await.0, 1006);
}

#[tokio::test]
async fn sockets_whose_registry_was_lost_are_closed_and_may_connect_again() {
    let mut stack = stack(|_| ()).await;
    let mut open = [
        stack.socket("chat.v1, ticket.1").await.unwrap(),
        stack.socket("chat.v1, ticket.2").await.unwrap(),
    ];
    stack.gateway.close_sockets();
    for socket in &mut open {
        assert_eq!(socket.closed().await, 1001);
        assert_eq!(stack.disconnect().await.0, 1001);
    }
    let mut again = stack.socket("chat.v1, ticket.3").await.unwrap();
    again.send("hi").await;
    assert_eq!(again.text().await, "you said 2");
}

#[tokio::test]
async fn a_socket_is_one_of_so_many() {
    let stack = stack(|limits| limits.sockets_max = 1).await;
    let socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    match stack.socket("chat.v1, ticket.1").await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 429),
        other => panic!("{:?}", other.err()),
    }
    drop(socket);
}

// ---- @connections ----

/// A socket and its id.
async fn identified(stack: &Stack) -> (Socket, String) {
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    socket.send("event").await;
    let event: Value = serde_json::from_str(&socket.text().await).unwrap();
    (
        socket,
        event["requestContext"]["connectionId"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn functions_reach_a_connection_through_the_sdk() {
    let mut stack = stack(|_| ()).await;
    let (mut socket, id) = identified(&stack).await;
    let client = stack.management(ACCESS_KEY);
    client
        .post_to_connection()
        .connection_id(&id)
        .data(Blob::new("hällo"))
        .send()
        .await
        .unwrap();
    assert_eq!(socket.text().await, "hällo");
    let largest = "x".repeat(128 * 1024);
    client
        .post_to_connection()
        .connection_id(&id)
        .data(Blob::new(largest.clone()))
        .send()
        .await
        .unwrap();
    assert_eq!(socket.text().await, largest);

    let description = client.get_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(description.identity().unwrap().source_ip(), Some("127.0.0.1"));
    let (connected, active) = (
        description.connected_at().unwrap(),
        description.last_active_at().unwrap(),
    );
    assert!(connected.to_millis().unwrap() <= active.to_millis().unwrap());

    let post = |client: aws_sdk_apigatewaymanagement::Client, id: &str, data: Vec<u8>| {
        let sending = client
            .post_to_connection()
            .connection_id(id)
            .data(Blob::new(data))
            .send();
        async move { sending.await.unwrap_err().into_service_error() }
    };
    let error = post(client.clone(), &id, vec![b'x'; 128 * 1024 + 1]).await;
    assert!(
        matches!(error, PostToConnectionError::PayloadTooLargeException(_)),
        "{error:?}"
    );
    let error = post(client.clone(), "L0SM9cOFvHcCIhw=", b"x".to_vec()).await;
    assert!(matches!(error, PostToConnectionError::GoneException(_)), "{error:?}");
    let error = post(stack.management("AKIDOTHER"), &id, b"x".to_vec()).await;
    assert!(
        matches!(error, PostToConnectionError::ForbiddenException(_)),
        "{error:?}"
    );
    let error = post(client.clone(), &id, b"\xff".to_vec()).await;
    assert_eq!(error.meta().code(), Some("BadRequestException"));

    client.delete_connection().connection_id(&id).send().await.unwrap();
    assert_eq!(socket.closed().await, 1000);
    assert_eq!(stack.disconnect().await.0, 1000);
    let error = post(client.clone(), &id, b"x".to_vec()).await;
    assert!(matches!(error, PostToConnectionError::GoneException(_)), "{error:?}");
    assert!(
        client
            .get_connection()
            .connection_id(&id)
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_gone_exception()
    );
    let error = client
        .delete_connection()
        .connection_id(&id)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_gone_exception());
}

#[tokio::test]
async fn connections_are_for_signed_local_calls_only() {
    let stack = stack(|_| ()).await;
    let (mut socket, id) = identified(&stack).await;
    let path = format!("/live/@connections/{}", id.replace('=', "%3D"));
    let scope = "20261122/local/execute-api/aws4_request, SignedHeaders=host";
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, Signature={}",
        "0".repeat(64)
    );
    let post = |host: Option<&str>, authorization: Option<&str>| {
        let mut request = stack.request(Method::POST, &path);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        send(request.body("posted".into()).unwrap())
    };
    assert_eq!(post(None, None).await.status(), 403);
    let unsigned = signed.replace("Signature=0", "Signature=");
    let other = signed.replace(ACCESS_KEY, "AKIDOTHER");
    for authorization in ["Bearer x", "AWS4-HMAC-SHA256", &unsigned, &other] {
        let response = post(None, Some(authorization)).await;
        assert_eq!(response.status(), 403, "{authorization}");
        assert_eq!(response.headers()["x-amzn-errortype"], "ForbiddenException");
    }
    assert_eq!(post(Some("evil.example"), Some(&signed)).await.status(), 403);
    let preflight = stack
        .request(Method::OPTIONS, &path)
        .header("origin", "http://localhost:1")
        .body(Full::default());
    assert!(
        send(preflight.unwrap())
            .await
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
    assert_eq!(post(Some("localhost"), Some(&signed)).await.status(), 200);
    assert_eq!(socket.text().await, "posted");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_bounded_and_then_given_up() {
    let mut stack = stack(|limits| limits.socket_write_timeout = Duration::from_secs(1)).await;
    let (socket, id) = identified(&stack).await;
    let client = stack.management(ACCESS_KEY);
    let data = Blob::new(vec![b'x'; 100_000]);
    let mut posted = 0;
    let error = loop {
        match client
            .post_to_connection()
            .connection_id(&id)
            .data(data.clone())
            .send()
            .await
        {
            Ok(_) => posted += 1,
            Err(error) => break error.into_service_error(),
        }
        assert!(posted < 10_000, "nothing bounds what waits for a client");
    };
    assert!(
        matches!(error, PostToConnectionError::LimitExceededException(_)),
        "{error:?}"
    );
    // Other clients are not held up by it.
    let (mut other, other_id) = identified(&stack).await;
    client
        .post_to_connection()
        .connection_id(&other_id)
        .data(Blob::new("hi"))
        .send()
        .await
        .unwrap();
    assert_eq!(other.text().await, "hi");
    assert_eq!(stack.disconnect().await.0, 1006);
    let error = client
        .post_to_connection()
        .connection_id(&id)
        .data(data)
        .send()
        .await
        .unwrap_err();
    assert!(error.into_service_error().is_gone_exception());
    drop(socket);
}

// ---- Native gRPC ----

#[tokio::test]
async fn native_grpc_is_served_as_grpc_web() {
    let stack = stack(|_| ()).await;
    let stream = TcpStream::connect(stack.address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let call = |content_type: &str, wish: &Value| {
        let request = stack
            .request(Method::POST, RUN)
            .header("authorization", format!("Bearer {}", token()));
        request
            .header("content-type", content_type)
            .header("te", "trailers")
            .body(Full::<Bytes>::from(wish.to_string()))
            .unwrap()
    };
    let event = client.send_request(call("application/grpc", &json!({}))).await.unwrap();
    let event: Value = serde_json::from_slice(&event.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(event["headers"]["content-type"], "application/grpc-web+proto");
    assert_eq!(event["requestContext"]["http"]["protocol"], "HTTP/2.0");
    assert_eq!(event["headers"]["host"], stack.address.to_string());
    assert_eq!(event["isBase64Encoded"], true);

    let frames = STANDARD.encode(b"\0\0\0\0\x02hi\x80\0\0\0\x1cgrpc-status: 5\r\nx-other: 1\r\n");
    let answer = |body: &str| {
        let headers = json!({"content-type": "application/grpc-web+proto", "x-more": "2"});
        let answer = json!({"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": true});
        json!({"do": "answer", "answer": answer})
    };
    let native = client
        .send_request(call("application/grpc+proto", &answer(&frames)))
        .await
        .unwrap();
    assert_eq!(
        (
            &native.headers()["content-type"],
            native.headers()["x-more"].to_str().unwrap()
        ),
        (&"application/grpc+proto".parse().unwrap(), "2")
    );
    let collected = native.collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "5");
    assert_eq!(collected.to_bytes(), Bytes::from_static(b"\0\0\0\0\x02hi"));

    // What is no gRPC, in either direction, stays as it is.
    for (content_type, body) in [
        ("application/grpc-web+proto", frames.as_str()),
        ("application/grpc", "AAAA"),
    ] {
        let plain = client.send_request(call(content_type, &answer(body))).await.unwrap();
        assert_eq!(plain.headers()["content-type"], "application/grpc-web+proto");
        let collected = plain.collect().await.unwrap();
        assert!(collected.trailers().is_none());
        assert_eq!(collected.to_bytes(), STANDARD.decode(body).unwrap());
    }
    let unauthorized = client.send_request(
        stack
            .request(Method::POST, RUN)
            .header("content-type", "application/grpc")
            .body(Full::default())
            .unwrap(),
    );
    assert_eq!(unauthorized.await.unwrap().status(), 401);
}

// ---- Start and end ----

#[tokio::test]
async fn a_stop_lets_what_runs_finish_and_says_goodbye() {
    let mut stack = stack(|_| ()).await;
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    let held = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    let stopping = tokio::spawn(stack.gateway.stop());
    assert_eq!(socket.closed().await, 1001);
    let event = timeout(PATIENCE, stack.disconnects.recv()).await.unwrap().unwrap();
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1001);
    assert!(TcpStream::connect(stack.address).await.is_err(), "nobody new is let in");
    stack.world.gate.add_permits(1);
    assert_eq!(held.await.unwrap().body(), "held");
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
    let counts = stack.world.until(|_| true).await;
    assert_eq!((counts.created, counts.dropped), (1, 1));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let stack = stack(|limits| limits.stop_grace = Duration::from_millis(100)).await;
    let held = stack.spawn(&json!({"do": "hold"}));
    stack.world.until(|counts| counts.holding == 1).await;
    timeout(PATIENCE, stack.gateway.stop()).await.unwrap();
    stack.world.until(|counts| counts.dropped == 1).await;
    assert_eq!(message(&held.await.unwrap()), (503, json!(STOPPING)));
}

#[tokio::test]
async fn a_request_that_comes_while_the_gateway_stops_is_answered() {
    let stack = stack(|limits| {
        limits.stop_linger = PATIENCE;
        limits.stop_grace = PATIENCE;
    })
    .await;
    let mut quiet = TcpStream::connect(stack.address).await.unwrap();
    quiet.write_all(REQUEST.as_bytes()).await.unwrap();
    assert!(head(&mut quiet).await.starts_with("HTTP/1.1 404 "));
    let mut silent = TcpStream::connect(stack.address).await.unwrap();
    let held = stack.spawn(&json!({"do": "hold"}));
    let mut socket = stack.socket("chat.v1, ticket.1").await.unwrap();
    stack.world.until(|counts| counts.holding == 1).await;
    let stopping = tokio::spawn(stack.gateway.stop());
    assert_eq!(socket.closed().await, 1001);
    for late in [&mut quiet, &mut silent] {
        late.write_all(REQUEST.as_bytes()).await.unwrap();
        is_told_that_it_stops(late).await;
    }
    stack.world.gate.add_permits(1);
    let held = held.await.unwrap();
    assert_eq!(
        (held.body(), &held.headers()["connection"]),
        (&"held".into(), &"close".parse().unwrap())
    );
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_the_gateway_has_not_seen_when_it_stops_is_answered() {
    let stack = stack(|_| ()).await;
    // The system has taken these, the gateway has not: it runs only when this test waits.
    let mut unseen: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(stack.address).unwrap();
            std::io::Write::write_all(&mut stream, REQUEST.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            TcpStream::from_std(stream).unwrap()
        })
        .collect();
    let answers = async {
        for stream in &mut unseen {
            is_told_that_it_stops(stream).await;
        }
    };
    timeout(PATIENCE, futures::future::join(stack.gateway.stop(), answers))
        .await
        .unwrap();
}

/// A request that any gateway answers, with a body.
const REQUEST: &str =
    "POST /none HTTP/1.1\r\nhost: localhost\r\norigin: https://app.test\r\ncontent-length: 2\r\n\r\n{}";
const STOPPING: &str = "Service Unavailable: the local gateway is stopping";

/// Reads to the end of the connection: its last answer, which says that there are no more.
async fn is_told_that_it_stops(stream: &mut TcpStream) {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    let start = text.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let (head, body) = text[start..].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{text}");
    for field in ["connection: close", "retry-after: 1", "access-control-allow-origin: *"] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {text}");
    }
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap(),
        json!({"message": STOPPING})
    );
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line() {
    let stack = stack(|_| ()).await;
    let mut config = config("none");
    config.address = stack.address;
    let error = gateway::serve(config).await.err().unwrap();
    assert!(matches!(error, GatewayError::Taken(address) if address == stack.address));
    let line = error.to_string();
    assert!(
        line.contains(&stack.address.port().to_string()) && line.contains("CHAT_PORT"),
        "{line}"
    );
}

#[tokio::test]
async fn functions_that_do_not_fit_together_are_refused() {
    let mut config = config("none");
    config.functions.push(Function::event::<Run>(
        "again",
        Trigger::Rpc {
            path: RUN,
            public: true,
        },
    ));
    assert!(matches!(
        gateway::serve(config).await,
        Err(GatewayError::Ambiguous("run", "again"))
    ));
    let mut config = self::config("none");
    config
        .functions
        .retain(|function| function.trigger() != Trigger::SocketRoute("$disconnect"));
    assert!(matches!(
        gateway::serve(config).await,
        Err(GatewayError::Incomplete("$disconnect"))
    ));
    let mut config = self::config("none");
    config
        .functions
        .retain(|function| matches!(function.trigger(), Trigger::Rpc { .. }));
    let gateway = gateway::serve(config).await.unwrap();
    let request = Request::get(format!("http://{}/live", gateway.address()))
        .body(Full::default())
        .unwrap();
    assert_eq!(send(request).await.status(), 404);
}

#[tokio::test]
async fn functions_learn_where_the_socket_is() {
    struct Told(Settings);

    impl FromSettings for Told {
        fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
            Ok(Self(settings.clone()))
        }
    }

    impl EventHandler for Told {
        type Event = Value;
        type Answer = Value;

        async fn call(&self, _: Value, _: std::time::Instant) -> Result<Value, EventError> {
            Ok(json!({"endpoint": self.0.get("LIVE_ENDPOINT"), "url": self.0.get("LIVE_URL")}))
        }
    }

    let mut config = config("none");
    config.functions = vec![Function::event::<Told>(
        "told",
        Trigger::Rpc {
            path: OPEN,
            public: true,
        },
    )];
    let gateway = gateway::serve(config).await.unwrap();
    let address = gateway.address();
    let request = Request::post(format!("http://{address}{OPEN}"))
        .body(Full::default())
        .unwrap();
    let told: Value = serde_json::from_slice(send(request).await.body()).unwrap();
    assert_eq!(
        told,
        json!({"endpoint": format!("http://{address}/live"), "url": format!("ws://{address}/live")})
    );
}
