//! Reads a page of history.

use chat_contract::v1::list_messages_request::Position;
use chat_contract::v1::{ListMessagesRequest, ListMessagesResponse};
use chat_domain::{ConversationId, PageSize, Violation};
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation, view};
use chat_stores::mongo::{HistoryRange, MessageEntry, Timeline};
use chat_stores::postgres::{Membership, Postgres};
use chat_stores::{Settings, SettingsError, StoreError};

/// The RPC `ListMessages`.
#[derive(Debug)]
pub struct ListMessages {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for ListMessages {
    type Request = ListMessagesRequest;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
            timeline: Timeline::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: ListMessagesRequest,
    ) -> Result<Answer<ListMessagesResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, page) = parse(&request)?;
        // Side by side: what was read is thrown away when the caller turns out not to be a member.
        let (membership, parts) = tokio::try_join!(
            self.postgres.lookup_membership(conversation, user),
            self.read(conversation, page)
        )?;
        let membership = membership.ok_or_else(Failure::conversation_not_found)?;
        let parts = match page.displaced(&parts, membership) {
            Some(range) => Parts {
                below: self.list(conversation, Some(range)).await?,
                ..parts
            },
            None => parts,
        };
        Ok(page.answer(parts, membership).into())
    }
}

impl ListMessages {
    async fn read(&self, conversation: ConversationId, page: Page) -> Result<Parts, StoreError> {
        let (below, above) =
            tokio::try_join!(self.list(conversation, page.below), self.list(conversation, page.above))?;
        Ok(Parts { below, above })
    }

    async fn list(
        &self,
        conversation: ConversationId,
        range: Option<(HistoryRange, usize)>,
    ) -> Result<Vec<MessageEntry>, StoreError> {
        match range {
            // One more than asked tells whether there are more.
            Some((range, limit)) => self.timeline.list_messages(conversation, range, limit + 1).await,
            None => Ok(Vec::new()),
        }
    }
}

/// What to read: at most so many messages below and above a seq.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Page {
    below: Option<(HistoryRange, usize)>,
    above: Option<(HistoryRange, usize)>,
}

/// What was read, each by increasing seq.
#[derive(Debug)]
struct Parts {
    below: Vec<MessageEntry>,
    above: Vec<MessageEntry>,
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
    let in_range = if seq < least {
        Err(Violation::new(format!("is {seq}; it must be at least {least}")))
    } else {
        Ok(())
    };
    let in_range = fields.take(field, in_range);
    let (Some(conversation), Some(size), Some(())) = (conversation, page_size.map(PageSize::get), in_range) else {
        return Err(fields.refuse());
    };
    let page = match request.position {
        None | Some(Position::BeforeSeq(_)) => Page {
            below: Some((HistoryRange::Before(seq), size)),
            above: None,
        },
        Some(Position::AfterSeq(_)) => Page {
            below: None,
            above: Some((HistoryRange::After(seq), size)),
        },
        // The seq itself counts to the upper half, which is the larger one when the size is odd.
        Some(Position::AroundSeq(_)) => Page {
            below: Some((HistoryRange::Before(seq), size / 2)).filter(|_| size > 1),
            above: Some((HistoryRange::After(seq - 1), size - size / 2)),
        },
    };
    Ok((conversation, page))
}

impl Page {
    /// What to read in place of the lower part when sends got in between the two reads and pushed what the page should
    /// show out of it: the messages up to the head that authorised the read.
    fn displaced(self, parts: &Parts, membership: Membership) -> Option<(HistoryRange, usize)> {
        let (_, limit) = self.below?;
        let hides = parts
            .below
            .last()
            .is_some_and(|newest| newest.revision > membership.revision);
        (hides && parts.below.len() > limit).then_some((HistoryRange::Before(membership.message_count + 1), limit))
    }

    /// Puts the page together. What lies above the head that authorised the read is not shown: it may be of a send that
    /// this read has not to know of yet.
    fn answer(self, parts: Parts, membership: Membership) -> ListMessagesResponse {
        let Parts { mut below, mut above } = parts;
        below.retain(|message| message.revision <= membership.revision);
        above.retain(|message| message.revision <= membership.revision);
        let has_more_before = match self.below {
            Some((_, limit)) => {
                let surplus = below.len().saturating_sub(limit);
                below.drain(..surplus);
                surplus > 0
            }
            // Whatever is at or below the seq where the page starts.
            None => {
                matches!(self.above, Some((HistoryRange::After(seq), _)) if seq > 0 && membership.message_count > 0)
            }
        };
        let has_more_after = match self.above {
            Some((_, limit)) => {
                let surplus = above.len() > limit;
                above.truncate(limit);
                surplus
            }
            // Whatever is at or above the seq where the page ends.
            None => matches!(self.below, Some((HistoryRange::Before(seq), _)) if membership.message_count >= seq),
        };
        let messages = below.into_iter().chain(above).map(view::message).collect();
        ListMessagesResponse {
            messages,
            has_more_before,
            has_more_after,
        }
    }
}

#[cfg(test)]
mod tests;
