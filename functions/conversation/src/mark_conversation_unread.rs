//! Flags a conversation as unread, for the caller alone.

use chat_contract::v1::{MarkConversationUnreadRequest, MarkConversationUnreadResponse};
use chat_domain::{ConversationId, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{OwnUpdate, Postgres};

use crate::own;

/// The RPC `MarkConversationUnread`.
#[derive(Debug, FromSettings)]
pub struct MarkConversationUnread {
    postgres: Postgres,
}

impl Operation for MarkConversationUnread {
    type Request = MarkConversationUnreadRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: MarkConversationUnreadRequest,
    ) -> Result<Answer<MarkConversationUnreadResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, seen) = parse(&request)?;
        let update = OwnUpdate {
            marked_unread: Some(true),
            ..OwnUpdate::default()
        };
        let updated = self.postgres.update_own(conversation, user, seen, &update).await??;
        let (now, notice) = own::complete(conversation, user, updated)?;
        let answer = Answer::new(MarkConversationUnreadResponse {
            settings: Some(chat_view::settings(now)),
            marked_unread: now.marked_unread,
        });
        Ok(notice.into_iter().fold(answer, Answer::notify))
    }
}

fn parse(request: &MarkConversationUnreadRequest) -> Result<(ConversationId, i64), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let seen = fields.take("settings_revision", at_least(request.settings_revision, 0));
    match (conversation, seen) {
        (Some(conversation), Some(seen)) => Ok((conversation, seen)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
