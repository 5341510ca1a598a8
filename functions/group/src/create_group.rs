//! Creates a group of the caller and friends of theirs.

use chat_contract::v1::{CreateGroupRequest, CreateGroupResponse};
use chat_domain::{AvatarUrl, ConversationId, GROUP_MEMBERS_PER_CALL_MAX, GroupDescription, GroupName, GroupSettings};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::NewGroup;

use crate::change::Groups;
use crate::parse;

/// First members besides the caller, at most: with them, as many as one call names.
const OTHERS_MAX: usize = GROUP_MEMBERS_PER_CALL_MAX - 1;

/// The RPC `CreateGroup`.
#[derive(Debug, FromSettings)]
pub struct CreateGroup {
    groups: Groups,
}

impl Operation for CreateGroup {
    type Request = CreateGroupRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: CreateGroupRequest,
    ) -> Result<Answer<CreateGroupResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let request_id = fields.take("request_id", request.request_id.parse());
        let name = fields.take("name", GroupName::parse(&request.name));
        let description = fields.take("description", GroupDescription::parse(&request.description));
        let avatar_url = fields.take("avatar_url", AvatarUrl::parse(&request.avatar_url));
        let users = parse::others(&mut fields, caller, &request.user_ids, OTHERS_MAX);
        let settings = match &request.settings {
            Some(settings) => parse::settings(&mut fields, settings),
            None => Some(GroupSettings::default()),
        };
        let (Some(request_id), Some(name), Some(description), Some(avatar_url), Some(users), Some(settings)) =
            (request_id, name, description, avatar_url, users, settings)
        else {
            return Err(fields.refuse());
        };
        let group = NewGroup {
            candidate: ConversationId::generate(),
            creator: &caller.user,
            request: &request_id,
            request_hash: &parse::hash(&request),
            name: &name,
            description: &description,
            avatar_url: &avatar_url,
            settings,
            users: &users,
        };
        let created = self.groups.postgres.create_group(&group).await??;
        let changed = self.groups.complete(&caller.user, &users, created).await?;
        changed.show(|conversation, not_added_user_ids| CreateGroupResponse {
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
