//! Ends the caller's own membership of a group.

use chat_contract::v1::{LeaveGroupRequest, LeaveGroupResponse};
use chat_domain::{ConversationId, RequestId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `LeaveGroup`.
#[derive(Debug, FromSettings)]
pub struct LeaveGroup {
    groups: Groups,
}

impl Operation for LeaveGroup {
    type Request = LeaveGroupRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: LeaveGroupRequest,
    ) -> Result<Answer<LeaveGroupResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let (Some(conversation), Some(request_id)) = (conversation, request_id) else {
            return Err(fields.refuse());
        };
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let left = self.groups.postgres.leave_group(call).await??;
        let about = std::slice::from_ref(&caller.user);
        let changed = self.groups.complete(&caller.user, about, left).await?;
        Ok(changed.answer(LeaveGroupResponse {}))
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
