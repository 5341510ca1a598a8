//! Reads one conversation as the caller sees it.

use chat_contract::v1::{GetConversationRequest, GetConversationResponse};
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation, view};
use chat_stores::postgres::Postgres;
use chat_stores::{Settings, SettingsError};

/// The RPC `GetConversation`.
#[derive(Debug)]
pub struct GetConversation {
    postgres: Postgres,
}

impl Operation for GetConversation {
    type Request = GetConversationRequest;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

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
        Ok(GetConversationResponse {
            conversation: Some(view::conversation(row)),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
