//! Tells the members of a large group what happened there, from the queue on which it was left for them.

use std::time::{Duration, Instant};

use chat_delivery::{Deliverer, Fanout, FanoutError, Range, Recipients};
use chat_domain::{ConversationId, MEMBERS_PER_DELIVERY, NAMED_MEMBERS_MAX, UserId};
use chat_operation::{FromSettings, Notice};
use chat_runtime::{EventError, EventHandler};
use chat_stores::StoreError;
use chat_stores::postgres::Postgres;
use chat_stores::sqs::DeliveryQueue;
use futures::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};

/// With less time than this left, the rest is left to another message.
const TIME_MIN: Duration = Duration::from_secs(5);
/// How many times as many as are named are told at once.
const AT_ONCE: usize = 4;

/// The function of the queue. What is for a whole group is divided into messages for ranges of its members; a range is told some
/// at a time. Where a deletion has left memberships, they end before.
#[derive(Debug, FromSettings)]
pub struct Deliver {
    postgres: Postgres,
    deliverer: Deliverer,
    queue: DeliveryQueue,
}

/// What SQS hands to its function: only the parts that are read here.
#[derive(Debug, Deserialize)]
pub struct QueueEvent {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: String,
}

/// Which messages failed and come again; after a few times, they are put with the dead letters.
#[derive(Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueAnswer {
    batch_item_failures: Vec<Failed>,
}

#[derive(Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failed {
    item_identifier: String,
}

/// Why not all were told.
#[derive(Debug, thiserror::Error)]
enum Untold {
    #[error("{error}: {}", error.causes())]
    Store { error: StoreError },
    #[error(transparent)]
    Fanout(#[from] FanoutError),
    #[error("it names no conversation")]
    Conversation,
    #[error("its time was up")]
    Time,
}

impl From<StoreError> for Untold {
    fn from(error: StoreError) -> Self {
        Self::Store { error }
    }
}

impl EventHandler for Deliver {
    type Event = QueueEvent;
    type Answer = QueueAnswer;

    async fn call(&self, event: QueueEvent, deadline: Instant) -> Result<QueueAnswer, EventError> {
        let mut answer = QueueAnswer::default();
        for Record { message_id, body } in event.records {
            let told = tokio::time::timeout_at(deadline.into(), self.run(&body, deadline)).await;
            if let Err(error) = told.unwrap_or(Err(Untold::Time)) {
                tracing::error!(message_id, %error, "members of a group were not all told; the message comes again");
                answer.batch_item_failures.push(Failed {
                    item_identifier: message_id,
                });
            }
        }
        Ok(answer)
    }
}

impl Deliver {
    async fn run(&self, body: &str, deadline: Instant) -> Result<(), Untold> {
        let fanout = Fanout::parse(body)?;
        let conversation = fanout.event.conversation_id.parse();
        let conversation: ConversationId = conversation.map_err(|_| Untold::Conversation)?;
        match &fanout.to {
            Recipients::Remaining => self.end_memberships(&fanout, conversation, deadline).await,
            Recipients::Members => {
                let members = self.list(&fanout, conversation, &Range::default()).await?;
                let range = self.divide(&fanout, &members).await?;
                let first = members.get(..MEMBERS_PER_DELIVERY).unwrap_or(&members);
                self.tell(&fanout, first, range.through, deadline).await
            }
            Recipients::Range(range) => {
                let members = self.list(&fanout, conversation, range).await?;
                self.tell(&fanout, &members, range.through.clone(), deadline).await
            }
        }
    }

    /// Those who are to be told: as they are now, and had joined before.
    async fn list(
        &self,
        fanout: &Fanout,
        conversation: ConversationId,
        range: &Range,
    ) -> Result<Vec<UserId>, StoreError> {
        let Range { after, through } = range;
        self.postgres
            .list_listeners(conversation, fanout.event.revision, after.as_ref(), through.as_ref())
            .await
    }

    /// Leaves all ranges but the first to other messages, and answers that one.
    async fn divide(&self, fanout: &Fanout, members: &[UserId]) -> Result<Range, Untold> {
        let ends: Vec<&UserId> = members
            .chunks(MEMBERS_PER_DELIVERY)
            .filter_map(<[UserId]>::last)
            .collect();
        let ends = ends.get(..ends.len().saturating_sub(1)).unwrap_or_default();
        let throughs = ends.iter().skip(1).map(|&end| Some(end.clone())).chain([None]);
        let others = ends.iter().zip(throughs).map(|(&after, through)| Range {
            after: Some(after.clone()),
            through,
        });
        try_join_all(others.map(|range| self.leave(fanout, Recipients::Range(range)))).await?;
        Ok(Range {
            after: None,
            through: ends.first().map(|&end| end.clone()),
        })
    }

    /// Leaves the rest to another message.
    async fn leave(&self, fanout: &Fanout, to: Recipients) -> Result<(), Untold> {
        Ok(self.queue.send(fanout.to(to).body()?).await?)
    }

    /// Tells these members, of a range that ends there.
    async fn tell(
        &self,
        fanout: &Fanout,
        members: &[UserId],
        through: Option<UserId>,
        deadline: Instant,
    ) -> Result<(), Untold> {
        let mut told = None;
        for some in members.chunks(AT_ONCE * NAMED_MEMBERS_MAX) {
            if is_short(deadline) {
                let rest = Range { after: told, through };
                return self.leave(fanout, Recipients::Range(rest)).await;
            }
            let deliveries = some.chunks(NAMED_MEMBERS_MAX).map(|members| {
                let notice = Notice {
                    recipients: members.to_vec().into(),
                    event: fanout.event.clone(),
                    occurred_at: fanout.occurred_at,
                };
                self.deliverer.deliver(vec![notice], deadline)
            });
            join_all(deliveries).await;
            told = some.last().cloned();
        }
        Ok(())
    }

    /// Ends the memberships that a deletion has left, some at a time, and tells their users.
    async fn end_memberships(
        &self,
        fanout: &Fanout,
        conversation: ConversationId,
        deadline: Instant,
    ) -> Result<(), Untold> {
        loop {
            if is_short(deadline) {
                return self.leave(fanout, Recipients::Remaining).await;
            }
            let Some(ended) = self.postgres.end_deleted(conversation).await? else {
                return Ok(());
            };
            let notices = ended.feeds.into_iter().filter_map(|place| {
                let mut event = fanout.event.clone();
                event.feed_revision = place.revision;
                Some(Notice {
                    recipients: vec![place.user.parse().ok()?].into(),
                    event,
                    occurred_at: fanout.occurred_at,
                })
            });
            self.deliverer.deliver(notices.collect(), deadline).await;
            if !ended.has_more {
                return Ok(());
            }
        }
    }
}

fn is_short(deadline: Instant) -> bool {
    deadline.saturating_duration_since(Instant::now()) < TIME_MIN
}
