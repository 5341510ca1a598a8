//! Opens the one direct conversation of two friends, or finds it.

use chat_contract::v1::{
    ConversationOpened, LiveEvent, OpenDirectConversationRequest, OpenDirectConversationResponse, Poke, live_event,
};
use chat_domain::{CONVERSATIONS_MAX, ConversationId, UserId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Notice, Operation};
use chat_stores::postgres::{Opened, Postgres};

/// The RPC `OpenDirectConversation`.
#[derive(Debug, FromSettings)]
pub struct OpenDirectConversation {
    postgres: Postgres,
}

impl Operation for OpenDirectConversation {
    type Request = OpenDirectConversationRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: OpenDirectConversationRequest,
    ) -> Result<Answer<OpenDirectConversationResponse>, Failure> {
        let caller = context.caller()?;
        let other = Fields::only("user_id", caller.parse_other(&request.user_id))?;
        let opened = self
            .postgres
            .open_direct_conversation(ConversationId::generate(), &caller.user, &other)
            .await??;
        let opened = match opened {
            Opened::Open(opened) => opened,
            Opened::NotFriends => return Err(not_friends()),
            Opened::TooManyConversations => return Err(too_many_conversations()),
        };
        let row = self
            .postgres
            .lookup_conversation(opened.conversation, &caller.user)
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        let occurred_at = row.conversation.created_at;
        // What the caller has read of what was said meanwhile is nobody else's business.
        let is_new = opened.created && row.conversation.revision == 0;
        let conversation = chat_view::conversation(row.conversation.clone());
        let answer = Answer::new(OpenDirectConversationResponse {
            conversation: Some(chat_view::own_conversation(row.conversation)),
            created: opened.created,
        });
        // By a repeat again: the first call may have died before it could tell. What has become of the conversation since is
        // not the same for both, so a repeat tells only where in their feed it is.
        let event = if is_new {
            live_event::Event::ConversationOpened(ConversationOpened {
                conversation: Some(conversation.clone()),
            })
        } else {
            live_event::Event::Poke(Poke {})
        };
        let notice = |recipient: UserId, feed_revision| Notice {
            recipients: vec![recipient].into(),
            event: LiveEvent {
                conversation_id: conversation.conversation_id.clone(),
                event: Some(event.clone()),
                feed_revision,
                ..LiveEvent::default()
            },
            occurred_at,
        };
        Ok(answer
            .notify(notice(caller.user.clone(), opened.feed_revision))
            .notify(notice(other, opened.other_feed_revision)))
    }
}

fn too_many_conversations() -> Failure {
    Failure::resource_exhausted(
        "CONVERSATION_LIMIT",
        format!("one of you has {CONVERSATIONS_MAX} conversations, the most that are allowed"),
    )
    .with_metadata("limit", CONVERSATIONS_MAX.to_string())
}

fn not_friends() -> Failure {
    Failure::failed_precondition(
        "NOT_FRIENDS",
        "you can open a direct conversation with friends only; call RequestFriend",
    )
}

#[cfg(test)]
mod tests;
