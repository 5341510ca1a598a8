//! Clears a conversation's history for the caller alone.

use chat_contract::v1::{ClearConversationHistoryRequest, ClearConversationHistoryResponse};
use chat_domain::{ConversationId, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::own;

/// The RPC `ClearConversationHistory`.
#[derive(Debug, FromSettings)]
pub struct ClearConversationHistory {
    postgres: Postgres,
}

impl Operation for ClearConversationHistory {
    type Request = ClearConversationHistoryRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: ClearConversationHistoryRequest,
    ) -> Result<Answer<ClearConversationHistoryResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, through_seq) = parse(&request)?;
        let withdrawn = self
            .postgres
            .clear_history(conversation, user, through_seq)
            .await??
            .ok_or_else(Failure::conversation_not_found)?;
        let answer = Answer::new(ClearConversationHistoryResponse {
            settings: Some(chat_view::settings(withdrawn.own)),
            unread_count: withdrawn.position.unread_count,
            counted_seq: withdrawn.position.counted_seq,
        });
        let notices = own::withdrawn(conversation, user, &withdrawn);
        Ok(notices.into_iter().fold(answer, Answer::notify))
    }
}

fn parse(request: &ClearConversationHistoryRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let through_seq = fields.take("through_seq", at_least(request.through_seq, 1));
    match (conversation, through_seq) {
        (Some(conversation), Some(through_seq)) => Ok((conversation, through_seq)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
