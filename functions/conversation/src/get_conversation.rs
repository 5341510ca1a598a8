//! Reads one conversation as the caller sees it.

use chat_contract::v1::{GetConversationRequest, GetConversationResponse};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::Postgres;

use crate::listed;

/// The RPC `GetConversation`.
#[derive(Debug, FromSettings)]
pub struct GetConversation {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for GetConversation {
    type Request = GetConversationRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: GetConversationRequest,
    ) -> Result<Answer<GetConversationResponse>, Failure> {
        let user = &context.caller()?.user;
        let conversation = Fields::only("conversation_id", request.conversation_id.parse())?;
        let row = self
            .postgres
            .lookup_conversation(conversation, user)
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        let mut listed = listed::complete(&self.postgres, &self.timeline, user, vec![row]).await?;
        Ok(GetConversationResponse {
            conversation: listed.conversations.pop(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
