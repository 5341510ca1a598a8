//! Reads a page of history.
//!
//! Postgres says what the caller may see while MongoDB reads the page. Where a message of the page's stretch is missing, it
//! is on its way or its writer is dead, and who goes on after the last message that they were shown would miss it. So such
//! a page waits a moment, closes what was abandoned, and else ends below the gap: see [`settle`](ListMessages::settle).

use chat_contract::v1::list_messages_request::Position;
use chat_contract::v1::{ListMessagesRequest, ListMessagesResponse};
use chat_domain::{ConversationId, GROUP_CHANGES_PER_PAGE_MAX, PAGE_WAITS, PageSize, VOIDS_MAX, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_sealing::{Sealer, Stretch};
use chat_stores::mongo::{Consistency, GroupStretch, HistoryRange, MessageEntry, Timeline};
use chat_stores::postgres::{Membership, Postgres};
use chat_stores::{GroupEntry, StoreError};

/// Missing seqs of one page that are looked into, at most, the greatest ones.
const MISSING_MAX: i64 = 4_096;
/// Places that are looked at around them, at most.
const PLACES_MAX: i64 = 4_096;

/// The RPC `ListMessages`.
#[derive(Debug, FromSettings)]
pub struct ListMessages {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for ListMessages {
    type Request = ListMessagesRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListMessagesRequest,
    ) -> Result<Answer<ListMessagesResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, page) = parse(&request)?;
        // Side by side: what was read is thrown away when the caller turns out not to be a member.
        let (membership, mut parts) = tokio::try_join!(
            self.postgres.lookup_membership(conversation, user),
            self.read(conversation, page)
        )?;
        let membership = membership.ok_or_else(Failure::conversation_not_found)?;
        parts.hide(&membership);
        let asked = page;
        let page = page.within(&membership, &parts);
        // The page may have been read before a message was written that the seal vouches for.
        let is_early = page
            .missing(&parts, &membership, 0)
            .is_some_and(|(lowest, _)| lowest <= membership.closed_seq);
        if page != asked || is_early {
            parts = self.read(conversation, page).await?;
            parts.hide(&membership);
        }
        let through = self.settle(conversation, page, &membership, &mut parts).await?;
        let shown = page.answer(parts, &membership, through);
        let elsewhere = chat_view::quoted_elsewhere(shown.messages.iter());
        let changes = shown.stretch(conversation, &membership, through);
        let (quoted, changes) = tokio::try_join!(
            self.timeline.list_previews(&elsewhere),
            self.list_changes(&membership, changes, page.consistency)
        )?;
        Ok(ListMessagesResponse {
            messages: chat_view::messages(shown.messages, &quoted, membership.window),
            has_more_before: shown.has_more_before,
            has_more_after: shown.has_more_after,
            group_changes: changes.into_iter().map(chat_view::group_change).collect(),
        }
        .into())
    }
}

impl ListMessages {
    async fn read(&self, conversation: ConversationId, page: Page) -> Result<Parts, StoreError> {
        let list = async |range: Option<(HistoryRange, usize)>| match range {
            Some((range, limit)) => {
                // One more than asked tells whether there are more.
                self.timeline
                    .list_messages(conversation, range, limit + 1, page.consistency)
                    .await
            }
            None => Ok(Vec::new()),
        };
        let (below, above) = tokio::try_join!(list(page.below), list(page.above))?;
        Ok(Parts {
            below,
            above,
            is_displaced: false,
        })
    }

    /// Reads how the group changed between the messages of a page.
    async fn list_changes(
        &self,
        membership: &Membership,
        stretch: GroupStretch,
        consistency: Consistency,
    ) -> Result<Vec<GroupEntry>, StoreError> {
        if !membership.is_group {
            return Ok(Vec::new());
        }
        self.timeline
            .list_group_changes(stretch, GROUP_CHANGES_PER_PAGE_MAX, consistency)
            .await
    }

