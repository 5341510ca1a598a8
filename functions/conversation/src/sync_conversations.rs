//! Brings a client up to date: everything that changed since its cursors, in order and without gaps.
//!
//! A revision is shown only once every smaller one is there, or closed, by majority. Who meets a place whose writer died
//! closes it; who meets one that is being written ends the page there. Only this operation hands out cursors.
//!
//! `plan.rs` decides what is read for whom; what it decides needs neither a clock nor a store.

use std::collections::{BTreeMap, HashMap, HashSet};

use chat_contract::v1::{SyncConversationsRequest, SyncConversationsResponse};
use chat_domain::{ConversationId, SEALED_PER_CALL_MAX, SYNC_CURSORS_MAX, UserId, VOIDS_MAX, Violation, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_sealing::{Closed, RestartBudget, Sealer, Walk};
use chat_stores::StoreError;
use chat_stores::mongo::{Entry, EntryKind, MessageEntry, Timeline};
use chat_stores::postgres::{FeedRow, Postgres, SealState, SyncRow};

use crate::feed::{FeedAsked, FeedPlan};
use crate::plan::{Cursor, Plan};

/// The RPC `SyncConversations`.
#[derive(Debug, FromSettings)]
pub struct SyncConversations {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for SyncConversations {
    type Request = SyncConversationsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: SyncConversationsRequest,
    ) -> Result<Answer<SyncConversationsResponse>, Failure> {
        let user = &context.caller()?.user;
        let Asked { cursors, feed } = parse(&request)?;
        let named: Vec<ConversationId> = cursors.iter().map(|(_, cursor)| cursor.conversation).collect();
        let state = self.postgres.list_for_sync(user, &named).await?;
        let feed = feed.map(|asked| FeedPlan::new(asked, state.epoch, state.feed));
        let mut known: HashMap<ConversationId, SyncRow> = state
            .rows
            .into_iter()
            .map(|row| (row.conversation.conversation, row))
            .collect();

        let mut plan = Plan::new(state.epoch, state.now);
        let (mut lost, mut lost_conversation_ids) = (Vec::new(), Vec::new());
        for (name, cursor) in cursors {
            if let Some(row) = known.remove(&cursor.conversation) {
                plan.add(cursor, row);
            } else {
                lost.push(cursor.conversation);
                lost_conversation_ids.push(name.to_owned());
            }
        }
        plan.share();

        let (starts, ranges) = (plan.starts(), plan.ranges());
        if !starts.is_empty() || feed.is_some_and(FeedPlan::starts_over) {
            self.postgres.charge_read(user).await??;
        }
        // What few syncs need stands elsewhere: every call moves this one's future.
        let (feed_rows, entries, closed) = tokio::try_join!(
            self.list_feed(user, feed),
            self.timeline.list_revisions(&ranges),
            Box::pin(self.restart(starts)),
        )?;
        let mut walks = Box::pin(self.walk(&plan, entries)).await?;
        Box::pin(self.recount(user, &mut plan, &mut walks, &closed)).await?;
        let replies = chat_view::quoted_elsewhere(messages(&walks));
        let quoted = self.timeline.list_previews(&replies).await?;
        Ok(Answer {
            seal: lost,
            ..Answer::new(SyncConversationsResponse {
                conversations: plan.answer(walks, &closed, &quoted),
                feed: feed.map(|plan| plan.answer(feed_rows)),
                lost_conversation_ids,
            })
        })
    }

    /// Whoever has lost a conversation may have met one whose deletion has died before all memberships had ended: it goes on, as
    /// far as there is time.
    async fn seal(&self, lost: Vec<ConversationId>) {
        loop {
            match self.postgres.end_deleted_among(&lost).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return error.log(),
            }
        }
    }
}

