//! What a call leaves for after its answer: whom to tell although it failed, and what to seal.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chat_contract::v1::{SendMessageRequest, SendMessageResponse};
use chat_domain::ConversationId;
use chat_operation::{Answer, CallContext, Code, Failure, Operation};
use chat_rpc::{Notices, Unfinished};
use http::Request;
use tokio::time::sleep;

use crate::operation::{notice, request, response};
use crate::wire::{Answered, frame, post, send, with};

const BINARY: &str = "application/grpc-web+proto";
const CALL_DURATION: Duration = Duration::from_secs(1);

/// Does what the text of its request says, a second later, and keeps what it is given to seal.
#[derive(Clone, Debug, Default)]
struct Sealing {
    conversation: Option<ConversationId>,
    sealed: Arc<Mutex<Vec<ConversationId>>>,
}

/// The same of an operation that does not deliver.
#[derive(Clone, Debug)]
struct Silent(Sealing);

impl Sealing {
    fn new() -> Self {
        Self {
            conversation: Some(ConversationId::generate()),
            sealed: Arc::default(),
        }
    }

    fn sealed(&self) -> Vec<ConversationId> {
        self.sealed.lock().unwrap().clone()
    }
}

impl Operation for Sealing {
    type Request = SendMessageRequest;
    const DELIVERS: bool = true;

    async fn call(
        &self,
        _context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        sleep(CALL_DURATION).await;
        if request.text == "refuse" {
            return Err(Failure::failed_precondition("LOST", "somebody else was first").notify(notice()));
        }
        Ok(Answer {
            seal: self.conversation.into_iter().collect(),
            ..Answer::new(response("alice", &request.text)).notify(notice())
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        sleep(CALL_DURATION).await;
        self.sealed.lock().unwrap().extend(conversations);
        // Only the call that says nothing seals in peace.
        assert!(self.sealed().len() < 2, "a secret");
    }
}

impl Operation for Silent {
    type Request = SendMessageRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: SendMessageRequest,
    ) -> Result<Answer<SendMessageResponse>, Failure> {
        self.0.call(context, request).await
    }
}

fn asks(text: &str, timeout: &str) -> [(Request<Bytes>, Unfinished); 2] {
    let json = post("application/json", format!(r#"{{"text":"{text}"}}"#));
    let json = with(json, "connect-timeout-ms", timeout);
    let binary = with(
        post(BINARY, frame(&request(text))),
        "grpc-timeout",
        &format!("{timeout}m"),
    );
    [json, binary].map(|mut ask| {
        let unfinished = Unfinished::default();
        ask.extensions_mut().insert(unfinished.clone());
        (ask, unfinished)
    })
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_call_did_all_the_same_is_left_for_delivery() {
    for (ask, unfinished) in asks("refuse", "5000") {
        let answer = send(Sealing::new(), ask).await;
        assert!(answer.status() == 400 || Answered::of(&answer).code() == Code::FailedPrecondition);
        assert_eq!(unfinished.take().unwrap().await, [notice()]);
        assert!(unfinished.take().is_none() && unfinished.take_sealing().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_when_its_client_waits_no_longer_tells_what_it_did_once() {
    for (ask, unfinished) in asks("refuse", "50") {
        send(Sealing::new(), ask).await;
        assert_eq!(unfinished.take().unwrap().await, [notice()]);
        assert!(unfinished.take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_does_not_deliver_leaves_nothing_to_deliver() {
    for (ask, unfinished) in asks("refuse", "5000") {
        let answer = send(Silent(Sealing::new()), ask).await;
        assert!(answer.status() == 400 || Answered::of(&answer).code() == Code::FailedPrecondition);
        assert!(unfinished.take().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_sealed_is_left_for_after_the_answer() {
    for (ask, unfinished) in asks("hi", "5000") {
        let operation = Sealing::new();
        let answer = send(operation.clone(), ask).await;
        assert_eq!(answer.extensions().get::<Notices>(), Some(&Notices(vec![notice()])));
        assert!(unfinished.take().is_none());
        assert_eq!(operation.sealed(), []);

        unfinished.take_sealing().unwrap().await;
        assert_eq!(operation.sealed(), [operation.conversation.unwrap()]);
        assert!(unfinished.take_sealing().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_sealed_is_known_when_a_call_is_done_that_its_client_did_not_wait_for() {
    for (ask, unfinished) in asks("hi", "50") {
        let operation = Sealing::new();
        send(operation.clone(), ask).await;
        assert!(unfinished.take_sealing().is_none(), "the call is not done");

        assert_eq!(unfinished.take().unwrap().await, [notice()]);
        unfinished.take_sealing().unwrap().await;
        assert_eq!(operation.sealed(), [operation.conversation.unwrap()]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_place_for_it_and_without_conversations_nothing_is_sealed() {
    let operation = Sealing::new();
    let answer = send(operation.clone(), post(BINARY, frame(&request("hi")))).await;
    assert_eq!(Answered::of(&answer).code(), Code::Ok);
    for (ask, unfinished) in asks("hi", "5000") {
        send(Sealing::default(), ask).await;
        assert!(unfinished.take_sealing().is_none());
    }
    assert_eq!(operation.sealed(), []);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_sealing_does_no_harm() {
    let operation = Sealing::new();
    for (ask, unfinished) in asks("hi", "5000") {
        let answer = send(operation.clone(), ask).await;
        assert!(answer.status() == 200);
        // The second one panics, which is nobody's problem.
        unfinished.take_sealing().unwrap().await;
    }
    assert_eq!(operation.sealed().len(), 2);
}
