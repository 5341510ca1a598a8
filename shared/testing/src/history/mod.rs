//! A judge of histories: whether what clients showed, and what senders were told, can be the work of a correct service.
//!
//! Record what happens while it happens, from as many tasks as you like: [`begin`](HistoryChecker::begin) and
//! [`end`](HistoryChecker::end) around each attempt to send, [`observe`](HistoryChecker::observe) whenever a client may
//! have shown something new, and once more when all clients are up to date. Then [`check`](HistoryChecker::check).
//!
//! What a correct service guarantees is listed in [`rules`], one function each. A new kind of change, such as an edit,
//! adds to what is recorded here and a rule there.

mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chat_client::contract::v1::{Message, SendMessageResponse};
use chat_client::timeline::Timeline;
use chat_client::{CallError, ChatClient, Outcome};

/// Records one conversation and judges it.
#[derive(Debug, Default)]
pub struct HistoryChecker {
    record: Mutex<Record>,
}

/// A message, as a client showed it or as its sender was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// Its id.
    pub message_id: String,
    /// Its place among the messages.
    pub seq: i64,
    /// Its place among all changes.
    pub revision: i64,
    /// The revision of its newest change.
    pub state_revision: i64,
    /// Who sent it.
    pub sender_id: String,
    /// The id that its sender chose.
    pub client_message_id: String,
    /// What it says.
    pub text: String,
}

/// What a client showed at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observation {
    /// The messages, in the order in which they were shown: above the cursor as well, where some may be missing yet.
    pub messages: Vec<Shown>,
    /// Whether older messages exist that it did not show.
    pub has_older: bool,
    /// It knew of every change above this …
    pub known_from: i64,
    /// … and up to this.
    pub cursor: i64,
    /// The revisions in between that hold nothing.
    pub voids: Vec<i64>,
}

/// What the sender of a message was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// It was sent, and became this.
    Acknowledged(Shown),
    /// It was not sent, and never will be.
    Refused,
    /// Nothing that says whether it was sent.
    Unknown,
}

/// An attempt to send, between its begin and its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt(usize);

/// What is wrong with a history: the first rule that it breaks, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// The rule, such as `nothing acknowledged is lost`.
    pub rule: &'static str,
    /// Who showed or was told what.
    pub detail: String,
}

/// What a history that breaks no rule was made of, to tell a test that proves something from an empty one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Messages in the final history.
    pub messages: usize,
    /// Revisions that hold nothing, where all were known.
    pub voids: usize,
    /// Messages that were acknowledged.
    pub acknowledged: usize,
    /// Messages that were refused in every attempt.
    pub refused: usize,
    /// Messages whose sender was never told.
    pub unknown: usize,
    /// Clients that showed something.
    pub clients: usize,
    /// Moments at which they were observed.
    pub observations: usize,
}

/// All that was recorded. Moments are counted, not timed: one that is recorded later has the greater number.
#[derive(Clone, Debug, Default)]
struct Record {
    now: u64,
    attempts: Vec<Sending>,
    observations: BTreeMap<String, Vec<Observation>>,
}

#[derive(Clone, Debug)]
struct Sending {
    sender_id: String,
    client_message_id: String,
    text: String,
    began: u64,
    /// When it ended, and how. An attempt that never ended may have done anything.
    ended: Option<(u64, Told)>,
}

impl HistoryChecker {
    /// A checker of one conversation's history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that a message is about to be sent. Attempts with the same sender and `client_message_id` are the same
    /// message, as long as their text is the same.
    pub fn begin(&self, sender_id: &str, client_message_id: &str, text: &str) -> Attempt {
        let mut record = self.record();
        let began = record.tick();
        record.attempts.push(Sending {
            sender_id: sender_id.to_owned(),
            client_message_id: client_message_id.to_owned(),
            text: text.to_owned(),
            began,
            ended: None,
        });
        Attempt(record.attempts.len() - 1)
    }

    /// Notes what the sender was told. An attempt that is never ended counts as unknown.
    pub fn end(&self, attempt: Attempt, told: Told) {
        let mut record = self.record();
        let now = record.tick();
        if let Some(sending) = record.attempts.get_mut(attempt.0) {
            sending.ended = Some((now, told));
        }
    }

    /// Sends a message, with the retries that the client makes, and records both ends of it.
    pub async fn send(
        &self,
        client: &ChatClient,
        sender_id: &str,
        conversation_id: &str,
        text: &str,
    ) -> Result<SendMessageResponse, CallError> {
        let request = ChatClient::text_message(conversation_id, text);
        let attempt = self.begin(sender_id, &request.client_message_id, text);
        let answer = client.call(request).await;
        self.end(attempt, Told::of(&answer));
        answer
    }

    /// Notes what a client shows now. Nothing is noted while it is loading history.
    pub fn observe(&self, client: &str, timeline: &Timeline) {
        if timeline.is_loaded() {
            self.observed(client, Observation::from(timeline));
        }
    }

    /// Notes what a client showed.
    pub fn observed(&self, client: &str, observation: Observation) {
        let mut record = self.record();
        let observations = record.observations.entry(client.to_owned()).or_default();
        // Moments at which nothing changed prove nothing and would only fill the memory.
        if observations.last() != Some(&observation) {
            observations.push(observation);
        }
    }

    /// Judges what was recorded. The last observation of each client is taken as final: call this once nothing is on its
    /// way any more and all clients are up to date.
    pub fn check(&self) -> Result<Summary, Violation> {
        rules::judge(&self.record().clone())
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Told {
    /// What an answer to `SendMessage` tells its sender.
    pub fn of(answer: &Result<SendMessageResponse, CallError>) -> Self {
        match answer {
            Ok(SendMessageResponse {
                message: Some(message), ..
            }) => Self::Acknowledged(Shown::from(message)),
            // Shown nowhere, so that an acknowledgement without its message breaks the rules.
            Ok(_) => Self::Acknowledged(Shown::from(&Message::default())),
            Err(error) if error.outcome() == Outcome::NotDone => Self::Refused,
            Err(_) => Self::Unknown,
        }
    }
}

impl From<&Message> for Shown {
    fn from(message: &Message) -> Self {
        Self {
            message_id: message.message_id.clone(),
            seq: message.seq,
            revision: message.revision,
            state_revision: message.state_revision,
            sender_id: message.sender_id.clone(),
            client_message_id: message.client_message_id.clone(),
            text: message.text.clone(),
        }
    }
}

impl From<&Timeline> for Observation {
    fn from(timeline: &Timeline) -> Self {
        let cursor = timeline.cursor().revision;
        Self {
            messages: timeline.messages().map(Shown::from).collect(),
            has_older: timeline.has_older(),
            known_from: timeline.known_from(),
            cursor,
            voids: timeline.voids().filter(|void| *void <= cursor).collect(),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seq,
            revision,
            sender_id,
            client_message_id,
            text,
            ..
        } = self;
        write!(
            formatter,
            "{sender_id}'s {client_message_id} {text:?} (seq {seq}, revision {revision})"
        )
    }
}

#[cfg(test)]
mod tests;