impl SyncConversations {
    fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }

    async fn list_feed(&self, user: &UserId, feed: Option<FeedPlan>) -> Result<Vec<FeedRow>, StoreError> {
        match feed.and_then(FeedPlan::read) {
            Some((after, listing_through)) => self.postgres.list_feed(user, after, listing_through).await,
            None => Ok(Vec::new()),
        }
    }

    async fn restart(
        &self,
        starts: Vec<(ConversationId, SealState)>,
    ) -> Result<BTreeMap<ConversationId, Closed>, StoreError> {
        if starts.is_empty() {
            return Ok(BTreeMap::new());
        }
        Box::pin(self.sealer().restart(starts, RestartBudget::default())).await
    }

    /// Walks what was read; where that meets abandoned gaps, closes them, reads again and walks again.
    async fn walk(
        &self,
        plan: &Plan,
        mut entries: BTreeMap<ConversationId, Vec<Entry>>,
    ) -> Result<HashMap<ConversationId, Walk<Entry>>, StoreError> {
        let mut walks: HashMap<ConversationId, Walk<Entry>> = plan
            .stretches()
            .map(|(conversation, stretch)| {
                (
                    conversation,
                    stretch.walk(entries.remove(&conversation).unwrap_or_default()),
                )
            })
            .collect();
        let abandoned: Vec<(ConversationId, i64)> = walks
            .iter()
            .flat_map(|(conversation, walk)| walk.abandoned.iter().map(|revision| (*conversation, *revision)))
            .take(VOIDS_MAX)
            .collect();
        if abandoned.is_empty() {
            return Ok(walks);
        }
        if let Err(error) = self.sealer().close(&abandoned).await {
            // What is below the gaps can be shown all the same; the client comes again for the rest.
            tracing::warn!(error = %error, causes = error.causes(), "abandoned places were not closed");
            return Ok(walks);
        }
        let closed: HashSet<ConversationId> = abandoned.iter().map(|(conversation, _)| *conversation).collect();
        let reread: Vec<_> = plan
            .stretches()
            .filter(|(conversation, _)| closed.contains(conversation))
            .collect();
        let ranges: Vec<_> = reread
            .iter()
            .map(|(conversation, stretch)| stretch.range(*conversation))
            .collect();
        let mut entries = self.timeline.list_revisions(&ranges).await?;
        for (conversation, stretch) in reread {
            walks.insert(
                conversation,
                stretch.walk(entries.remove(&conversation).unwrap_or_default()),
            );
        }
        Ok(walks)
    }

    /// Counts again what is unread where places turned out to hold nothing and Postgres was not told yet: who walked over
    /// them tells it. Of many such conversations, most are shown up to there by this call.
    async fn recount(
        &self,
        user: &UserId,
        plan: &mut Plan,
        walks: &mut HashMap<ConversationId, Walk<Entry>>,
        closed: &BTreeMap<ConversationId, Closed>,
    ) -> Result<(), StoreError> {
        let mut walked_over = Vec::new();
        for (conversation, _) in plan.stretches() {
            let sealed = plan.closed_revision(conversation);
            let Some(walk) = walks.get_mut(&conversation) else {
                continue;
            };
            let is_untold = |entry: &&Entry| entry.kind == EntryKind::Void && entry.revision > sealed;
            let Some(revision) = walk.entries.iter().find(is_untold).map(|entry| entry.revision) else {
                continue;
            };
            if walked_over.len() < SEALED_PER_CALL_MAX {
                walked_over.push(conversation);
            } else {
                walk.end_below(revision);
            }
        }
        self.sealer().seal_all(&walked_over).await;
        let had_gaps = closed.iter().filter(|(_, closed)| closed.had_gaps).map(|(id, _)| *id);
        let changed: Vec<ConversationId> = walked_over.into_iter().chain(had_gaps).collect();
        if !changed.is_empty() {
            let state = self.postgres.list_for_sync(user, &changed).await?;
            for row in state.rows {
                plan.recount(&row);
            }
        }
        Ok(())
    }
}

/// What a client asks.
struct Asked<'a> {
    /// Each with the conversation as the client named it.
    cursors: Vec<(&'a str, Cursor)>,
    feed: Option<FeedAsked>,
}

fn parse(request: &SyncConversationsRequest) -> Result<Asked<'_>, Failure> {
    let mut fields = Fields::default();
    if request.cursors.len() > SYNC_CURSORS_MAX {
        let problem = format!(
            "has {} entries; at most {SYNC_CURSORS_MAX} are allowed",
            request.cursors.len()
        );
        fields.take::<()>("cursors", Err(Violation::new(problem)));
        return Err(fields.refuse());
    }
    let mut seen = HashSet::new();
    let mut cursors = Vec::with_capacity(request.cursors.len());
    for cursor in &request.cursors {
        let name = cursor.conversation_id.as_str();
        let conversation = name.parse::<ConversationId>().and_then(|conversation| {
            if seen.insert(conversation) {
                Ok(conversation)
            } else {
                Err(Violation::new("names a conversation twice"))
            }
        });
        let conversation = fields.take("cursors.conversation_id", conversation);
        let joined_revision = fields.take("cursors.joined_revision", at_least(cursor.joined_revision, 0));
        let revision = fields.take("cursors.revision", at_least(cursor.revision, 0));
        let epoch = fields.take("cursors.epoch", at_least(cursor.epoch, 0));
        if let (Some(conversation), Some(joined_revision), Some(revision), Some(epoch)) =
            (conversation, joined_revision, revision, epoch)
        {
            let cursor = Cursor {
                conversation,
                joined_revision,
                revision,
                epoch,
            };
            cursors.push((name, cursor));
        }
    }
    let feed = request.feed.as_ref().map(|feed| FeedAsked {
        epoch: fields.take("feed.epoch", at_least(feed.epoch, 0)).unwrap_or_default(),
        revision: fields
            .take("feed.revision", at_least(feed.revision, 0))
            .unwrap_or_default(),
        listing_through: fields
            .take("feed.listing_through", at_least(feed.listing_through, 0))
            .unwrap_or_default(),
    });
    fields.accept(Asked { cursors, feed })
}

/// The messages of all walks.
fn messages(walks: &HashMap<ConversationId, Walk<Entry>>) -> impl Iterator<Item = &MessageEntry> + Clone {
    let entries = walks.values().flat_map(|walk| walk.entries.iter());
    entries.filter_map(|entry| match &entry.kind {
        EntryKind::Message(message) => Some(&**message),
        EntryKind::Group(_) | EntryKind::Void | EntryKind::Unknown => None,
    })
}

#[cfg(test)]
mod tests;
