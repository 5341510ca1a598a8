//! Makes a member an admin, or an admin a member.

use chat_contract::v1::{GroupRole, SetGroupMemberRoleRequest, SetGroupMemberRoleResponse};
use chat_domain::{ConversationId, RequestId, Role, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::GroupCall;

use crate::change::Groups;
use crate::parse;

/// The RPC `SetGroupMemberRole`.
#[derive(Debug, FromSettings)]
pub struct SetGroupMemberRole {
    groups: Groups,
}

impl Operation for SetGroupMemberRole {
    type Request = SetGroupMemberRoleRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: SetGroupMemberRoleRequest,
    ) -> Result<Answer<SetGroupMemberRoleResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let user = fields.take("user_id", caller.parse_other(&request.user_id));
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let role = fields.take("role", parse_role(request.role));
        let (Some(conversation), Some(user), Some(request_id), Some(role)) = (conversation, user, request_id, role)
        else {
            return Err(fields.refuse());
        };
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let set = self.groups.postgres.set_group_role(call, &user, role).await??;
        let changed = self.groups.complete(&caller.user, &[], set).await?;
        changed.show(|conversation, _| SetGroupMemberRoleResponse {
            conversation: Some(conversation),
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

fn parse_role(role: i32) -> Result<Role, Violation> {
    match GroupRole::try_from(role) {
        Ok(GroupRole::Member) => Ok(Role::Member),
        Ok(GroupRole::Admin) => Ok(Role::Admin),
        Ok(GroupRole::Owner) => Err(Violation::new("must not be the owner's; call TransferGroupOwnership")),
        Ok(GroupRole::Unspecified) | Err(_) => Err(Violation::new(format!(
            "is {role}; it must be GROUP_ROLE_MEMBER or GROUP_ROLE_ADMIN"
        ))),
    }
}

#[cfg(test)]
mod tests;
