//! Tells the members of a large group what happened there, from the queue on which it was left for them.

use std::time::Instant;

use chat_contract::v1::{LiveEvent, live_event};
use chat_delivery::{Deliverer, Errand};
use chat_domain::{ConversationId, MEMBERS_PER_DELIVERY, UserId};
use chat_operation::{FromSettings, Notice};
use chat_runtime::{EventError, EventHandler};
use chat_stores::StoreError;
use chat_stores::postgres::Postgres;
use chat_stores::sqs::DeliveryQueue;
use serde::{Deserialize, Serialize};

/// The function of the queue. A message for a whole group is divided into messages for ranges of its members; one for a range is
/// told to them, a hundred at a time. Where a deletion has left memberships, they end first, a hundred for each message.
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

/// Why an errand was not run to its end.
#[derive(Debug, thiserror::Error)]
enum Unrun {
    #[error("{error}: {}", error.causes())]
    Store { error: StoreError },
    #[error(transparent)]
    Errand(#[from] chat_delivery::ErrandError),
    #[error("it names no conversation")]
    Conversation,
    #[error("its time was up")]
    Time,
}

impl From<StoreError> for Unrun {
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
            let run = tokio::time::timeout_at(deadline.into(), self.run(&body, deadline)).await;
            if let Err(error) = run.unwrap_or(Err(Unrun::Time)) {
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
    async fn run(&self, body: &str, deadline: Instant) -> Result<(), Unrun> {
        let errand = Errand::parse(body)?;
        let event = errand.event()?;
        let conversation = event.conversation_id.parse().map_err(|_| Unrun::Conversation)?;
        if let Some(live_event::Event::MembershipEnded(_)) = event.event {
            return self.end_memberships(&errand, conversation, &event, deadline).await;
        }
        match errand.range()? {
            Some((after, through)) => {
                self.tell(&errand, conversation, &event, (after, through.as_ref()), deadline)
                    .await
            }
            None => self.divide(&errand, conversation, &event, deadline).await,
        }
    }

    /// Leaves all ranges but the first to others, and tells that one.
    async fn divide(
        &self,
        errand: &Errand,
        conversation: ConversationId,
        event: &LiveEvent,
        deadline: Instant,
    ) -> Result<(), Unrun> {
        let ends = self
            .postgres
            .divide_members(conversation, event.revision, MEMBERS_PER_DELIVERY)
            .await?;
        let throughs = ends.iter().skip(1).map(Some).chain([None]);
        for (after, through) in ends.iter().zip(throughs) {
            self.queue.send(errand.of_range(Some(after), through).body()?).await?;
        }
        self.tell(errand, conversation, event, (None, ends.first()), deadline)
            .await
    }

    async fn tell(
        &self,
        errand: &Errand,
        conversation: ConversationId,
        event: &LiveEvent,
        (mut after, through): (Option<UserId>, Option<&UserId>),
        deadline: Instant,
    ) -> Result<(), Unrun> {
        loop {
            let members = self
                .postgres
                .list_listeners(conversation, event.revision, after.as_ref(), through)
                .await?;
            let Some(last) = members.last().cloned() else {
                return Ok(());
            };
            let notice = Notice {
                recipients: members.into(),
                event: event.clone(),
                occurred_at: errand.occurred_at(),
            };
            self.deliverer.deliver(vec![notice], deadline).await;
            after = Some(last);
        }
    }

    /// Ends a hundred of the memberships that a deletion has left, tells their users, and leaves the others to the next message.
    async fn end_memberships(
        &self,
        errand: &Errand,
        conversation: ConversationId,
        event: &LiveEvent,
        deadline: Instant,
    ) -> Result<(), Unrun> {
        let Some(ended) = self.postgres.end_deleted(conversation).await? else {
            return Ok(());
        };
        if ended.has_more {
            self.queue.send(errand.body()?).await?;
        }
        let notices = ended.feeds.into_iter().filter_map(|place| {
            Some(Notice {
                recipients: vec![place.user.parse().ok()?].into(),
                event: LiveEvent {
                    feed_revision: place.revision,
                    ..event.clone()
                },
                occurred_at: errand.occurred_at(),
            })
        });
        self.deliverer.deliver(notices.collect(), deadline).await;
        Ok(())
    }
}
