//! Hides a conversation from the caller's own lists until something is said there.

use chat_contract::v1::{HideConversationRequest, HideConversationResponse};
use chat_domain::{ConversationId, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::own;

/// The RPC `HideConversation`.
#[derive(Debug, FromSettings)]
pub struct HideConversation {
    postgres: Postgres,
}

impl Operation for HideConversation {
    type Request = HideConversationRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: HideConversationRequest,
    ) -> Result<Answer<HideConversationResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, through_seq) = parse(&request)?;
        let withdrawn = self
            .postgres
            .hide_conversation(conversation, user, through_seq)
            .await??
            .ok_or_else(Failure::conversation_not_found)?;
        let answer = Answer::new(HideConversationResponse {
            settings: Some(chat_view::settings(withdrawn.own)),
        });
        let notices = own::withdrawn(conversation, user, &withdrawn);
        Ok(notices.into_iter().fold(answer, Answer::notify))
    }
}

fn parse(request: &HideConversationRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let through_seq = fields.take("through_seq", at_least(request.through_seq, 0));
    match (conversation, through_seq) {
        (Some(conversation), Some(through_seq)) => Ok((conversation, through_seq)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
