//! Removes a member of a lower role from a group.

use chat_contract::v1::{RemoveGroupMemberRequest, RemoveGroupMemberResponse};
use chat_domain::{ConversationId, RequestId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `RemoveGroupMember`.
#[derive(Debug, FromSettings)]
pub struct RemoveGroupMember {
    groups: Groups,
}

impl Operation for RemoveGroupMember {
    type Request = RemoveGroupMemberRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: RemoveGroupMemberRequest,
    ) -> Result<Answer<RemoveGroupMemberResponse>, Failure> {
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
        let removed = self.groups.postgres.remove_group_member(call, &user).await??;
        let changed = self.groups.complete(&caller.user, &[user], removed).await?;
        changed.show(|conversation, _| RemoveGroupMemberResponse {
            conversation: Some(conversation),
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
