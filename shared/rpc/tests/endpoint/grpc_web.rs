use bytes::Bytes;
use chat_contract::v1::SendMessageResponse;
use chat_rpc::{Endpoint, Notices};
use http::{Method, Request};
use tower::{Service, ServiceExt};

use crate::operation::{Echo, PublicEcho, notice, request, response};
use crate::wire::{Answered, TRAILERS_OK, base64, claims, frame, header, post, send, with};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

#[tokio::test]
async fn an_answer_is_a_message_frame_and_a_trailer_frame() {
    let answer = send(Echo, post(BINARY, frame(&request("hi")))).await;
    assert_eq!(
        answer.body(),
        &[frame(&response("alice", "hi")).as_slice(), TRAILERS_OK].concat()
    );
    assert_eq!(header(&answer, "content-type"), Some(BINARY));
}

#[tokio::test]
async fn a_text_answer_is_the_binary_one_as_one_base64_chunk() {
    let binary = send(Echo, post(BINARY, frame(&request("hi")))).await;
    let text = send(Echo, post(TEXT, base64(&frame(&request("hi"))))).await;
    assert_eq!(text.body(), base64(binary.body()).as_bytes());
    assert_eq!(header(&text, "content-type"), Some(TEXT));
}

#[tokio::test]
async fn every_spelling_of_the_content_type_is_understood() {
    for spelling in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "Application/gRPC-Web+Proto",
        "application/grpc-web; charset=utf-8",
        "application/grpc-web+proto ;q=1",
    ] {
        let answer = send(Echo, post(spelling, frame(&request("hi")))).await;
        assert_eq!(header(&answer, "content-type"), Some(BINARY), "{spelling}");
        assert_eq!(
            Answered::of(&answer).message::<SendMessageResponse>(),
            response("alice", "hi"),
            "{spelling}"
        );
    }
    for spelling in [
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
        "APPLICATION/GRPC-WEB-TEXT",
        "application/grpc-web-text; charset=utf-8",
    ] {
        let answer = send(Echo, post(spelling, base64(&frame(&request("hi"))))).await;
        assert_eq!(header(&answer, "content-type"), Some(TEXT), "{spelling}");
        assert_eq!(
            Answered::of(&answer).message::<SendMessageResponse>(),
            response("alice", "hi"),
            "{spelling}"
        );
    }
}

#[tokio::test]
async fn a_binary_request_may_ask_for_a_text_answer() {
    let ask = |accept| with(post(BINARY, frame(&request("hi"))), "accept", accept);
    for accept in [TEXT, "text/html, Application/grpc-web-text;q=0.9"] {
        assert_eq!(
            header(&send(Echo, ask(accept)).await, "content-type"),
            Some(TEXT),
            "{accept}"
        );
    }
    for accept in ["*/*", BINARY, "application/grpc-web-texts"] {
        assert_eq!(
            header(&send(Echo, ask(accept)).await, "content-type"),
            Some(BINARY),
            "{accept}"
        );
    }
    let refusal = send(Echo, with(post(BINARY, frame(&request("refuse"))), "accept", TEXT)).await;
    assert_eq!(header(&refusal, "content-type"), Some(TEXT));
    assert_eq!(Answered::of(&refusal).code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_text_request_may_come_in_padded_chunks_of_any_size() {
    let body = frame(&request("a text of some length, so that there are chunks"));
    for size in 1..=body.len() {
        let chunks: String = body.chunks(size).map(base64).collect();
        let answer = send(Echo, post(TEXT, chunks)).await;
        assert!(
            !Answered::of(&answer)
                .message::<SendMessageResponse>()
                .message
                .unwrap()
                .text
                .is_empty(),
            "{size}"
        );
    }
    let unpadded = base64(&body).trim_end_matches('=').to_owned();
    assert_eq!(
        Answered::of(&send(Echo, post(TEXT, unpadded)).await).code(),
        tonic::Code::Ok
    );
}

#[tokio::test]
async fn other_content_types_are_refused_with_a_line_of_text() {
    for other in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web+json",
        "application/connect+proto",
        "text/plain",
        "",
    ] {
        let answer = send(Echo, post(other, frame(&request("hi")))).await;
        assert_eq!(answer.status(), 415, "{other}");
        assert_eq!(header(&answer, "content-type"), Some("text/plain; charset=utf-8"));
        let line = str::from_utf8(answer.body()).unwrap();
        assert!(
            line.ends_with('\n') && line.lines().count() == 1 && line.contains(BINARY),
            "{line}"
        );
    }
    let bare = Request::post("/").extension(claims()).body(Bytes::new()).unwrap();
    assert_eq!(send(Echo, bare).await.status(), 415);
}

#[tokio::test]
async fn other_methods_are_refused_with_the_one_that_is_allowed() {
    for method in [Method::GET, Method::PUT, Method::OPTIONS, Method::HEAD, Method::DELETE] {
        let mut ask = post(BINARY, frame(&request("hi")));
        *ask.method_mut() = method;
        let answer = send(Echo, ask).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "allow")),
            (405, Some("POST"))
        );
    }
}

