//! Makes another member the owner of the caller's group.

use chat_contract::v1::{TransferGroupOwnershipRequest, TransferGroupOwnershipResponse};
use chat_domain::{ConversationId, RequestId, Role};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `TransferGroupOwnership`.
#[derive(Debug, FromSettings)]
pub struct TransferGroupOwnership {
    groups: Groups,
}

impl Operation for TransferGroupOwnership {
    type Request = TransferGroupOwnershipRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: TransferGroupOwnershipRequest,
    ) -> Result<Answer<TransferGroupOwnershipResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let user = fields.take("user_id", caller.parse_other(&request.user_id));
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let (Some(conversation), Some(user), Some(request_id)) = (conversation, user, request_id) else {
            return Err(fields.refuse());
        };
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let transferred = self.groups.postgres.set_group_role(call, &user, Role::Owner).await??;
        let changed = self.groups.complete(&caller.user, &[], transferred).await?;
        changed.show(|conversation, _| TransferGroupOwnershipResponse {
            conversation: Some(conversation),
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
