//! Calls that go on when their client no longer waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chat_contract::v1::{SendMessageRequest, SendMessageResponse};
use chat_operation::{Answer, CallContext, Code, Failure, Operation};
use chat_rpc::{Deadline, Notices, Unfinished};
use http::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::operation::{Echo, notice, request, response};
use crate::wire::{Answered, frame, post, send, with};

const BINARY: &str = "application/grpc-web+proto";
/// How long a call of [`Slow`] takes.
const CALL_DURATION: Duration = Duration::from_secs(3);

/// Takes its time before it does what the text of its request says, and then tells bob.
#[derive(Clone, Debug, Default)]
struct Slow {
    begun: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
}

impl Slow {
    /// How many calls were begun and done.
    fn counts(&self) -> (usize, usize) {
        (self.begun.load(Ordering::SeqCst), self.done.load(Ordering::SeqCst))
    }
}

impl Operation for Slow {
    type Request = SendMessageRequest;
    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        sleep(CALL_DURATION).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        let left = Instant::from_std(context.deadline()).duration_since(Instant::now());
        match request.text.as_str() {
            "panic" => panic!("a secret"),
            "refuse" => Err(Failure::failed_precondition("LOST", "somebody else was first")),
            _ => Ok(Answer::new(response("slow", &format!("{} s left", left.as_secs()))).notify(notice())),
        }
    }
}

/// A call whose client waits this long, with a place for its rest.
fn impatient(text: &str, timeout: &str) -> (Request<Bytes>, Unfinished) {
    let ask = with(post(BINARY, frame(&request(text))), "grpc-timeout", timeout);
    with_place(ask)
}

fn with_place(mut ask: Request<Bytes>) -> (Request<Bytes>, Unfinished) {
    let unfinished = Unfinished::default();
    ask.extensions_mut().insert(unfinished.clone());
    (ask, unfinished)
}

fn until(mut ask: Request<Bytes>, left: Duration) -> Request<Bytes> {
    ask.extensions_mut()
        .insert(Deadline((Instant::now() + left).into_std()));
    ask
}

fn notices(answer: &Response<Bytes>) -> Option<Notices> {
    answer.extensions().get::<Notices>().cloned()
}

/// tokio's timers round up to a millisecond.
fn is_about(duration: Duration, millis: u128) -> bool {
    duration.as_millis().abs_diff(millis) <= 1
}

#[tokio::test(start_paused = true)]
async fn the_answer_comes_when_the_client_stops_waiting_and_the_call_goes_on() {
    let slow = Slow::default();
    let json = with(post("application/json", r#"{"text":"hi"}"#), "connect-timeout-ms", "50");
    for (calls, (ask, unfinished)) in [(1, impatient("hi", "50m")), (2, with_place(json))] {
        let start = Instant::now();
        let answer = send(slow.clone(), ask).await;
        assert!(is_about(start.elapsed(), 50), "{:?}", start.elapsed());
        assert!(answer.status() == 504 || Answered::of(&answer).code() == Code::DeadlineExceeded);
        assert_eq!((slow.counts(), notices(&answer)), ((calls, calls - 1), None));

        let rest = unfinished.take().unwrap();
        assert!(unfinished.take().is_none());
        assert_eq!(rest.await, [notice()]);
        assert!(is_about(start.elapsed(), CALL_DURATION.as_millis()));
        assert_eq!(slow.counts(), (calls, calls));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_done_in_time_leaves_nothing() {
    for (ask, unfinished) in [impatient("hi", "4S"), with_place(post(BINARY, frame(&request("hi"))))] {
        let answer = send(Slow::default(), until(ask, Duration::from_secs(20))).await;
        // What the operation knows of is the end of the function's time, not of the client's.
        let answered: SendMessageResponse = Answered::of(&answer).message();
        assert_eq!(answered.message.unwrap().text, "17 s left");
        assert_eq!(notices(&answer), Some(Notices(vec![notice()])));
        assert!(unfinished.take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_place_for_the_rest_the_answer_waits_for_it() {
    let slow = Slow::default();
    let ask = with(post(BINARY, frame(&request("hi"))), "grpc-timeout", "50m");
    let answer = send(slow.clone(), ask).await;
    assert_eq!(Answered::of(&answer).code(), Code::Ok);
    assert_eq!(
        (slow.counts(), notices(&answer)),
        ((1, 1), Some(Notices(vec![notice()])))
    );
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_call_ends_with_the_functions_time() {
    let slow = Slow::default();
    let start = Instant::now();
    let (ask, unfinished) = impatient("hi", "50m");
    send(slow.clone(), until(ask, Duration::from_secs(2))).await;
    assert_eq!(unfinished.take().unwrap().await, []);
    assert!(is_about(start.elapsed(), 2_000), "{:?}", start.elapsed());
    assert_eq!(slow.counts(), (1, 0));

    // The client would have waited longer than the function can.
    let (ask, unfinished) = impatient("hi", "5S");
    let answer = send(slow.clone(), until(ask, Duration::from_secs(2))).await;
    assert_eq!(Answered::of(&answer).code(), Code::DeadlineExceeded);
    assert!(unfinished.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_fails_or_panics_tells_nobody_anything() {
    for text in ["refuse", "panic"] {
        let slow = Slow::default();
        let (ask, unfinished) = impatient(text, "1m");
        assert_eq!(
            Answered::of(&send(slow.clone(), ask).await).code(),
            Code::DeadlineExceeded
        );
        assert_eq!(unfinished.take().unwrap().await, []);
        assert_eq!(slow.counts(), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_could_not_be_finished_is_not_begun() {
    let slow = Slow::default();
    let late = |left| until(post(BINARY, frame(&request("hi"))), Duration::from_millis(left));
    let asks = [impatient("hi", "0n"), with_place(late(0)), with_place(late(499))];
    for (ask, unfinished) in asks {
        let start = Instant::now();
        assert_eq!(
            Answered::of(&send(slow.clone(), ask).await).code(),
            Code::DeadlineExceeded
        );
        assert_eq!((start.elapsed(), slow.counts()), (Duration::ZERO, (0, 0)));
        assert!(unfinished.take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_changes_nothing_goes_on_for_longer_than_a_store_takes_when_its_client_is_gone() {
    let (ask, unfinished) = impatient("wait", "50m");
    assert_eq!(Answered::of(&send(Echo, ask).await).code(), Code::DeadlineExceeded);
    let gone = Instant::now();
    assert_eq!(unfinished.take().unwrap().await, []);
    assert!(gone.elapsed().as_millis().abs_diff(9_000) <= 1, "{:?}", gone.elapsed());
}
