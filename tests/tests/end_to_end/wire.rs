//! Bytes on the wire, through the gateway, as clients see them that are none of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chat_client::contract::Rpc;
use chat_client::contract::health::HealthCheckRequest;
use chat_client::contract::v1::{
    GetConversationRequest, ListConversationsRequest, ListMessagesRequest, ListMessagesResponse, SendMessageRequest,
    SendMessageResponse,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;
use tonic_web::GrpcWebClientLayer;
use tower::Layer as _;

use crate::harness::{PATIENCE, Stack, token};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";
const JSON: &str = "application/json";
/// A conversation that is not there.
const MISSING: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Who calls from where.
struct Wire {
    stack: Stack,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Wire {
    async fn start() -> Self {
        Self {
            stack: Stack::start().await,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.stack.gateway.address())
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        let response = timeout(PATIENCE, self.client.request(request)).await.unwrap().unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// Posts as alice.
    async fn post(&self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let request = Request::post(self.url(path))
            .header("authorization", format!("Bearer {}", token("alice")))
            .header("content-type", content_type)
            .body(Full::new(body.into()))
            .unwrap();
        self.send(request).await
    }
}

fn framed(flags: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    [&[flags], &length.to_be_bytes()[..], content].concat()
}

fn frame(message: &impl prost::Message) -> Vec<u8> {
    framed(0, &message.encode_to_vec())
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn content_type(response: &Response<Bytes>) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

/// The status and the `message` of an answer that the gateway itself made.
fn refusal(response: &Response<Bytes>) -> (u16, Value) {
    assert_eq!(content_type(response), JSON);
    (
        response.status().as_u16(),
        serde_json::from_slice(response.body()).unwrap(),
    )
}

/// The frames of a body: flags and content.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((&[flags, a, b, c, d], rest)) = body.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap();
        frames.push((flags, rest[..length].to_vec()));
        body = &rest[length..];
    }
    assert!(body.is_empty(), "bytes after the last frame");
    frames
}

#[tokio::test]
async fn an_answer_is_its_message_and_its_trailers_in_both_forms() {
    let wire = Wire::start().await;
    let conversation_id = wire.stack.fixture.open_direct("alice", "bob").await.to_string();
    let request = SendMessageRequest {
        conversation_id: conversation_id.clone(),
        client_message_id: "1".into(),
        text: "Hello".into(),
        ..SendMessageRequest::default()
    };
    let answer = wire.post(SendMessageRequest::PATH, BINARY, frame(&request)).await;
    assert_eq!((answer.status(), content_type(&answer)), (StatusCode::OK, BINARY));
    let parts = frames(answer.body());
    let [(0, message), (0x80, trailers)] = parts.as_slice() else {
        panic!("a message frame and a trailer frame");
    };
    assert_eq!(trailers, b"grpc-status:0\r\n");
    let sent = SendMessageResponse::decode(message.as_slice())
        .unwrap()
        .message
        .unwrap();
    assert_eq!((sent.seq, &*sent.text, &*sent.sender_id), (1, "Hello", "alice"));

    let request = ListMessagesRequest {
        conversation_id,
        ..ListMessagesRequest::default()
    };
    let page = ListMessagesResponse {
        messages: vec![sent],
        has_more_before: false,
        has_more_after: false,
        ..ListMessagesResponse::default()
    };
    let expected = [frame(&page), framed(0x80, b"grpc-status:0\r\n")].concat();
    let binary = wire.post(ListMessagesRequest::PATH, BINARY, frame(&request)).await;
    assert_eq!(binary.body(), &expected);
    let text = wire
        .post(ListMessagesRequest::PATH, TEXT, base64(&frame(&request)))
        .await;
    assert_eq!((text.status(), content_type(&text)), (StatusCode::OK, TEXT));
    assert_eq!(text.body(), base64(&expected).as_bytes());
}

#[tokio::test]
async fn a_failure_is_trailers_in_the_body_and_in_the_headers() {
    let wire = Wire::start().await;
    let request = GetConversationRequest {
        conversation_id: MISSING.into(),
    };
    let binary = wire.post(GetConversationRequest::PATH, BINARY, frame(&request)).await;
    let text = wire
        .post(GetConversationRequest::PATH, TEXT, base64(&frame(&request)))
        .await;
    assert_eq!(text.body(), base64(binary.body()).as_bytes());
    for answer in [&binary, &text] {
        assert_eq!(
            (answer.status(), &answer.headers()["grpc-status"]),
            (StatusCode::OK, &"5".parse().unwrap())
        );
    }
    let parts = frames(binary.body());
    let [(0x80, trailers)] = parts.as_slice() else {
        panic!("a trailer frame alone");
    };
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(trailers).unwrap().lines() {
        let (name, value) = line.split_once(':').unwrap();
        headers.insert(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
    }
    let status = tonic::Status::from_header_map(&headers).unwrap();
    assert_eq!(status.code(), tonic::Code::NotFound);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("CONVERSATION_NOT_FOUND", "chat.v1"));
}

#[tokio::test]
async fn json_is_enough_to_call() {
    let wire = Wire::start().await;
    let conversation_id = wire.stack.fixture.open_direct("alice", "bob").await.to_string();
    let request = json!({ "conversationId": conversation_id, "clientMessageId": "1", "text": "Hello" });
    let answer = wire.post(SendMessageRequest::PATH, JSON, request.to_string()).await;
    assert_eq!((answer.status(), content_type(&answer)), (StatusCode::OK, JSON));
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        (&answer["message"]["seq"], &answer["message"]["text"]),
        (&json!("1"), &json!("Hello"))
    );

    let request = json!({ "conversationId": MISSING });
    let answer = wire.post(GetConversationRequest::PATH, JSON, request.to_string()).await;
    assert_eq!((answer.status(), content_type(&answer)), (StatusCode::NOT_FOUND, JSON));
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(answer["code"], json!("not_found"));
}

#[tokio::test]
async fn the_gateway_refuses_what_never_reaches_a_function() {
    let wire = Wire::start().await;
    let body = frame(&ListConversationsRequest::default());
    for authorization in [
        None,
        Some("Bearer garbage"),
        Some("Basic YWxpY2U6"),
        Some("Bearer e30.e30.e30"),
    ] {
        let mut request = Request::post(wire.url(ListConversationsRequest::PATH)).header("content-type", BINARY);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = wire.send(request.body(Full::from(body.clone())).unwrap()).await;
        assert_eq!(
            refusal(&answer),
            (401, json!({ "message": "Unauthorized" })),
            "{authorization:?}"
        );
        assert!(
            answer.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
    }
    for path in [
        "/chat.v1.MessageService/Shout",
        "/chat.v1.MessageService/sendMessage",
        "/chat.v1.MessageService/SendMessage/",
        "/chat.v2.MessageService/SendMessage",
        "/",
    ] {
        let answer = wire.post(path, BINARY, body.clone()).await;
        assert_eq!(refusal(&answer), (404, json!({ "message": "Not Found" })), "{path}");
    }
    let get = Request::get(wire.url(ListConversationsRequest::PATH)).body(Full::default());
    assert_eq!(refusal(&wire.send(get.unwrap()).await).0, 404);

    // More than a function takes, and more than the gateway does.
    for size in [7, 11] {
        let answer = wire
            .post(ListConversationsRequest::PATH, BINARY, vec![0; size << 20])
            .await;
        assert_eq!(
            refusal(&answer),
            (413, json!({ "message": "Request Entity Too Large" })),
            "{size} MiB"
        );
    }
    // More than a call may say, though a function takes it.
    let request = SendMessageRequest {
        text: "x".repeat(300 << 10),
        ..SendMessageRequest::default()
    };
    let answer = wire.post(SendMessageRequest::PATH, BINARY, frame(&request)).await;
    assert_eq!(
        (answer.status(), &answer.headers()["grpc-status"]),
        (StatusCode::OK, &"3".parse().unwrap())
    );

    for other in [
        "text/plain",
        "application/grpc+json",
        "application/x-www-form-urlencoded",
    ] {
        let answer = wire.post(ListConversationsRequest::PATH, other, body.clone()).await;
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{other}");
        let line = std::str::from_utf8(answer.body()).unwrap();
        assert!(line.contains(BINARY) && line.lines().count() == 1, "{line}");
    }
    // And after all that it serves.
    let answer = wire.post(ListConversationsRequest::PATH, BINARY, body).await;
    assert_eq!(
        *answer.body(),
        [framed(0, &[]), framed(0x80, b"grpc-status:0\r\n")].concat()
    );
}

#[tokio::test]
async fn pages_from_elsewhere_may_call_and_read_the_answer() {
    let wire = Wire::start().await;
    let preflight = Request::options(wire.url(SendMessageRequest::PATH))
        .header("origin", "https://chat.example")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type,x-grpc-web",
        )
        .body(Full::default());
    let answer = wire.send(preflight.unwrap()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let allowed = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(allowed("access-control-allow-origin"), "*");
    assert!(allowed("access-control-allow-methods").contains("POST"));
    for header in [
        "authorization",
        "content-type",
        "x-grpc-web",
        "grpc-timeout",
        "x-user-agent",
    ] {
        assert!(allowed("access-control-allow-headers").contains(header), "{header}");
    }

    let call = Request::post(wire.url(HealthCheckRequest::PATH))
        .header("origin", "https://chat.example")
        .header("content-type", BINARY)
        .body(Full::from(frame(&HealthCheckRequest::default())));
    let answer = wire.send(call.unwrap()).await;
    let exposed = answer.headers()["access-control-expose-headers"].to_str().unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    for header in ["grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after"] {
        assert!(exposed.contains(header), "{header}");
    }
    assert_eq!(
        answer.headers().get_all("access-control-allow-origin").iter().count(),
        1
    );
}

/// Calls through tonic's client, whatever it speaks below, as alice.
async fn ask<T, R: Rpc + Clone>(client: &mut Grpc<T>, request: R) -> Result<R::Response, tonic::Status>
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: std::fmt::Debug,
    T::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + std::fmt::Debug,
{
    client.ready().await.map_err(|_| tonic::Status::unknown("not ready"))?;
    let mut request = tonic::Request::new(request);
    let bearer = format!("Bearer {}", token("alice")).parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request.set_timeout(PATIENCE);
    let codec = ProstCodec::<R, R::Response>::default();
    let answer = client.unary(request, PathAndQuery::from_static(R::PATH), codec).await;
    answer.map(tonic::Response::into_inner)
}

/// A conversation as that client sees it.
async fn talk<T>(mut client: Grpc<T>, conversation_id: String)
where
    T: tonic::client::GrpcService<tonic::body::Body>,
    T::Error: std::fmt::Debug,
    T::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + std::fmt::Debug,
{
    let request = SendMessageRequest {
        conversation_id: conversation_id.clone(),
        client_message_id: "1".into(),
        text: "Hello".into(),
        ..SendMessageRequest::default()
    };
    let sent = ask(&mut client, request).await.unwrap().message.unwrap();
    let request = ListMessagesRequest {
        conversation_id,
        ..ListMessagesRequest::default()
    };
    assert_eq!(ask(&mut client, request).await.unwrap().messages, [sent]);
    let request = GetConversationRequest {
        conversation_id: MISSING.into(),
    };
    let status = ask(&mut client, request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "CONVERSATION_NOT_FOUND"
    );
    let status = ask(&mut client, SendMessageRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 3);
}

#[tokio::test]
async fn tonic_talks_grpc_web() {
    let stack = Stack::start().await;
    let conversation_id = stack.fixture.open_direct("alice", "bob").await.to_string();
    let http = Client::builder(TokioExecutor::new()).build_http();
    let web = GrpcWebClientLayer::new().layer(http);
    let origin = format!("http://{}", stack.gateway.address()).parse().unwrap();
    talk(Grpc::with_origin(web, origin), conversation_id).await;
}

#[tokio::test]
async fn tonic_talks_native_grpc() {
    let stack = Stack::start().await;
    let conversation_id = stack.fixture.open_direct("alice", "bob").await.to_string();
    let http: Client<_, tonic::body::Body> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let origin = format!("http://{}", stack.gateway.address()).parse().unwrap();
    talk(Grpc::with_origin(http, origin), conversation_id).await;
}
