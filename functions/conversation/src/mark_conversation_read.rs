//! Moves the caller's read position forward.

use chat_contract::v1::{MarkConversationReadRequest, MarkConversationReadResponse};
use chat_domain::{ConversationId, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `MarkConversationRead`.
#[derive(Debug, FromSettings)]
pub struct MarkConversationRead {
    postgres: Postgres,
}

impl Operation for MarkConversationRead {
    type Request = MarkConversationReadRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: MarkConversationReadRequest,
    ) -> Result<Answer<MarkConversationReadResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, read_seq) = parse(&request)?;
        let position = self
            .postgres
            .mark_conversation_read(conversation, user, read_seq)
            .await??
            .ok_or_else(Failure::conversation_not_found)?;
        let answer = Answer::new(MarkConversationReadResponse {
            read_seq: position.read_seq,
            unread_count: position.unread_count,
            counted_seq: position.counted_seq,
            settings: position.unflagged.map(|changed| chat_view::settings(changed.own)),
        });
        if !position.announce {
            let unflagged = position.unflagged.as_ref();
            let notice = unflagged.map(|own| chat_view::conversation_settings_changed(conversation, user, own));
            return Ok(notice.into_iter().fold(answer, Answer::notify));
        }
        let notices = chat_view::read_position_moved(conversation, user, &position);
        Ok(notices.into_iter().fold(answer, Answer::notify))
    }
}

fn parse(request: &MarkConversationReadRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let read_seq = fields.take("read_seq", at_least(request.read_seq, 1));
    match (conversation, read_seq) {
        (Some(conversation), Some(read_seq)) => Ok((conversation, read_seq)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
