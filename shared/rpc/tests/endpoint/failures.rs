use std::time::Duration;

use chat_domain::{PageSize, Violation};
use chat_operation::{Code, Failure, Fields, VIOLATIONS_MAX};
use chat_rpc::REQUEST_BYTES_MAX;
use tonic_types::StatusExt;

use crate::operation::{Echo, request};
use crate::wire::{Answered, base64, frame, framed, header, post, send, with};

const BINARY: &str = "application/grpc-web+proto";

pub(crate) fn reason(answered: &Answered) -> String {
    answered.status().get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_failure_says_why_in_its_trailers_and_its_headers() {
    let answer = send(Echo, post(BINARY, frame(&request("limit")))).await;
    let answered = Answered::of(&answer);
    assert!(answered.messages.is_empty());
    assert_eq!(answered.trailers["grpc-status"], "8");
    assert_eq!(answered.trailers["grpc-message"], "zu%20viele,%20100%20%25%20voll");
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        assert_eq!(header(&answer, name), Some(answered.trailers[name].as_str()));
    }
    let status = answered.status();
    assert_eq!(status.message(), "zu viele, 100 % voll");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TOO_MANY", "chat.v1"));
    assert_eq!(info.metadata["max"], "5");
}

#[test]
fn a_failure_says_when_to_come_back() {
    let failure = Failure::resource_exhausted("TOO_MANY", "come back later");
    assert_eq!(failure.retry_after(), None);
    assert!(failure.clone().into_status().get_details_retry_info().is_none());

    let wait = Duration::from_millis(1_250);
    let failure = failure.with_metadata("max", "5").with_retry_after(wait);
    assert_eq!(failure.retry_after(), Some(wait));
    let status = failure.into_status();
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(wait));
    // Beside the reason, not in its place.
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["max"].as_str()), ("TOO_MANY", "5"));
}

#[tokio::test]
async fn refused_fields_are_all_named() {
    let status = Answered::of(&send(Echo, post(BINARY, frame(&request("refuse")))).await).status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_FIELDS");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["text", "page_size"]);
    assert_eq!(
        status.message(),
        "text must not be empty or blank; page_size is -1; it must not be negative"
    );
}

#[test]
fn a_refusal_fits_into_headers_however_much_is_wrong() {
    let mut fields = Fields::default();
    for _ in 0..1_000 {
        assert_eq!(fields.take::<()>("cursors", Err(Violation::new("ä".repeat(100)))), None);
    }
    let failure = fields.refuse();
    assert_eq!(failure.violations().len(), VIOLATIONS_MAX);
    assert!(failure.to_string().len() <= 1024);
    let mut headers = http::HeaderMap::new();
    failure.into_status().add_header(&mut headers).unwrap();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    assert!(bytes < 10_240, "{bytes}");
}

#[test]
fn good_fields_are_passed_on() {
    let mut fields = Fields::default();
    assert_eq!(fields.take("page_size", PageSize::parse(5)).map(PageSize::get), Some(5));
}

#[test]
fn a_foreign_and_a_missing_conversation_look_the_same() {
    let failure = Failure::conversation_not_found();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::NotFound, "CONVERSATION_NOT_FOUND")
    );
}

#[tokio::test]
async fn a_body_that_is_not_exactly_one_message_is_the_callers_fault() {
    let good = frame(&request("hi"));
    let lying = |length: u32| [&[0][..], &length.to_be_bytes(), &good[5..]].concat();
    let cases = [
        ("empty", Vec::new()),
        ("no whole header", good[..4].to_vec()),
        ("truncated", good[..good.len() - 1].to_vec()),
        ("extra bytes", [good.as_slice(), b"x"].concat()),
        ("two messages", [good.as_slice(), &good].concat()),
        ("a length too small", lying(1)),
        ("a length too large", lying(1_000)),
        ("an immense length", lying(u32::MAX)),
        ("trailers", framed(0x80, b"grpc-status:0\r\n")),
        ("unknown flags", framed(0x42, &good[5..])),
        ("no protobuf", framed(0, b"\xff\xff\xff\xff")),
        ("no UTF-8", framed(0, b"\x1a\x02\xff\xff")),
    ];
    for (case, body) in cases {
        for (content_type, body) in [
            (BINARY, body.clone()),
            ("application/grpc-web-text", base64(&body).into_bytes()),
        ] {
            let answered = Answered::of(&send(Echo, post(content_type, body)).await);
            assert_eq!(
                (answered.code(), reason(&answered)),
                (Code::InvalidArgument, "MALFORMED_REQUEST".into()),
                "{case}"
            );
        }
    }
    for body in ["!", "AAAA=AAA", "A", "====", "AAAAA", "AA==A", "ÄÄÄÄ"] {
        let answered = Answered::of(&send(Echo, post("application/grpc-web-text", body)).await);
        assert_eq!(
            (answered.code(), reason(&answered)),
            (Code::InvalidArgument, "MALFORMED_REQUEST".into()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_compressed_message_is_unimplemented() {
    let answered = Answered::of(&send(Echo, post(BINARY, framed(1, b"\x1f\x8b"))).await);
    assert_eq!(
        (answered.code(), reason(&answered)),
        (Code::Unimplemented, "COMPRESSION_UNSUPPORTED".into())
    );
}

#[tokio::test]
async fn a_client_that_could_compress_is_served_when_it_does_not() {
    let ask = with(post(BINARY, frame(&request("hi"))), "grpc-encoding", "gzip");
    let ask = with(ask, "grpc-accept-encoding", "gzip, identity");
    assert_eq!(Answered::of(&send(Echo, ask).await).code(), Code::Ok);
}

#[tokio::test]
async fn a_message_may_have_256_kib_and_no_more() {
    // A field's tag and length take four bytes at this size.
    let largest = request(&"x".repeat(REQUEST_BYTES_MAX - 4));
    assert_eq!(frame(&largest).len(), 5 + REQUEST_BYTES_MAX);
    let too_large = request(&"x".repeat(REQUEST_BYTES_MAX - 3));
    for (message, code) in [(largest, Code::Ok), (too_large, Code::InvalidArgument)] {
        let binary = post(BINARY, frame(&message));
        let text = post("application/grpc-web-text", base64(&frame(&message)));
        for ask in [binary, text] {
            assert_eq!(Answered::of(&send(Echo, ask).await).code(), code);
        }
    }
    let immense = post("application/grpc-web-text", "A".repeat(4 * REQUEST_BYTES_MAX + 1_000));
    assert_eq!(Answered::of(&send(Echo, immense).await).code(), Code::InvalidArgument);
}
