use std::time::Duration;

use bytes::Bytes;
use chat_operation::Code;
use chat_rpc::Deadline;
use http::Request;
use tokio::time::Instant;

use crate::failures::reason;
use crate::operation::{Echo, request};
use crate::wire::{Answered, frame, header, post, send, with};

const BINARY: &str = "application/grpc-web+proto";

fn wait() -> Request<Bytes> {
    post(BINARY, frame(&request("wait")))
}

async fn timed(request: Request<Bytes>) -> (Code, Duration) {
    let start = Instant::now();
    let answered = Answered::of(&send(Echo, request).await);
    (answered.code(), start.elapsed())
}

fn until(mut request: Request<Bytes>, left: Duration) -> Request<Bytes> {
    request
        .extensions_mut()
        .insert(Deadline((Instant::now() + left).into_std()));
    request
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_the_earliest_of_its_deadlines() {
    for (left, timeout, expected) in [
        (Some(5), None, 5),
        (None, Some("2S"), 2),
        (Some(5), Some("2S"), 2),
        (Some(5), Some("7S"), 5),
        (None, None, 30),
        (Some(500), Some("99999999H"), 30),
    ] {
        let mut ask = wait();
        if let Some(left) = left {
            ask = until(ask, Duration::from_secs(left));
        }
        if let Some(timeout) = timeout {
            ask = with(ask, "grpc-timeout", timeout);
        }
        let (code, duration) = timed(ask).await;
        assert_eq!(code, Code::DeadlineExceeded);
        // tokio's timers round up to a millisecond.
        assert!(
            duration.as_millis().abs_diff(expected * 1_000) <= 1,
            "{left:?} {timeout:?}: {duration:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_unit_of_the_grpc_timeout_is_understood() {
    for (timeout, expected) in [
        ("1M", 30_000),
        ("1S", 1_000),
        ("00000010S", 10_000),
        ("250m", 250),
        ("99999999u", 30_000),
        ("5000u", 5),
        ("7000000n", 7),
    ] {
        let (code, duration) = timed(with(wait(), "grpc-timeout", timeout)).await;
        assert_eq!(code, Code::DeadlineExceeded);
        assert!(duration.as_millis().abs_diff(expected) <= 1, "{timeout} {duration:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_is_not_begun() {
    let hi = || post(BINARY, frame(&request("hi")));
    assert_eq!(
        timed(until(hi(), Duration::ZERO)).await,
        (Code::DeadlineExceeded, Duration::ZERO)
    );
    assert_eq!(
        timed(with(hi(), "grpc-timeout", "0n")).await,
        (Code::DeadlineExceeded, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_malformed_timeout_is_refused() {
    for malformed in [
        "",
        "1",
        "S",
        "1s",
        "-1S",
        "+1S",
        "1.5S",
        "100000000S",
        "1 S",
        "1SS",
        "1S ",
        "é",
        "1é",
    ] {
        let mut ask = post(BINARY, frame(&request("hi")));
        ask.headers_mut().insert(
            "grpc-timeout",
            http::HeaderValue::from_bytes(malformed.as_bytes()).unwrap(),
        );
        let answered = Answered::of(&send(Echo, ask).await);
        assert_eq!(answered.code(), Code::InvalidArgument, "{malformed:?}");
        assert_eq!(reason(&answered), "MALFORMED_TIMEOUT");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_timeout_is_in_milliseconds() {
    let ask = |text: &str, timeout: &str| {
        let body = format!(r#"{{"text":"{text}"}}"#);
        with(post("application/json", body), "connect-timeout-ms", timeout)
    };
    let start = Instant::now();
    assert_eq!(send(Echo, ask("wait", "1500")).await.status(), 504);
    assert!(start.elapsed().as_millis().abs_diff(1500) <= 1);
    assert_eq!(send(Echo, ask("hi", "9999999999")).await.status(), 200);
    for malformed in ["", "1s", "-1", "+1", "1.5", "99999999999"] {
        let answer = send(Echo, ask("hi", malformed)).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (400, Some("application/json"))
        );
    }
}
