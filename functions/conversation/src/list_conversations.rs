//! Lists the caller's conversations, newest activity first.

use chat_contract::v1::{ListConversationsRequest, ListConversationsResponse};
use chat_domain::{ConversationId, ConversationsToken, PageSize, SEALED_PER_CALL_MAX};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_sealing::Sealer;
use chat_stores::mongo::Timeline;
use chat_stores::postgres::Postgres;

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
        let (Some(page_size), Some(after)) = (page_size, after) else {
            return Err(fields.refuse());
        };
        let page = self
            .postgres
            .list_conversations(user, page_size, after.as_ref())
            .await??;
        let listed = listed::complete(&self.postgres, &self.timeline, user, page.rows).await?;
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

#[cfg(test)]
mod tests;
