//! Read positions on their way to the service.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use chat_contract::v1::MarkConversationReadRequest;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Engine, lock};
use crate::client::Retries;
use crate::error::Outcome;

/// Conversations whose marks are being told.
#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<HashSet<String>>);

pub(super) fn mark_read(engine: &Arc<Engine>, conversation_id: &str, seq: i64) {
    let is_news = engine
        .change(|book| book.mark_read(conversation_id, seq).is_some() || book.mark_to_tell(conversation_id).is_some());
    if is_news && lock(&engine.marks.0).insert(conversation_id.to_owned()) {
        let (telling, conversation_id) = (engine.clone(), conversation_id.to_owned());
        engine.spawn(async move { tell(&telling, &conversation_id).await });
    }
}

/// Tells the service of a conversation's marks until it knows the last one.
async fn tell(engine: &Engine, conversation_id: &str) {
    let (mut told, mut failed) = (0, 0);
    loop {
        let next_at = Instant::now() + engine.options.mark_interval;
        let read_seq = {
            // A mark that comes later finds nobody at work, or is found here.
            let mut working = lock(&engine.marks.0);
            let unsent = lock(&engine.book)
                .mark_to_tell(conversation_id)
                .filter(|seq| *seq > told);
            let Some(read_seq) = unsent else {
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
                (told, failed) = (read_seq, 0);
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
                told = read_seq;
            }
        }
        tokio::select! {
            () = sleep_until(next_at) => {}
            // The last one is told all the same.
            () = engine.stopped.cancelled() => {}
        }
    }
}