    /// Makes sure that nothing of the page's stretch can still come, and reads the page again where something could. Answers
    /// the revision through which that is so, if not through all of it.
    ///
    /// Pages that lead upwards wait for a young writer and end below it when it takes too long. Pages that lead downwards
    /// cannot end above it for ever: they close its place, and it takes another one.
    async fn settle(
        &self,
        conversation: ConversationId,
        page: Page,
        membership: &Membership,
        parts: &mut Parts,
    ) -> Result<Option<i64>, Failure> {
        // What was sent since must not push out what is read again.
        let page = page.up_to_head(membership);
        let mut waits = PAGE_WAITS.iter();
        let (mut has_closed, mut through) = (false, None);
        // Up to this seq nothing can still come.
        let mut settled = membership.closed_seq;
        while let Some((lowest, greatest)) = page.missing(parts, membership, settled) {
            let stretch = self
                .stretch_around(conversation, membership, parts, lowest, greatest)
                .await?;
            let places = self.timeline.list_places(stretch.range(conversation)).await?;
            let holes = stretch.holes(&places);
            let walk = stretch.walk(places);
            let is_whole = holes.is_empty();
            let wait = waits.next().filter(|_| !is_whole && walk.abandoned.is_empty());
            let closing = if page.leads_down { holes } else { walk.abandoned };
            if is_whole || wait.is_some() {
                tokio::time::sleep(wait.copied().unwrap_or_default()).await;
            } else if has_closed || closing.is_empty() {
                if page.leads_down {
                    return Err(Failure::unavailable(
                        "TIMELINE_REPAIRING",
                        "the conversation has many abandoned places here, which are being closed; repeat the call",
                    ));
                }
                // The places were looked at later than the page was read: what was written in between is not on it.
                let below = parts.messages().rfind(|message| message.seq < lowest);
                through = Some(walk.through.min(below.map_or(0, |below| below.revision)));
                break;
            } else {
                let closing = closing.into_iter().take(VOIDS_MAX);
                let closing: Vec<_> = closing.map(|revision| (conversation, revision)).collect();
                self.sealer().close(&closing).await?;
                has_closed = true;
            }
            if is_whole {
                // What is read again and still missing was closed. Above it, others may have written meanwhile, with gaps
                // of their own.
                settled = greatest;
            }
            *parts = self.read(conversation, page).await?;
            parts.hide(membership);
        }
        if settled > membership.closed_seq {
            // Nobody has told Postgres.
            self.sealer().seal_all(&[conversation]).await;
        }
        Ok(through)
    }

    /// The places between the messages around these seqs, in which the seqs' own places are.
    async fn stretch_around(
        &self,
        conversation: ConversationId,
        membership: &Membership,
        parts: &Parts,
        lowest: i64,
        greatest: i64,
    ) -> Result<Stretch, StoreError> {
        let below = parts.messages().rfind(|message| message.seq < lowest).cloned();
        let above = parts.messages().find(|message| message.seq > greatest).cloned();
        let nearest = async |at_hand: Option<MessageEntry>, range| {
            if at_hand.is_some() {
                return Ok(at_hand);
            }
            let found = self
                .timeline
                .list_messages(conversation, range, 1, Consistency::Majority);
            found.await.map(|mut messages| messages.pop())
        };
        let (below, above) = tokio::try_join!(
            nearest(below, HistoryRange::Before(lowest)),
            nearest(above, HistoryRange::After(greatest)),
        )?;
        let above = above.filter(|message| message.revision <= membership.revision);
        let through = above.as_ref().map_or(membership.revision, |above| above.revision - 1);
        Ok(Stretch {
            after: below.map_or(0, |below| below.revision).max(through - PLACES_MAX),
            through,
            allocated_at: above.map_or(membership.allocated_at, |above| above.allocated_at),
            now: membership.now,
        })
    }

    fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }
}

/// What to read: at most so many messages below and above a seq.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Page {
    below: Option<(HistoryRange, usize)>,
    above: Option<(HistoryRange, usize)>,
    /// Whether the client goes on below it: then it cannot end below what is missing.
    leads_down: bool,
    consistency: Consistency,
}

