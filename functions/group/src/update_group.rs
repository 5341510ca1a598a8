//! Changes what a group shows, or how it works.

use chat_contract::v1::{UpdateGroupRequest, UpdateGroupResponse};
use chat_domain::{AvatarUrl, ConversationId, GroupDescription, GroupName, RequestId, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{GroupCall, GroupUpdate};

use crate::change::Groups;
use crate::parse;

/// The RPC `UpdateGroup`.
#[derive(Debug, FromSettings)]
pub struct UpdateGroup {
    groups: Groups,
}

impl Operation for UpdateGroup {
    type Request = UpdateGroupRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: UpdateGroupRequest,
    ) -> Result<Answer<UpdateGroupResponse>, Failure> {
        let caller = context.caller()?;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let update = update(&mut fields, &request);
        let (Some(conversation), Some(request_id)) = (conversation, request_id) else {
            return Err(fields.refuse());
        };
        let update = fields.accept(update)?;
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let updated = self.groups.postgres.update_group(call, &update).await??;
        let changed = self.groups.complete(&caller.user, &[], updated).await?;
        changed.show(|conversation, _| UpdateGroupResponse {
            conversation: Some(conversation),
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

/// What can be set.
const PATHS: [&str; 7] = [
    "name",
    "description",
    "avatar_url",
    "settings",
    "settings.member_permissions",
    "settings.admin_permissions",
    "settings.shows_history",
];

/// Reads what to set, and notes what is wrong with it. Of what is not to be set, nothing is read.
fn update(fields: &mut Fields, request: &UpdateGroupRequest) -> GroupUpdate {
    let mask = request.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    let unknown = mask.iter().find(|path| !PATHS.contains(&path.as_str()));
    if mask.is_empty() || unknown.is_some() {
        let named = unknown.map_or_else(|| "is empty".to_owned(), |path| format!("names {path:?}"));
        let problem = format!("{named}; it must name one or more of {}", PATHS.join(", "));
        fields.take::<()>("update_mask", Err(Violation::new(problem)));
    }
    let sets = |field: &str| mask.iter().any(|path| path == field);
    let sets_all = sets("settings");
    let settings = request.settings.clone().unwrap_or_default();
    let name = sets("name").then(|| fields.take("name", GroupName::parse(&request.name)));
    let description =
        sets("description").then(|| fields.take("description", GroupDescription::parse(&request.description)));
    let avatar_url = sets("avatar_url").then(|| fields.take("avatar_url", AvatarUrl::parse(&request.avatar_url)));
    let member_may = (sets_all || sets("settings.member_permissions")).then(|| parse::for_members(fields, &settings));
    let admin_may = (sets_all || sets("settings.admin_permissions")).then(|| parse::for_admins(fields, &settings));
    GroupUpdate {
        name: name.flatten(),
        description: description.flatten(),
        avatar_url: avatar_url.flatten(),
        member_may: member_may.flatten(),
        admin_may: admin_may.flatten(),
        shows_history: (sets_all || sets("settings.shows_history")).then_some(settings.shows_history),
    }
}

#[cfg(test)]
mod tests;
