//! Changes what a group shows, or how it works.

use chat_contract::v1::{GroupSettings, UpdateGroupRequest, UpdateGroupResponse};
use chat_domain::{AvatarUrl, ConversationId, GroupDescription, GroupName, RequestId, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_sealing::Sealer;
use chat_stores::mongo::Timeline;
use chat_stores::postgres::{GroupCall, GroupUpdate, Postgres};

use crate::change::complete;
use crate::parse;

/// The RPC `UpdateGroup`.
#[derive(Debug, FromSettings)]
pub struct UpdateGroup {
    postgres: Postgres,
    timeline: Timeline,
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
        let (Some(conversation), Some(request_id), Some(update)) = (conversation, request_id, update) else {
            return Err(fields.refuse());
        };
        let call = GroupCall {
            conversation,
            actor: &caller.user,
            request_hash: &request_id.hash(),
            content_hash: &parse::hash(&request),
        };
        let updated = self.postgres.update_group(call, &update).await??;
        let changed = complete(&self.postgres, &self.timeline, &caller.user, &[], updated).await?;
        changed.show(|conversation, _| UpdateGroupResponse {
            conversation: Some(conversation),
        })
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        Sealer::new(&self.postgres, &self.timeline)
            .seal_all(&conversations)
            .await;
    }
}

/// Reads what to set. None when something of it is wrong.
fn update(fields: &mut Fields, request: &UpdateGroupRequest) -> Option<GroupUpdate> {
    const SETTABLE: [&str; 4] = ["name", "description", "avatar_url", "settings"];
    let mask = request.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    let is_fine = !mask.is_empty() && mask.iter().all(|path| SETTABLE.contains(&path.as_str()));
    if !is_fine {
        let problem = "must name one or more of \"name\", \"description\", \"avatar_url\" and \"settings\"";
        fields.take::<()>("update_mask", Err(Violation::new(problem)));
    }
    let sets = |field: &str| mask.iter().any(|path| path == field);
    let mut update = GroupUpdate::default();
    let mut is_whole = is_fine;
    if sets("name") {
        update.name = fields.take("name", GroupName::parse(&request.name));
        is_whole &= update.name.is_some();
    }
    if sets("description") {
        update.description = fields.take("description", GroupDescription::parse(&request.description));
        is_whole &= update.description.is_some();
    }
    if sets("avatar_url") {
        update.avatar_url = fields.take("avatar_url", AvatarUrl::parse(&request.avatar_url));
        is_whole &= update.avatar_url.is_some();
    }
    if sets("settings") {
        update.settings = parse::settings(fields, request.settings.as_ref().unwrap_or(&GroupSettings::default()));
        is_whole &= update.settings.is_some();
    }
    is_whole.then_some(update)
}

#[cfg(test)]
mod tests;