/// What was read, each by increasing seq.
#[derive(Debug)]
struct Parts {
    below: Vec<MessageEntry>,
    above: Vec<MessageEntry>,
    /// Whether more was read below than is to be shown, and pushed out what should be.
    is_displaced: bool,
}

impl Parts {
    /// Everything that was read, by increasing seq.
    fn messages(&self) -> impl DoubleEndedIterator<Item = &MessageEntry> {
        self.below.iter().chain(&self.above)
    }

    /// Leaves out what the member may not see, and what lies above the head that authorised the read: it may be of a send
    /// that this read has not to know of yet.
    fn hide(&mut self, membership: &Membership) {
        self.is_displaced = self
            .below
            .last()
            .is_some_and(|newest| newest.revision > membership.revision);
        let shows =
            |message: &MessageEntry| message.revision <= membership.revision && membership.window.shows(message.seq);
        self.below.retain(shows);
        self.above.retain(shows);
    }
}

/// What a page shows.
struct Shown {
    messages: Vec<MessageEntry>,
    has_more_before: bool,
    has_more_after: bool,
    /// The next message's seq, or the one that the page was to end below.
    next_seq: Option<i64>,
    /// The seq that the page goes up from; what happened after that message may have come since its page was read.
    goes_on_from: Option<i64>,
}

impl Shown {
    /// The changes of the group that belong to the page: each stands below the message after which it happened, whose page
    /// it is on. Those below the message from which a client goes up come once more.
    fn stretch(&self, conversation: ConversationId, membership: &Membership, through: Option<i64>) -> GroupStretch {
        let first = self.messages.first().filter(|_| self.has_more_before);
        let from_seq = self.goes_on_from.or(first.map(|first| first.seq));
        GroupStretch {
            conversation,
            from_seq: from_seq.unwrap_or(0).max(membership.window.edge()),
            below_seq: self.next_seq.unwrap_or(i64::MAX),
            after: membership.window.edge_revision(),
            through: through.unwrap_or(membership.revision),
        }
    }
}

fn parse(request: &ListMessagesRequest) -> Result<(ConversationId, Page), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let page_size = fields.take("page_size", PageSize::parse(request.page_size));
    let (field, seq, least) = match request.position {
        None => ("before_seq", i64::MAX, 1),
        Some(Position::BeforeSeq(seq)) => ("before_seq", seq, 1),
        Some(Position::AfterSeq(seq)) => ("after_seq", seq, 0),
        Some(Position::AroundSeq(seq)) => ("around_seq", seq, 1),
    };
    let in_range = fields.take(field, at_least(seq, least));
    let restart = fields.take("restart_revision", at_least(request.restart_revision, 0));
    let size = page_size.map(PageSize::get);
    let (Some(conversation), Some(size), Some(_), Some(_)) = (conversation, size, in_range, restart) else {
        return Err(fields.refuse());
    };
    let (below, above) = match request.position {
        None | Some(Position::BeforeSeq(_)) => (Some((HistoryRange::Before(seq), size)), None),
        Some(Position::AfterSeq(_)) => (None, Some((HistoryRange::After(seq), size))),
        // The seq itself counts to the upper half, which is the larger one when the size is odd.
        Some(Position::AroundSeq(_)) => (
            Some((HistoryRange::Before(seq), size / 2)).filter(|_| size > 1),
            Some((HistoryRange::After(seq - 1), size - size / 2)),
        ),
    };
    let page = Page {
        below,
        above,
        leads_down: matches!(request.position, Some(Position::BeforeSeq(_) | Position::AroundSeq(_))),
        consistency: if request.restart_revision > 0 {
            Consistency::Linearizable
        } else {
            Consistency::Majority
        },
    };
    Ok((conversation, page))
}

