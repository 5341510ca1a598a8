//! Read positions on their way to the service.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex};

use chat_contract::v1::MarkConversationReadRequest;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Engine, lock};
use crate::client::Retries;
use crate::error::Outcome;

/// Conversations whose marks are being told, each with whether the user has read what they had flagged as unread since that was
/// told last.
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<HashMap<String, bool>>);

pub(super) fn mark_read(engine: &Arc<Engine>, conversation_id: &str, seq: i64) {
    let (is_news, is_flagged) = engine.change(|book| {
        let is_flagged = book.flag_to_take_off(conversation_id).is_some();
        (book.mark_read(conversation_id, seq).is_some(), is_flagged)
    });
    if !is_news && !is_flagged {
        return;
    }
    match lock(&engine.marks.0).entry(conversation_id.to_owned()) {
        Entry::Occupied(mut working) => *working.get_mut() |= is_flagged,
        Entry::Vacant(idle) => {
            idle.insert(is_flagged);
            let (telling, conversation_id) = (engine.clone(), conversation_id.to_owned());
            engine.spawn(async move { tell(&telling, &conversation_id).await });
        }
    }
}

/// Tells the service of a conversation's marks until it knows the last one.
async fn tell(engine: &Engine, conversation_id: &str) {
    let (mut told, mut failed, mut takes_off) = (0, 0, false);
    loop {
        let next_at = Instant::now() + engine.options.mark_interval;
        let read_seq = {
            // A mark that comes later finds nobody at work, or is found here.
            let mut working = lock(&engine.marks.0);
            takes_off |= working.get_mut(conversation_id).is_some_and(std::mem::take);
            let book = lock(&engine.book);
            let unsent = book.unsent_mark(conversation_id).filter(|seq| *seq > told);
            let flagged = book.flag_to_take_off(conversation_id).filter(|_| takes_off);
            let Some(read_seq) = unsent.or(flagged) else {
                working.remove(conversation_id);
                return;
            };
            read_seq
        };
        let request = MarkConversationReadRequest {
            conversation_id: conversation_id.to_owned(),
            read_seq,
        };
        match engine.client.with_retries(Retries::NONE).call(request).await {
            Ok(answer) => {
                (told, failed, takes_off) = (read_seq, 0, false);
                engine.change(|book| book.take_mark(conversation_id, &answer));
            }
            Err(error)
                if error.retry_after().is_some() || error.outcome() == Outcome::Unknown || error.is_transient() =>
            {
                failed += 1;
                if engine.stopped.is_cancelled() {
                    return;
                }
                sleep(engine.pause(failed, &error)).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a read position was refused");
                (told, takes_off) = (read_seq, false);
            }
        }
        tokio::select! {
            () = sleep_until(next_at) => {}
            // The last one is told all the same.
            () = engine.stopped.cancelled() => {}
        }
    }
}
