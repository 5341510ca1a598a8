//! A new device: how many calls it takes to be up to date, how long they take, and what they look at in MongoDB.

use std::fmt::Write;
use std::time::{Duration, Instant};

use chat_client::ChatClient;
use chat_contract::v1::{ConversationCursor, FeedCursor, SyncConversationsRequest};
use mongodb::Database;
use mongodb::bson::{Document, doc};

use super::scene::{FEED, FEEDER, OPEN_MAX, STARTED, STARTER, Scene, started_part};
use super::service::Service;
use super::{BenchError, CommandError, Subject};
use crate::stack::Endpoints;

/// Calls after which a device is given up.
const CALLS_MAX: usize = 200;
/// How often each is measured.
const ROUNDS: usize = 5;

/// A call of a device.
struct Call {
    time: Duration,
    keys: i64,
}

/// Measures one of the events, and tells it.
pub(super) async fn measure(
    subject: Subject,
    service: &Service,
    scene: &Scene,
    endpoints: &Endpoints,
    places: i64,
) -> Result<String, CommandError> {
    let mongo = mongodb::Client::with_uri_str(&endpoints.mongodb_uri)
        .await
        .map_err(BenchError::Mongo)?
        .database("admin");
    let mut text = String::new();
    if subject == Subject::NewDeviceFeed {
        feed(&service.client(FEEDER)?, &mut text).await?;
        return Ok(text);
    }
    let client = service.client(&format!("{STARTER}-{places}"))?;
    let sealed = subject == Subject::NewDevice;
    for round in 0..ROUNDS {
        scene.seal(endpoints, places, sealed).await?;
        let calls = start(&client, &mongo, places).await?;
        // The first one makes connections and fills caches.
        let Some(first) = calls.first().filter(|_| round > 0) else {
            continue;
        };
        let total: Duration = calls.iter().map(|call| call.time).sum();
        let longest = calls.iter().map(|call| call.time).max().unwrap_or_default();
        let keys = calls.iter().map(|call| call.keys).max().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {STARTED} conversations of {places} places, {}: {} calls, {:.0} ms in all; the first {:.0} ms and {} keys of \
             MongoDB's indexes, at most {:.0} ms and {keys} keys",
            subject.name(),
            if sealed {
                format!("sealed up to {OPEN_MAX} below the head")
            } else {
                "nothing sealed".to_owned()
            },
            calls.len(),
            total.as_secs_f64() * 1e3,
            first.time.as_secs_f64() * 1e3,
            first.keys,
            longest.as_secs_f64() * 1e3,
        );
    }
    Ok(text)
}

/// Syncs a device that knows nothing until it knows where each conversation is.
async fn start(client: &ChatClient, mongo: &Database, places: i64) -> Result<Vec<Call>, BenchError> {
    let mut cursors: Vec<ConversationCursor> = (0..STARTED)
        .map(|number| ConversationCursor {
            conversation_id: started_part(number, places).conversation.to_string(),
            ..ConversationCursor::default()
        })
        .collect();
    let mut feed = Some(FeedCursor::default());
    let mut calls = Vec::new();
    while !cursors.is_empty() {
        if calls.len() == CALLS_MAX {
            return Err(BenchError::Stuck { calls: CALLS_MAX });
        }
        let keys_before = keys_examined(mongo).await?;
        let began = Instant::now();
        let request = SyncConversationsRequest {
            cursors,
            feed: feed.take(),
        };
        let answer = client.call(request).await?;
        let time = began.elapsed();
        calls.push(Call {
            time,
            keys: keys_examined(mongo).await? - keys_before,
        });
        let incomplete = answer.conversations.into_iter().filter(|sync| sync.incomplete);
        cursors = incomplete.filter_map(|sync| sync.cursor).collect();
    }
    Ok(calls)
}

/// Lists the feed of a user with many conversations, page by page.
async fn feed(client: &ChatClient, text: &mut String) -> Result<(), BenchError> {
    let mut pages: Vec<Vec<Duration>> = Vec::new();
    for round in 0..=ROUNDS {
        let mut cursor = FeedCursor::default();
        for page in 0.. {
            let began = Instant::now();
            let request = SyncConversationsRequest {
                cursors: Vec::new(),
                feed: Some(cursor),
            };
            let answer = client.call(request).await?.feed.unwrap_or_default();
            let time = began.elapsed();
            if page == pages.len() {
                pages.push(Vec::new());
            }
            if let Some(times) = pages.get_mut(page).filter(|_| round > 0) {
                times.push(time);
            }
            cursor = answer.cursor.unwrap_or_default();
            if !answer.incomplete {
                break;
            }
            if page == CALLS_MAX {
                return Err(BenchError::Stuck { calls: CALLS_MAX });
            }
        }
    }
    let medians: Vec<f64> = pages
        .into_iter()
        .map(|mut times| {
            times.sort_unstable();
            times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e3
        })
        .collect();
    let (first, last) = (
        medians.first().copied().unwrap_or_default(),
        medians.last().copied().unwrap_or_default(),
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "new device, feed: {FEED} conversations, {} pages, {:.0} ms in all; medians of {ROUNDS}: the first {first:.1} ms, the \
         last {last:.1} ms, {:.2} times the first",
        medians.len(),
        medians.iter().sum::<f64>(),
        last / first,
    );
    Ok(())
}

/// Keys of indexes that MongoDB has looked at since its start.
async fn keys_examined(mongo: &Database) -> Result<i64, BenchError> {
    let only = doc! { "serverStatus": 1, "metrics": 1, "repl": 0, "wiredTiger": 0, "locks": 0, "tcmalloc": 0 };
    let status = mongo.run_command(only).await.map_err(BenchError::Mongo)?;
    let executor = |status: &Document| {
        let executor = status
            .get_document("metrics")
            .ok()?
            .get_document("queryExecutor")
            .ok()?;
        executor
            .get_i64("scanned")
            .ok()
            .or_else(|| executor.get_i32("scanned").ok().map(i64::from))
    };
    Ok(executor(&status).unwrap_or_default())
}