impl Page {
    /// The page as it has to be read for this member: from the edge of their window, and up to the head that authorised the
    /// read where sends got in between the two reads and pushed what it should show out of it.
    fn within(self, membership: &Membership, parts: &Parts) -> Self {
        let page = if parts.is_displaced {
            self.up_to_head(membership)
        } else {
            self
        };
        let above = self.above.map(|(range, limit)| match range {
            HistoryRange::After(seq) => (HistoryRange::After(seq.max(membership.window.edge())), limit),
            HistoryRange::Before(_) => (range, limit),
        });
        Self { above, ..page }
    }

    /// The page as far as the head that authorised the read.
    fn up_to_head(self, membership: &Membership) -> Self {
        let below = self.below.map(|(range, limit)| match range {
            HistoryRange::Before(seq) => (HistoryRange::Before(seq.min(membership.message_count + 1)), limit),
            HistoryRange::After(_) => (range, limit),
        });
        Self { below, ..self }
    }

    /// The lowest and the greatest seq above `settled` of the page's stretch that no message has, but for those that are known
    /// to be uncounted, which will never come.
    fn missing(self, parts: &Parts, membership: &Membership, settled: i64) -> Option<(i64, i64)> {
        let mut missing: Option<(i64, i64)> = None;
        let mut note = |from: i64, through: i64, present: &[MessageEntry]| {
            let from = from.max(settled).max(through - MISSING_MAX);
            let mut present = present.iter().map(|message| message.seq).peekable();
            let mut uncounted = membership.uncounted.iter().copied().peekable();
            // A client may name any seq: nothing comes after the greatest.
            for seq in from.saturating_add(1)..=through.min(membership.message_count) {
                while present.next_if(|at| *at < seq).is_some() {}
                while uncounted.next_if(|at| *at < seq).is_some() {}
                if present.peek() != Some(&seq) && uncounted.peek() != Some(&seq) {
                    let (lowest, _) = missing.unwrap_or((seq, seq));
                    missing = Some((lowest, seq));
                }
            }
        };
        if let Some((HistoryRange::Before(seq), limit)) = self.below {
            let surplus = parts.below.len().saturating_sub(limit);
            let lower = surplus.checked_sub(1).and_then(|last| parts.below.get(last));
            let from = lower.map_or(membership.window.edge(), |message| message.seq);
            let newest = parts.below.last().map_or(from, |message| message.seq);
            let through = if self.leads_down {
                membership.message_count.min(seq - 1)
            } else {
                newest
            };
            note(from, through, &parts.below);
        }
        if let Some((HistoryRange::After(seq), limit)) = self.above {
            let shown = parts.above.get(..limit).unwrap_or(&parts.above);
            note(seq, shown.last().map_or(seq, |message| message.seq), shown);
        }
        missing
    }

    /// Puts the page together, up to this revision when that is not all of it.
    fn answer(self, parts: Parts, membership: &Membership, through: Option<i64>) -> Shown {
        let Parts {
            mut below, mut above, ..
        } = parts;
        let has_more_before = if let Some((_, limit)) = self.below {
            let surplus = below.len().saturating_sub(limit);
            below.drain(..surplus);
            surplus > 0
        } else {
            // Whatever is at or below the seq where the page starts.
            let edge = membership.window.edge();
            matches!(self.above, Some((HistoryRange::After(seq), _)) if seq > edge && membership.message_count > edge)
        };
        let next_seq = match self.above {
            Some((_, limit)) => {
                let next = above.get(limit).map(|next| next.seq);
                above.truncate(limit);
                next
            }
            // Whatever is at or above the seq where the page ends.
            None => match self.below {
                Some((HistoryRange::Before(seq), _)) if membership.message_count >= seq => Some(seq),
                _ => None,
            },
        };
        let mut messages = below;
        messages.append(&mut above);
        if let Some(through) = through {
            messages.retain(|message| message.revision <= through);
        }
        Shown {
            messages,
            has_more_before,
            has_more_after: next_seq.is_some() || through.is_some(),
            next_seq,
            goes_on_from: match self.above {
                Some((HistoryRange::After(seq), _)) if !self.leads_down => Some(seq),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests;
