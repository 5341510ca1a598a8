//! Shows where a link into a group leads.

use chat_contract::v1::{GetGroupInviteRequest, GetGroupInviteResponse};
use chat_domain::ConversationId;
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::invites;

/// The RPC `GetGroupInvite`.
#[derive(Debug, FromSettings)]
pub struct GetGroupInvite {
    postgres: Postgres,
}

impl Operation for GetGroupInvite {
    type Request = GetGroupInviteRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: GetGroupInviteRequest,
    ) -> Result<Answer<GetGroupInviteResponse>, Failure> {
        let caller = &context.caller()?.user;
        let token = Fields::only("token", request.token.parse())?;
        let preview = self.postgres.lookup_invite(token, caller).await?;
        let preview = preview.ok_or_else(invites::not_found)?;
        let member_of = preview.member_of.map(|id| ConversationId::from(id).to_string());
        Ok(GetGroupInviteResponse {
            name: preview.name,
            description: preview.description,
            avatar_url: preview.avatar_url,
            member_count: preview.member_count,
            needs_approval: preview.needs_approval && member_of.is_none(),
            has_asked: preview.has_asked && member_of.is_none(),
            conversation_id: member_of.unwrap_or_default(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
