//! Ends a link into a group.

use chat_contract::v1::{RevokeGroupInviteRequest, RevokeGroupInviteResponse};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::invites;

/// The RPC `RevokeGroupInvite`.
#[derive(Debug, FromSettings)]
pub struct RevokeGroupInvite {
    postgres: Postgres,
}

impl Operation for RevokeGroupInvite {
    type Request = RevokeGroupInviteRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: RevokeGroupInviteRequest,
    ) -> Result<Answer<RevokeGroupInviteResponse>, Failure> {
        let caller = &context.caller()?.user;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let invite = fields.take("invite_id", request.invite_id.parse());
        let (Some(conversation), Some(invite)) = (conversation, invite) else {
            return Err(fields.refuse());
        };
        invites::done(self.postgres.revoke_invite(conversation, caller, invite).await??)?;
        Ok(RevokeGroupInviteResponse {}.into())
    }
}

#[cfg(test)]
mod tests;
