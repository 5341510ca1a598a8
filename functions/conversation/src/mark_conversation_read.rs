//! Moves the caller's read position forward.

use chat_contract::v1::{
    LiveEvent, MarkConversationReadRequest, MarkConversationReadResponse, ReadPositionMoved, live_event,
};
use chat_domain::{ConversationId, UserId, Violation};
use chat_rpc::{Answer, CallContext, Failure, Fields, Notice, Operation};
use chat_stores::postgres::{Postgres, ReadPosition};
use chat_stores::{Settings, SettingsError};

/// The RPC `MarkConversationRead`.
#[derive(Debug)]
pub struct MarkConversationRead {
    postgres: Postgres,
}

impl Operation for MarkConversationRead {
    type Request = MarkConversationReadRequest;

    const DELIVERS: bool = true;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

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
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        let answer = Answer::new(MarkConversationReadResponse {
            read_seq: position.read_seq,
            unread_count: position.unread_count,
        });
        if !position.changed {
            return Ok(answer);
        }
        let others = position.members.iter().filter(|member| *member != user.as_str());
        let others = others.filter_map(|member| member.parse().ok()).collect();
        Ok(answer
            .notify(notice(
                conversation,
                user,
                vec![user.clone()],
                &position,
                Some(position.unread_count),
            ))
            .notify(notice(conversation, user, others, &position, None)))
    }
}

fn parse(request: &MarkConversationReadRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let read_seq = if request.read_seq > 0 {
        Ok(request.read_seq)
    } else {
        Err(Violation::new(format!(
            "is {}; it must be at least 1",
            request.read_seq
        )))
    };
    match (conversation, fields.take("read_seq", read_seq)) {
        (Some(conversation), Some(read_seq)) => Ok((conversation, read_seq)),
        _ => Err(fields.refuse()),
    }
}

/// What a push of a moved read position says. How many are unread concerns nobody but the reader.
fn notice(
    conversation: ConversationId,
    reader: &UserId,
    recipients: Vec<UserId>,
    position: &ReadPosition,
    unread_count: Option<i64>,
) -> Notice {
    Notice {
        recipients,
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::ReadPositionMoved(ReadPositionMoved {
                user_id: reader.to_string(),
                read_seq: position.read_seq,
                unread_count,
            })),
            ..LiveEvent::default()
        },
        occurred_at: position.at,
    }
}

#[cfg(test)]
mod tests;
