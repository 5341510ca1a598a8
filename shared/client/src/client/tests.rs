use std::time::Duration;

use chat_contract::v1::{GetMessageRequest, GetMessageResponse, Message};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::scripted::{Reaction, Scripted, frame, grpc_web, http_answer, ok};
use crate::{Outcome, Violation};

const QUICK: Retries = Retries {
    attempts_max: 3,
    pause: Duration::from_millis(1),
    pause_max: Duration::from_millis(2),
};

fn request() -> GetMessageRequest {
    GetMessageRequest {
        conversation_id: "c".into(),
        message_id: "m".into(),
    }
}

fn response() -> GetMessageResponse {
    GetMessageResponse {
        message: Some(Message {
            text: "hello".into(),
            seq: 7,
            ..Message::default()
        }),
    }
}

fn client(server: &Scripted) -> ChatClient {
    ChatClient::builder(&server.url)
        .token("secret")
        .retries(QUICK)
        .build()
        .unwrap()
}

/// What a call of a server that always reacts like this ends in.
async fn failure_of(react: impl Fn() -> Reaction + Send + Sync + 'static) -> CallError {
    let server = Scripted::start(move |_, _| react()).await;
    client(&server)
        .with_retries(Retries::NONE)
        .call(request())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_call_is_one_framed_post_with_token_and_timeout() {
    let server = Scripted::start(|_, _| ok(&response())).await;
    assert_eq!(client(&server).call(request()).await.unwrap(), response());
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.path, "/chat.v1.MessageService/GetMessage");
    let header = |name| seen.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/grpc-web+proto");
    assert_eq!(header("x-grpc-web"), "1");
    assert_eq!(header("authorization"), "Bearer secret");
    let millis: u64 = header("grpc-timeout").strip_suffix('m').unwrap().parse().unwrap();
    assert!((9_000..=10_000).contains(&millis), "{millis}");
    assert_eq!(seen.body, frame(0, &prost::Message::encode_to_vec(&request())));
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_a_trailing_slash() {
    let server = Scripted::start(|_, _| ok(&response())).await;
    let client = ChatClient::new(format!("{}/stage/", server.url)).unwrap();
    client.call(request()).await.unwrap();
    assert_eq!(server.seen()[0].path, "/stage/chat.v1.MessageService/GetMessage");
    assert!(!server.seen()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_base_url_of_another_kind_is_refused() {
    for bad in [
        "",
        "127.0.0.1:8080",
        "ws://127.0.0.1",
        "http://127.0.0.1/?a=b",
        "http://127.0.0.1/#a",
    ] {
        assert!(matches!(ChatClient::new(bad), Err(BuildError::BaseUrl { .. })), "{bad}");
    }
}

fn refusal() -> http::HeaderMap {
    let mut details = ErrorDetails::with_bad_request_violation("text", "must not be empty");
    details.set_error_info("INVALID_FIELDS", "chat.v1", [("limit".to_owned(), "4000".to_owned())]);
    let mut headers = http::HeaderMap::new();
    Status::with_error_details(Code::InvalidArgument, "text: ünd so", details)
        .add_header(&mut headers)
        .unwrap();
    headers
}

fn assert_is_refusal(error: &CallError) {
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(error.reason(), Some("INVALID_FIELDS"));
    assert_eq!(
        error.violations(),
        [Violation {
            field: "text".into(),
            description: "must not be empty".into()
        }]
    );
    assert_eq!(error.outcome(), Outcome::NotDone);
    assert_eq!(
        error.to_string(),
        "GetMessage failed: InvalidArgument (INVALID_FIELDS): text: ünd so"
    );
    let CallFailure::Refused(refusal) = error.failure() else {
        panic!("{error:?}")
    };
    assert_eq!(refusal.metadata["limit"], "4000");
}

#[tokio::test]
async fn a_status_is_read_from_the_trailers() {
    let trailers = refusal().iter().fold(Vec::new(), |trailers, (name, value)| {
        [&trailers, name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()
    });
    for before in [vec![], frame(0, b"")] {
        let body = [before, frame(0x80, &trailers)].concat();
        assert_is_refusal(&failure_of(move || grpc_web(&body)).await);
    }
}

#[tokio::test]
async fn a_status_is_read_from_the_headers_alone() {
    let error = failure_of(|| {
        let mut headers = refusal();
        headers.insert("content-type", "application/grpc-web+proto".parse().unwrap());
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        http_answer("200 OK", &headers, b"")
    });
    assert_is_refusal(&error.await);
}

#[tokio::test]
async fn what_the_gateway_answers_is_mapped_by_its_http_status() {
    for (status, code, outcome) in [
        (400, Code::Internal, Outcome::NotDone),
        (401, Code::Unauthenticated, Outcome::NotDone),
        (403, Code::PermissionDenied, Outcome::NotDone),
        (404, Code::Unimplemented, Outcome::NotDone),
        (408, Code::Unknown, Outcome::Unknown),
        (413, Code::InvalidArgument, Outcome::NotDone),
        (429, Code::Unavailable, Outcome::NotDone),
        (500, Code::Unknown, Outcome::Unknown),
        (502, Code::Unavailable, Outcome::Unknown),
        (503, Code::Unavailable, Outcome::Unknown),
        (504, Code::Unavailable, Outcome::Unknown),
    ] {
        let json = [("content-type", "application/json")];
        let error = failure_of(move || http_answer(&format!("{status} X"), &json, br#"{"message":"No\nway"}"#)).await;
        assert_eq!((error.code(), error.outcome()), (code, outcome), "{status}");
        assert!(error.to_string().ends_with(": No way"), "{error}");
        // The same where the gateway leaves the content type as it is.
        let grpc = [("content-type", "application/grpc-web")];
        let error = failure_of(move || http_answer(&format!("{status} X"), &grpc, b"")).await;
        assert_eq!(error.code(), code, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_the_framing_is_refused() {
    let message = frame(0, &prost::Message::encode_to_vec(&response()));
    let trailers = frame(0x80, b"grpc-status:0\r\n");
    for (body, problem) in [
        (vec![], "ends without a gRPC status"),
        (message.clone(), "ends without a gRPC status"),
        (trailers.clone(), "has no message"),
        (
            [message.clone(), message.clone(), trailers.clone()].concat(),
            "more than one message",
        ),
        (
            [message.clone(), trailers.clone(), message.clone()].concat(),
            "follows its trailers",
        ),
        (trailers[..10].to_vec(), "ends inside a frame"),
        ([message.clone(), vec![0x80]].concat(), "ends inside a frame"),
        ([frame(1, b"zip"), trailers.clone()].concat(), "flag 0x01"),
        (
            [message.clone(), frame(0x80, b"grpc-status\r\n")].concat(),
            "unreadable trailers",
        ),
        ([frame(0, b"\xff"), trailers.clone()].concat(), "message cannot be read"),
    ] {
        let error = failure_of(move || grpc_web(&body)).await;
        assert_eq!((error.code(), error.outcome()), (Code::Internal, Outcome::Unknown));
        assert!(error.to_string().contains(problem), "{problem}: {error}");
    }
}

#[tokio::test]
async fn an_answer_of_another_kind_is_refused() {
    let error = failure_of(|| http_answer("200 OK", &[("content-type", "text/html")], b"<html>")).await;
    assert!(error.to_string().contains("\"text/html\", not gRPC-web"), "{error}");
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit_only() {
    let error = failure_of(|| grpc_web(&vec![0; RESPONSE_BYTES_MAX + 1])).await;
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::ResourceExhausted, Outcome::Unknown)
    );
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_bytes() {
    let server = Scripted::start(|number, _| if number < 2 { Reaction::Cut } else { ok(&response()) }).await;
    assert_eq!(client(&server).call(request()).await.unwrap(), response());
    let [first, second, third] = server.seen().try_into().unwrap();
    assert!(first.body == second.body && second.body == third.body);
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = Scripted::start(|_, _| Reaction::Cut).await;
    let error = client(&server).call(request()).await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::Unknown));
    assert!(
        error.source().is_some_and(<dyn Error>::is::<reqwest::Error>),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let server = Scripted::start(|_, _| grpc_web(&frame(0x80, b"grpc-status:9\r\n"))).await;
    let error = client(&server).call(request()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::FailedPrecondition, Outcome::NotDone)
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_after_a_lost_attempt_leaves_the_outcome_open() {
    let refused = || grpc_web(&frame(0x80, b"grpc-status:16\r\n"));
    let server = Scripted::start(move |number, _| if number == 0 { Reaction::Cut } else { refused() }).await;
    let error = client(&server).call(request()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::Unauthenticated, Outcome::Unknown)
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_was_not_called() {
    // Bound and dropped: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = ChatClient::builder(format!("http://{address}"))
        .retries(QUICK)
        .build()
        .unwrap()
        .call(request())
        .await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::Unavailable, Outcome::NotDone));
    assert!(
        error
            .to_string()
            .contains(&format!("http://{address} cannot be reached")),
        "{error}"
    );
}

#[tokio::test]
async fn a_silent_service_is_given_up_in_time() {
    let server = Scripted::start(|_, _| Reaction::Silence).await;
    let client = ChatClient::builder(&server.url)
        .timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let error = client.call(request()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.outcome()),
        (Code::DeadlineExceeded, Outcome::Unknown)
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_source_is_asked_for_each_attempt() {
    let server = Scripted::start(|number, _| if number == 0 { Reaction::Cut } else { ok(&response()) }).await;
    let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let source = TokenSource::new(move || {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move { Ok(format!("token-{number}")) }
    });
    client(&server).with_token_source(source).call(request()).await.unwrap();
    let bearers: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.headers["authorization"].clone())
        .collect();
    assert_eq!(bearers, ["Bearer token-0", "Bearer token-1"]);
}

#[tokio::test]
async fn without_a_token_from_its_source_nothing_is_sent() {
    let server = Scripted::start(|_, _| ok(&response())).await;
    for source in [
        TokenSource::new(async || Err("expired".into())),
        TokenSource::fixed("a\nb"),
    ] {
        let error = client(&server)
            .with_token_source(source)
            .call(request())
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.outcome()),
            (Code::Unauthenticated, Outcome::NotDone)
        );
    }
    assert!(server.seen().is_empty());
}

#[test]
fn pauses_double_up_to_their_bound() {
    let retries = Retries {
        attempts_max: 9,
        pause: Duration::from_millis(100),
        pause_max: Duration::from_millis(350),
    };
    for (failed, bound) in [(1, 100), (2, 200), (3, 350), (40, 350)] {
        let pause = retries.jittered(failed).as_millis();
        assert!((bound / 2..=bound).contains(&pause), "{failed}: {pause}");
    }
}

#[tokio::test]
async fn a_message_that_is_sent_again_says_so() {
    let server = Scripted::start(|number, _| match number {
        0 => Reaction::Cut,
        _ => ok(&v1::SendMessageResponse::default()),
    })
    .await;
    client(&server).send_text("c", "Hi").await.unwrap();
    let sent = server.seen().into_iter().map(|seen| {
        let request: v1::SendMessageRequest = prost::Message::decode(&seen.body[5..]).unwrap();
        (request.client_message_id, request.retry)
    });
    let [(first, first_retry), (second, second_retry)]: [_; 2] = sent.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((first_retry, second_retry), (false, true));
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_repeat_waits_as_long_as_the_service_says() {
    let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(40)));
    let status = Status::with_error_details(Code::Unavailable, "busy", details);
    let mut headers = http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    let busy = move || {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let headers = [headers, vec![("content-type", "application/grpc-web+proto")]].concat();
        http_answer("200 OK", &headers, b"")
    };
    let again = busy.clone();
    let server = Scripted::start(move |number, _| if number == 0 { again() } else { ok(&response()) }).await;
    let began = Instant::now();
    client(&server).call(request()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(40));
    assert_eq!(failure_of(busy).await.retry_after(), Some(Duration::from_millis(40)));
}

#[tokio::test]
async fn a_token_tells_whose_it_is_if_it_is_one_that_does() {
    let of = async |token: &str| {
        ChatClient::builder("http://x")
            .token(token)
            .build()
            .unwrap()
            .subject()
            .await
    };
    assert_eq!(of("e30.eyJzdWIiOiJhbGljZSJ9.x").await.as_deref(), Some("alice"));
    for token in ["", "opaque", "a.b.c", "e30.e30.x"] {
        assert_eq!(of(token).await, None, "{token}");
    }
    assert_eq!(ChatClient::new("http://x").unwrap().subject().await, None);
}
