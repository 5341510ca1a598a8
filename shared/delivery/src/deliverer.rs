//! Who gets what, in which order, and how often it is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_domain::{NAMED_MEMBERS_MAX, UserId};
use chat_operation::{FromSettings, Notice};
use chat_stores::StoreError;
use chat_stores::dynamo::{Connection, Registry, RegistryReader};
use chat_stores::sqs::DeliveryQueue;
use chrono::{DateTime, Utc};
use futures::StreamExt;

use crate::fanout::Fanout;
use crate::frame::frame;
use crate::post::{Post, Poster};

/// Connections that are posted to at the same time.
const POSTS_AT_ONCE_MAX: usize = 128;
/// How often one frame is posted to one connection, the first time included.
const ATTEMPTS_MAX: u32 = 4;
/// Repeated posts of one delivery, over all connections: a gateway that is overrun is not to be asked ever more often.
const RETRIES_MAX: usize = 256;
/// The wait before the first repeat is up to this long; it doubles each time.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// A delivery is given up after this long, even if there is more time: a client that has not been reached by then will
/// have synced.
const DELIVERY_DURATION_MAX: Duration = Duration::from_secs(10);
/// A connection may be registered and not yet open, since API Gateway opens it once `$connect` has answered, and then
/// looks gone. One that is younger than this stays registered.
const OPENING_DURATION_MAX: Duration = Duration::from_secs(10);

/// Delivers notices to the connections of their recipients.
#[derive(Debug, FromSettings)]
pub struct Deliverer {
    reader: RegistryReader,
    // Clients are made at first use, and most environments never meet a connection that is gone.
    registry: Registry,
    poster: Poster,
    queue: DeliveryQueue,
}

impl Deliverer {
    /// Delivers these notices, and is back by the deadline. Never fails: what could not be delivered is logged; clients
    /// recover it by syncing.
    ///
    /// Each connection gets its notices in their order, and waits for no other connection.
    pub async fn deliver(&self, notices: Vec<Notice>, deadline: Instant) {
        let now = now();
        let deadline = deadline.min(Instant::now() + DELIVERY_DURATION_MAX);
        let plan = Plan::new(&notices, now);
        let post = async {
            if plan.frames_of.is_empty() {
                return;
            }
            let tally = Tally::default();
            let in_time = tokio::time::timeout_at(deadline.into(), self.deliver_plan(&plan, now, &tally)).await;
            tally.log(in_time.is_ok());
        };
        let enqueue = tokio::time::timeout_at(deadline.into(), self.enqueue(&notices));
        if let ((), Err(_)) = tokio::join!(post, enqueue) {
            tracing::error!("dropped what is for many members: the queue did not take it in time");
        }
    }

    /// Leaves what is for more members than are named to the queue.
    async fn enqueue(&self, notices: &[Notice]) {
        let fanouts = notices.iter().filter_map(Fanout::of).map(|fanout| async move {
            let (conversation_id, revision) = (&fanout.event.conversation_id, fanout.event.revision);
            match fanout.body() {
                Ok(body) => {
                    if let Err(error) = self.queue.send(body).await {
                        let causes = error.causes();
                        tracing::error!(conversation_id, revision, %error, causes, "dropped what is for many members");
                    }
                }
                Err(error) => tracing::error!(conversation_id, revision, %error, "dropped what is for many members"),
            }
        });
        futures::future::join_all(fanouts).await;
    }

    async fn deliver_plan(&self, plan: &Plan<'_>, now: DateTime<Utc>, tally: &Tally) {
        let recipients: BTreeSet<UserId> = plan.frames_of.keys().map(|&user| user.clone()).collect();
        let connections = match self.reader.connections_of(&recipients, now).await {
            Ok(connections) => connections,
            Err(error) => return log_store_error(&error, "the recipients of live events could not be looked up"),
        };
        tally.connections.store(connections.len(), Ordering::Relaxed);
        futures::stream::iter(&connections)
            .for_each_concurrent(POSTS_AT_ONCE_MAX, |connection| async move {
                let frames = plan.frames_of.get(&connection.user).map_or(&[][..], Vec::as_slice);
                self.deliver_to(connection, frames, now, tally).await;
            })
            .await;
    }

