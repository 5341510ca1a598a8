//! The queue of deliveries and the function that it triggers: what SQS does of itself when deployed.

use std::sync::Arc;
use std::time::Duration;

use chat_stores::sqs::{LocalQueue, QueuedMessage};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::environments::Environments;
use super::{Limits, Tasks};

/// How long one call waits for messages.
const WAIT: Duration = Duration::from_secs(5);
/// How long the queue is left alone after it has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// The event of a function of a queue.
#[derive(Serialize)]
struct QueueEvent<'a> {
    #[serde(rename = "Records")]
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    event_source: &'static str,
}

/// Which messages the function could not handle.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct QueueAnswer {
    batch_item_failures: Vec<serde_json::Value>,
}

/// Calls the function for each message of the queue, until the gateway stops.
pub(super) async fn serve(
    queue: Arc<LocalQueue>,
    function: Arc<Environments>,
    limits: Limits,
    tasks: Tasks,
    stopping: CancellationToken,
) {
    let mut fails = false;
    while let Some(received) = stopping.run_until_cancelled(queue.receive(WAIT)).await {
        match received {
            Ok(messages) => {
                fails = false;
                for message in messages {
                    let handling = handle(Arc::clone(&queue), Arc::clone(&function), message, limits.clone());
                    tasks.spawn(handling);
                }
            }
            Err(error) => {
                // Said once: it is away for as long as it takes to start again.
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(%error, causes = error.causes(), "large groups are not told of anything for now");
                }
                let _ = stopping.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
    }
}

/// Calls the function for a message, which is removed unless that failed: then it comes again.
async fn handle(queue: Arc<LocalQueue>, function: Arc<Environments>, message: QueuedMessage, limits: Limits) {
    let event = QueueEvent {
        records: [Record {
            message_id: &message.id,
            receipt_handle: &message.receipt,
            body: &message.body,
            event_source: "aws:sqs",
        }],
    };
    let Ok(event) = serde_json::to_vec(&event) else { return };
    let Ok(answer) = function.call(event, Instant::now() + limits.invocation_timeout).await else {
        return;
    };
    let handled =
        serde_json::from_slice::<QueueAnswer>(&answer).is_ok_and(|answer| answer.batch_item_failures.is_empty());
    if handled && let Err(error) = queue.remove(&message).await {
        tracing::warn!(%error, causes = error.causes(), "what was delivered to a large group is delivered again");
    }
}
