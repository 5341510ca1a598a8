//! Adds friends of the caller to a group.

use chat_contract::v1::{AddGroupMembersRequest, AddGroupMembersResponse};
use chat_domain::{ConversationId, GROUP_MEMBERS_PER_CALL_MAX, RequestId, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `AddGroupMembers`.
#[derive(Debug, FromSettings)]
pub struct AddGroupMembers {
    groups: Groups,
}

impl Operation for AddGroupMembers {
    type Request = AddGroupMembersRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: AddGroupMembersRequest,
    ) -> Result<Answer<AddGroupMembersResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let users = if request.user_ids.is_empty() {
            fields.take("user_ids", Err(Violation::new("must name whom to add")))
        } else {
            parse::others(&mut fields, caller, &request.user_ids, GROUP_MEMBERS_PER_CALL_MAX)
        };
        let (Some(conversation), Some(request_id), Some(users)) = (conversation, request_id, users) else {
            return Err(fields.refuse());
        };
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let added = self.groups.postgres.add_group_members(call, &users).await??;
        let changed = self.groups.complete(&caller.user, &users, added).await?;
        changed.show(|conversation, not_added_user_ids| AddGroupMembersResponse {
            conversation: Some(conversation),
            not_added_user_ids,
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
