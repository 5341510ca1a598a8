//! Deletes a group, for every call at once.

use chat_contract::v1::{DeleteGroupRequest, DeleteGroupResponse};
use chat_domain::{ConversationId, RequestId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `DeleteGroup`.
#[derive(Debug, FromSettings)]
pub struct DeleteGroup {
    groups: Groups,
}

impl Operation for DeleteGroup {
    type Request = DeleteGroupRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: DeleteGroupRequest,
    ) -> Result<Answer<DeleteGroupResponse>, Failure> {
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
        let deleted = self.groups.postgres.delete_group(call).await??;
        let changed = self.groups.complete(&caller.user, &[], deleted).await?;
        Ok(changed.answer(DeleteGroupResponse {}))
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