    /// Posts these frames to one connection, in their order. Stops at the first that cannot be delivered: a client that
    /// misses one has to sync anyway.
    async fn deliver_to(&self, connection: &Connection, frames: &[Bytes], now: DateTime<Utc>, tally: &Tally) {
        for frame in frames {
            match self.post(connection, frame, tally).await {
                Post::Taken => count(&tally.posted),
                Post::Gone => {
                    count(&tally.gone);
                    return self.forget(connection, now).await;
                }
                Post::Failed | Post::TimedOut => return count(&tally.failed),
                Post::Refused => count(&tally.failed),
            }
        }
    }

    /// Posts one frame, again where that may help. The waits are random, so that posts that failed together do not come
    /// again together.
    async fn post(&self, connection: &Connection, frame: &Bytes, tally: &Tally) -> Post {
        let mut attempt = 1;
        loop {
            let post = self.poster.post(&connection.id, frame).await;
            if post != Post::Failed || attempt == ATTEMPTS_MAX || !tally.take_retry() {
                return post;
            }
            tokio::time::sleep(retry_wait(attempt)).await;
            attempt += 1;
        }
    }

    /// Removes a connection that is gone, and no other.
    async fn forget(&self, connection: &Connection, now: DateTime<Utc>) {
        if connection.since + OPENING_DURATION_MAX > now {
            return;
        }
        let Connection {
            user,
            ticket,
            id,
            ticket_until,
            ..
        } = connection;
        if let Err(error) = self.registry.unregister(user, *ticket, id, *ticket_until, now).await {
            log_store_error(&error, "a connection that is gone stays registered");
        }
    }
}

/// Which frames each recipient gets, in the order of their notices.
struct Plan<'a> {
    frames_of: BTreeMap<&'a UserId, Vec<Bytes>>,
}

impl<'a> Plan<'a> {
    fn new(notices: &'a [Notice], now: DateTime<Utc>) -> Self {
        let mut frames_of: BTreeMap<&UserId, Vec<Bytes>> = BTreeMap::new();
        for notice in notices {
            let recipients: BTreeSet<&UserId> = notice.recipients.users().iter().collect();
            if recipients.is_empty() {
                continue;
            }
            if recipients.len() > NAMED_MEMBERS_MAX {
                tracing::error!(
                    recipients = recipients.len(),
                    conversation_id = notice.event.conversation_id,
                    revision = notice.event.revision,
                    "dropped a live event that is for more than {NAMED_MEMBERS_MAX} users"
                );
                continue;
            }
            let Some(frame) = frame(notice, now) else {
                tracing::error!(
                    conversation_id = notice.event.conversation_id,
                    revision = notice.event.revision,
                    "dropped a live event that cannot be written as JSON"
                );
                continue;
            };
            for user in recipients {
                frames_of.entry(user).or_default().push(frame.clone());
            }
        }
        Self { frames_of }
    }
}

/// What became of one delivery.
#[derive(Debug, Default)]
struct Tally {
    connections: AtomicUsize,
    posted: AtomicUsize,
    gone: AtomicUsize,
    failed: AtomicUsize,
    retries: AtomicUsize,
}

impl Tally {
    /// Whether one more repeat is allowed.
    fn take_retry(&self) -> bool {
        self.retries.fetch_add(1, Ordering::Relaxed) < RETRIES_MAX
    }

    fn log(&self, in_time: bool) {
        let [connections, posted, gone, failed] =
            [&self.connections, &self.posted, &self.gone, &self.failed].map(|counter| counter.load(Ordering::Relaxed));
        if in_time && failed == 0 {
            tracing::debug!(connections, posted, gone, "live events delivered");
        } else {
            tracing::warn!(
                connections,
                posted,
                gone,
                failed,
                in_time,
                "live events delivered in part"
            );
        }
    }
}

/// How long to wait after this attempt.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing depends on the wait but the load of the gateway"
)]
fn retry_wait(attempt: u32) -> Duration {
    (RETRY_WAIT * 2_u32.pow(attempt - 1)).mul_f64(rand::random())
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn log_store_error(error: &StoreError, message: &'static str) {
    tracing::error!(error = %error, causes = error.causes(), message);
}

/// The only look at the wall clock in this crate.
#[expect(
    clippy::disallowed_methods,
    reason = "ages and leases are compared with the time of delivery"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