#[tokio::test]
async fn notices_are_an_extension_of_the_response() {
    let mut answer = send(Echo, post(BINARY, frame(&request("notify")))).await;
    assert_eq!(answer.extensions_mut().remove(), Some(Notices(vec![notice()])));
    let silent = send(Echo, post(BINARY, frame(&request("hi")))).await;
    assert_eq!(silent.extensions().get::<Notices>(), None);
}

#[tokio::test]
async fn the_caller_is_who_the_claims_name() {
    let by = |claims: &[(&str, &str)]| {
        let mut ask = post(BINARY, frame(&request("expiry")));
        let claims = claims
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        ask.extensions_mut().insert(chat_rpc::Claims(claims));
        ask
    };
    for (exp, expected) in [
        ("1700000000", "Some(2023-11-14T22:13:20Z)"),
        ("1.7E9", "Some(2023-11-14T22:13:20Z)"),
        ("1700000000.9", "Some(2023-11-14T22:13:20Z)"),
        ("soon", "None"),
        ("1e300", "None"),
    ] {
        let answer = Answered::of(&send(Echo, by(&[("sub", "bob"), ("exp", exp)])).await);
        assert_eq!(
            answer.message::<SendMessageResponse>().message.unwrap().sender_id,
            expected,
            "{exp}"
        );
    }
    for (claims, reason) in [
        (vec![("exp", "1700000000")], "TOKEN_SUBJECT_MISSING"),
        (vec![("sub", "")], "TOKEN_SUBJECT_INVALID"),
        (vec![("sub", "two words")], "TOKEN_SUBJECT_INVALID"),
    ] {
        let answer = Answered::of(&send(Echo, by(&claims)).await);
        assert_eq!(
            (answer.code(), crate::failures::reason(&answer)),
            (tonic::Code::Unauthenticated, reason.into())
        );
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused_before_its_body_is_read_unless_it_is_public() {
    let ask = || {
        let mut ask = post(BINARY, frame(&request("hi")));
        ask.extensions_mut().remove::<chat_rpc::Claims>();
        ask
    };
    assert_eq!(
        Answered::of(&send(Echo, ask()).await).code(),
        tonic::Code::Unauthenticated
    );
    let unreadable = ask().map(|_| Bytes::from_static(b"garbage"));
    assert_eq!(
        Answered::of(&send(Echo, unreadable).await).code(),
        tonic::Code::Unauthenticated
    );
    let answer = Answered::of(&send(PublicEcho, ask()).await);
    assert_eq!(answer.message::<SendMessageResponse>(), response("nobody", "hi"));
}

#[tokio::test]
async fn an_endpoint_serves_again_after_a_panic() {
    let mut endpoint = Endpoint::new(Echo);
    let answer = endpoint
        .ready()
        .await
        .unwrap()
        .call(post(BINARY, frame(&request("panic"))))
        .await
        .unwrap();
    let answered = Answered::of(&answer);
    assert_eq!(answered.code(), tonic::Code::Internal);
    assert!(!answered.status().message().contains("secret"));
    let answer = endpoint
        .ready()
        .await
        .unwrap()
        .call(post(BINARY, frame(&request("hi"))))
        .await
        .unwrap();
    assert_eq!(Answered::of(&answer).code(), tonic::Code::Ok);
}
