//! Opens the one direct conversation of two friends, or finds it.

use chat_contract::v1::{
    ConversationOpened, LiveEvent, OpenDirectConversationRequest, OpenDirectConversationResponse, live_event,
};
use chat_domain::ConversationId;
use chat_rpc::{Answer, CallContext, Failure, Fields, Notice, Operation, view};
use chat_stores::postgres::Postgres;
use chat_stores::{Settings, SettingsError};

/// The RPC `OpenDirectConversation`.
#[derive(Debug)]
pub struct OpenDirectConversation {
    postgres: Postgres,
}

impl Operation for OpenDirectConversation {
    type Request = OpenDirectConversationRequest;

    const DELIVERS: bool = true;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

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
            .await?
            .ok_or_else(not_friends)?;
        let row = self
            .postgres
            .lookup_conversation(opened.conversation, &caller.user)
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        let occurred_at = row.created_at;
        let conversation = view::conversation(row);
        let answer = Answer::new(OpenDirectConversationResponse {
            conversation: Some(conversation.clone()),
            created: opened.created,
        });
        if !opened.created {
            return Ok(answer);
        }
        Ok(answer.notify(Notice {
            recipients: vec![caller.user.clone(), other],
            event: LiveEvent {
                conversation_id: conversation.conversation_id.clone(),
                event: Some(live_event::Event::ConversationOpened(ConversationOpened {
                    conversation: Some(conversation),
                })),
                ..LiveEvent::default()
            },
            occurred_at,
        }))
    }
}

fn not_friends() -> Failure {
    Failure::failed_precondition(
        "NOT_FRIENDS",
        "you can open a direct conversation with friends only; call RequestFriend",
    )
}

#[cfg(test)]
mod tests;
