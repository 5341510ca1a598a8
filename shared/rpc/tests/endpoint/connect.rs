use bytes::Bytes;
use chat_contract::v1::SendMessageResponse;
use chat_rpc::{Notices, REQUEST_BYTES_MAX};
use http::{Method, Response};
use prost::Message;
use serde_json::{Value, json};

use crate::operation::{Echo, notice, request, response};
use crate::wire::{from_base64, header, post, send, with};

const JSON: &str = "application/json";
const PROTO: &str = "application/proto";

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

async fn ask(text: &str) -> Response<Bytes> {
    send(Echo, post(JSON, json!({ "text": text }).to_string())).await
}

#[tokio::test]
async fn json_is_answered_with_json() {
    for content_type in [JSON, "Application/JSON; charset=utf-8"] {
        let answer = send(
            Echo,
            post(content_type, r#"{"text": "hi", "clientMessageId": "1", "later": [1]}"#),
        )
        .await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (200, Some(JSON))
        );
        assert_eq!(
            body(&answer),
            json!({ "message": { "senderId": "alice", "text": "hi" } })
        );
    }
}

#[tokio::test]
async fn binary_messages_go_without_frames() {
    let answer = send(Echo, post(PROTO, request("hi").encode_to_vec())).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (200, Some(PROTO))
    );
    assert_eq!(
        SendMessageResponse::decode(answer.into_body()).unwrap(),
        response("alice", "hi")
    );
    assert_eq!(send(Echo, post(PROTO, "")).await.status(), 200);
}

#[tokio::test]
async fn a_failure_is_json_with_the_status_of_its_code() {
    let answer = ask("limit").await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (429, Some(JSON))
    );
    let error = body(&answer);
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("resource_exhausted"), &json!("zu viele, 100 % voll"))
    );
    assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo");
    let value = from_base64(error["details"][0]["value"].as_str().unwrap());
    let info = tonic_types::pb::ErrorInfo::decode(value.as_slice()).unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TOO_MANY", "chat.v1"));

    let refused = body(&ask("refuse").await);
    assert_eq!(refused["code"], "invalid_argument");
    assert_eq!(refused["details"][1]["type"], "google.rpc.BadRequest");
    let value = from_base64(refused["details"][1]["value"].as_str().unwrap());
    assert_eq!(
        tonic_types::pb::BadRequest::decode(value.as_slice())
            .unwrap()
            .field_violations
            .len(),
        2
    );
}

#[tokio::test]
async fn a_failure_of_a_binary_call_is_json_too() {
    let answer = send(Echo, post(PROTO, request("refuse").encode_to_vec())).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "content-type")),
        (400, Some(JSON))
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    for (content_type, content) in [
        (JSON, ""),
        (JSON, "{"),
        (JSON, "[]"),
        (JSON, r#"{"text":1}"#),
        (JSON, "null"),
        (PROTO, "\u{7f}\u{7f}"),
    ] {
        let answer = send(Echo, post(content_type, content)).await;
        assert_eq!(
            (answer.status().as_u16(), &body(&answer)["code"]),
            (400, &json!("invalid_argument")),
            "{content}"
        );
    }
    let nested = format!(r#"{{"later":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        send(Echo, post(JSON, nested)).await.status(),
        200,
        "unknown fields are skipped, however deep"
    );
    let large = json!({ "text": "x".repeat(REQUEST_BYTES_MAX) }).to_string();
    let too_large = send(Echo, post(JSON, large)).await;
    // Nothing that a client should repeat.
    assert_eq!(
        (too_large.status().as_u16(), &body(&too_large)["code"]),
        (400, &json!("invalid_argument"))
    );
}

#[tokio::test]
async fn only_version_1_without_compression_is_spoken() {
    let ask = || post(JSON, "{}");
    assert_eq!(
        send(Echo, with(ask(), "connect-protocol-version", "1")).await.status(),
        200
    );
    assert_eq!(
        send(Echo, with(ask(), "connect-protocol-version", "2")).await.status(),
        400
    );
    assert_eq!(
        send(Echo, with(ask(), "content-encoding", "identity")).await.status(),
        200
    );
    assert_eq!(send(Echo, with(ask(), "content-encoding", "gzip")).await.status(), 501);
}

#[tokio::test]
async fn get_is_not_supported() {
    let mut get = post(JSON, "");
    *get.method_mut() = Method::GET;
    assert_eq!(send(Echo, get).await.status(), 405);
}

#[tokio::test]
async fn a_panic_is_an_internal_error() {
    let answer = ask("panic").await;
    assert_eq!(
        (answer.status().as_u16(), &body(&answer)["code"]),
        (500, &json!("internal"))
    );
    assert!(!str::from_utf8(answer.body()).unwrap().contains("secret"));
}

#[tokio::test]
async fn a_call_without_a_token_is_unauthenticated() {
    let mut ask = post(JSON, "{}");
    ask.extensions_mut().clear();
    let answer = send(Echo, ask).await;
    assert_eq!(
        (answer.status().as_u16(), &body(&answer)["code"]),
        (401, &json!("unauthenticated"))
    );
}

#[tokio::test]
async fn notices_are_an_extension_of_the_response() {
    assert_eq!(
        ask("notify").await.extensions_mut().remove(),
        Some(Notices(vec![notice()]))
    );
    assert_eq!(ask("hi").await.extensions_mut().remove::<Notices>(), None);
}
