//! Lists the caller's conversations, pinned ones first, then newest activity first.

use chat_contract::v1::{ArchivedFilter, ConversationKind, ListConversationsRequest, ListConversationsResponse};
use chat_domain::{ConversationId, ConversationsToken, PageSize, SEALED_PER_CALL_MAX, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_sealing::Sealer;
use chat_stores::mongo::Timeline;
use chat_stores::postgres::{ConversationsFilter, Postgres};

use crate::listed;

/// The RPC `ListConversations`.
#[derive(Debug, FromSettings)]
pub struct ListConversations {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for ListConversations {
    type Request = ListConversationsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListConversationsRequest,
    ) -> Result<Answer<ListConversationsResponse>, Failure> {
        let user = &context.caller()?.user;
        let mut fields = Fields::default();
        let page_size = fields.take("page_size", PageSize::parse(request.page_size));
        let after = fields.take("page_token", ConversationsToken::parse(&request.page_token));
        let archived = fields.take("archived", archived(request.archived));
        let groups = fields.take("kind", groups(request.kind));
        let (Some(page_size), Some(after), Some(archived), Some(groups)) = (page_size, after, archived, groups) else {
            return Err(fields.refuse());
        };
        let filter = ConversationsFilter {
            only_unread: request.only_unread,
            archived,
            groups,
        };
        let page = self
            .postgres
            .list_conversations(user, filter, page_size, after.as_ref())
            .await??;
        let mut listed = listed::complete(&self.postgres, &self.timeline, user, page.rows).await?;
        if filter.only_unread {
            // What Postgres has handed out may not be there.
            listed
                .conversations
                .retain(|it| it.unread_count > 0 || it.marked_unread);
        }
        let mut answer = Answer::new(ListConversationsResponse {
            conversations: listed.conversations,
            next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
        });
        answer.seal = listed.seal.into_iter().take(SEALED_PER_CALL_MAX).collect();
        Ok(answer)
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        let sealer = Sealer::new(&self.postgres, &self.timeline);
        sealer.seal_all(&conversations).await;
    }
}

/// Only archived ones, or none of them; None for all.
fn archived(filter: i32) -> Result<Option<bool>, Violation> {
    match ArchivedFilter::try_from(filter) {
        Ok(ArchivedFilter::Unspecified) => Ok(Some(false)),
        Ok(ArchivedFilter::Only) => Ok(Some(true)),
        Ok(ArchivedFilter::Included) => Ok(None),
        Err(_) => Err(Violation::new(format!("is {filter}; it must be one of ArchivedFilter"))),
    }
}

/// Only groups, or only direct conversations; None for all.
fn groups(kind: i32) -> Result<Option<bool>, Violation> {
    match ConversationKind::try_from(kind) {
        Ok(ConversationKind::Unspecified) => Ok(None),
        Ok(ConversationKind::Direct) => Ok(Some(false)),
        Ok(ConversationKind::Group) => Ok(Some(true)),
        Err(_) => Err(Violation::new(format!("is {kind}; it must be one of ConversationKind"))),
    }
}

#[cfg(test)]
mod tests;
