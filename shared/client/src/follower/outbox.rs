//! Messages on their way to the service.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex};

use chat_contract::v1::{Message, SendMessageRequest};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tonic::Code;

use super::{Engine, lock};
use crate::client::{ATTEMPTS_DEFAULT, Retries};
use crate::error::{CallError, CallFailure, Outcome};
use crate::timeline::Timeline;

/// How often a call is repeated for the sake of its push, at most.
const REPEATS_MAX: u32 = 30;

/// A message that was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The service refused it, or failed in a way that repeating does not mend. [`CallError::outcome`] tells whether it may
    /// have been sent all the same.
    #[error("the message was not acknowledged")]
    Failed(#[from] CallError),
    /// The follower was stopped before the message was acknowledged.
    #[error("the follower was stopped; whether the message was sent is unknown")]
    Stopped,
}

/// What is to be sent, in order of each conversation, and what was sent and not heard of since.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// A conversation that is here has someone who sends what is in its queue.
    queues: Mutex<HashMap<String, VecDeque<Outgoing>>>,
    /// Conversation and client message id → whether its push has come.
    awaited: Mutex<HashMap<(String, String), bool>>,
}

#[derive(Debug)]
struct Outgoing {
    request: SendMessageRequest,
    answer: oneshot::Sender<Result<Message, SendError>>,
}

impl Outbox {
    /// Hears of a message by a live event.
    pub(super) fn hear(&self, conversation_id: &str, message: &Message) {
        let mut awaited = lock(&self.awaited);
        if awaited.is_empty() {
            return;
        }
        let key = (conversation_id.to_owned(), message.client_message_id.clone());
        if let Some(is_heard) = awaited.get_mut(&key) {
            *is_heard = true;
        }
    }
}

pub(super) fn send(
    engine: &Arc<Engine>,
    conversation_id: &str,
    client_message_id: &str,
    text: &str,
    reply_to: Option<&str>,
) -> impl Future<Output = Result<Message, SendError>> + Send + 'static + use<> {
    let (answer, answered) = oneshot::channel();
    let outgoing = Outgoing {
        request: SendMessageRequest {
            conversation_id: conversation_id.to_owned(),
            client_message_id: client_message_id.to_owned(),
            text: text.to_owned(),
            reply_to_message_id: reply_to.unwrap_or_default().to_owned(),
            ..SendMessageRequest::default()
        },
        answer,
    };
    // A queue that is there is being sent.
    let mut queues = lock(&engine.outbox.queues);
    if let Some(queue) = queues.get_mut(conversation_id) {
        queue.push_back(outgoing);
    } else {
        queues.insert(conversation_id.to_owned(), VecDeque::from([outgoing]));
        let (sending, conversation_id) = (engine.clone(), conversation_id.to_owned());
        engine.spawn(async move {
            tokio::select! {
                () = send_all(&sending, &conversation_id) => {}
                () = sending.stopped.cancelled() => drop(lock(&sending.outbox.queues).remove(&conversation_id)),
            }
        });
    }
    async move { answered.await.unwrap_or(Err(SendError::Stopped)) }
}

/// Sends what is in a conversation's queue, one message after the other.
async fn send_all(engine: &Arc<Engine>, conversation_id: &str) {
    loop {
        let next = {
            let mut queues = lock(&engine.outbox.queues);
            let next = queues.get_mut(conversation_id).and_then(VecDeque::pop_front);
            if next.is_none() {
                queues.remove(conversation_id);
            }
            next
        };
        let Some(Outgoing { request, answer }) = next else {
            return;
        };
        let key = (request.conversation_id.clone(), request.client_message_id.clone());
        // Before the first attempt: the push may overtake the answer.
        lock(&engine.outbox.awaited).insert(key.clone(), false);
        let sent = deliver(engine, request.clone()).await;
        if let Ok(message) = &sent {
            engine.change(|book| book.take_sent(message));
            let (watching, revision) = (engine.clone(), message.revision);
            engine.spawn(async move {
                tokio::select! {
                    () = watch(&watching, request, revision) => {}
                    () = watching.stopped.cancelled() => {}
                }
                lock(&watching.outbox.awaited).remove(&key);
            });
        } else {
            lock(&engine.outbox.awaited).remove(&key);
        }
        // Whoever sent it may not be interested any more.
        let _ = answer.send(sent.map_err(SendError::Failed));
    }
}

/// Repeats a call until it is acknowledged, or fails in a way that repeating does not mend.
async fn deliver(engine: &Engine, mut request: SendMessageRequest) -> Result<Message, CallError> {
    let client = engine.client.with_retries(Retries::NONE);
    let mut failed = 0;
    let mut attempt_lost = false;
    loop {
        let mark = lock(&engine.book).unsent_mark(&request.conversation_id);
        request.read_seq = mark.unwrap_or_default();
        let error = match client.call(request.clone()).await {
            Ok(answer) => match answer.message {
                Some(message) => return Ok(message),
                None => CallError::new("SendMessage", CallFailure::Malformed("it has no message".into()), false),
            },
            Err(error) => error,
        };
        failed += 1;
        if !may_mend(&error, failed) {
            return Err(error.after_lost_attempt(attempt_lost));
        }
        attempt_lost |= error.outcome() == Outcome::Unknown;
        engine.note(&error);
        request.retry = true;
        sleep(engine.pause(failed, &error)).await;
    }
}

/// Whether repeating the call after so many failures may mend this one.
fn may_mend(error: &CallError, failed: u32) -> bool {
    match error.code() {
        // Overload and outages end.
        Code::Unavailable | Code::DeadlineExceeded => true,
        Code::ResourceExhausted => error.retry_after().is_some() || error.reason() == Some("RATE_LIMITED"),
        // Perhaps a defect that every attempt meets, perhaps not.
        _ => error.outcome() == Outcome::Unknown && failed < ATTEMPTS_DEFAULT,
    }
}

/// Watches for a sent message to come back, and repeats the call while it does not: whoever was to tell the others may have
/// died after the answer. A sync that shows the message proves that it is stored, not that anyone was told: it only counts
/// after a repeat, or when nobody would tell this side.
async fn watch(engine: &Engine, mut request: SendMessageRequest, revision: i64) {
    (request.retry, request.read_seq) = (true, 0);
    let client = engine.client.with_retries(Retries::NONE);
    let key = (request.conversation_id.clone(), request.client_message_id.clone());
    for repeats in 0..=REPEATS_MAX {
        sleep(engine.options.push_wait).await;
        if lock(&engine.outbox.awaited).get(&key).is_none_or(|is_heard| *is_heard) {
            return;
        }
        let state = lock(&engine.book).state();
        let timeline = state.conversation(&request.conversation_id);
        let is_synced = timeline.is_some_and(|it| it.is_loaded() && it.cursor_revision() >= revision);
        let is_followed = timeline.is_some_and(Timeline::is_loaded);
        let is_told = if state.is_live() {
            is_synced && repeats > 0
        } else {
            is_synced || (!is_followed && repeats > 0)
        };
        if is_told {
            return;
        }
        match client.call(request.clone()).await {
            Ok(_) => {}
            Err(error) if may_mend(&error, 1) => {}
            Err(_) => return,
        }
    }
}
