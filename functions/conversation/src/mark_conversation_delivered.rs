//! Says that messages have reached a device of the caller's.

use chat_contract::v1::{
    DeliveredPositionMoved, LiveEvent, MarkConversationDeliveredRequest, MarkConversationDeliveredResponse, live_event,
};
use chat_domain::{ConversationId, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Notice, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `MarkConversationDelivered`.
#[derive(Debug, FromSettings)]
pub struct MarkConversationDelivered {
    postgres: Postgres,
}

impl Operation for MarkConversationDelivered {
    type Request = MarkConversationDeliveredRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: MarkConversationDeliveredRequest,
    ) -> Result<Answer<MarkConversationDeliveredResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, delivered_seq) = parse(&request)?;
        let delivered = self
            .postgres
            .mark_conversation_delivered(conversation, user, delivered_seq)
            .await??
            .ok_or_else(Failure::conversation_not_found)?;
        let answer = Answer::new(MarkConversationDeliveredResponse {
            delivered_seq: delivered.delivered_seq,
        });
        if delivered.members.is_empty() {
            return Ok(answer);
        }
        Ok(answer.notify(Notice {
            recipients: delivered.members.into(),
            event: LiveEvent {
                conversation_id: conversation.to_string(),
                event: Some(live_event::Event::DeliveredPositionMoved(DeliveredPositionMoved {
                    user_id: user.to_string(),
                    delivered_seq: delivered.delivered_seq,
                })),
                ..LiveEvent::default()
            },
            occurred_at: delivered.at,
        }))
    }
}

fn parse(request: &MarkConversationDeliveredRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let delivered_seq = fields.take("delivered_seq", at_least(request.delivered_seq, 1));
    match (conversation, delivered_seq) {
        (Some(conversation), Some(delivered_seq)) => Ok((conversation, delivered_seq)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
