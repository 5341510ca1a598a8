//! Reads one message.

use chat_contract::v1::{GetMessageRequest, GetMessageResponse};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::mongo::Timeline;
use chat_stores::postgres::Postgres;

/// The RPC `GetMessage`.
#[derive(Debug, FromSettings)]
pub struct GetMessage {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for GetMessage {
    type Request = GetMessageRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: GetMessageRequest,
    ) -> Result<Answer<GetMessageResponse>, Failure> {
        let user = &context.caller()?.user;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let message = fields.take("message_id", request.message_id.parse());
        let (Some(conversation), Some(message)) = (conversation, message) else {
            return Err(fields.refuse());
        };
        // Side by side: what was read is thrown away when the caller turns out not to be a member.
        let (membership, message) = tokio::try_join!(
            self.postgres.lookup_membership(conversation, user),
            self.timeline.lookup_message(conversation, message),
        )?;
        let membership = membership.ok_or_else(Failure::conversation_not_found)?;
        let message = message
            .filter(|message| message.revision <= membership.revision && membership.window.shows(message.seq))
            .ok_or_else(|| Failure::not_found("MESSAGE_NOT_FOUND", "the conversation has no such message"))?;
        let elsewhere = chat_view::quoted_elsewhere(std::iter::once(&message));
        let quoted = self.timeline.list_previews(&elsewhere).await?;
        Ok(GetMessageResponse {
            message: chat_view::messages(vec![message], &quoted, membership.window).pop(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
