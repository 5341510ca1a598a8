//! Changes what a conversation is to the caller alone.

use chat_contract::v1::{ConversationSettings, UpdateConversationSettingsRequest, UpdateConversationSettingsResponse};
use chat_domain::{ConversationId, Violation, at_least};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{OwnUpdate, Postgres};

use crate::own;

/// The RPC `UpdateConversationSettings`.
#[derive(Debug, FromSettings)]
pub struct UpdateConversationSettings {
    postgres: Postgres,
}

impl Operation for UpdateConversationSettings {
    type Request = UpdateConversationSettingsRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: UpdateConversationSettingsRequest,
    ) -> Result<Answer<UpdateConversationSettingsResponse>, Failure> {
        let user = &context.caller()?.user;
        let (conversation, seen, update) = parse(&request)?;
        let updated = self.postgres.update_own(conversation, user, seen, &update).await??;
        let (now, notice) = own::complete(conversation, user, updated)?;
        let answer = Answer::new(UpdateConversationSettingsResponse {
            settings: Some(chat_view::settings(now)),
            marked_unread: now.marked_unread,
        });
        Ok(notice.into_iter().fold(answer, Answer::notify))
    }
}

fn parse(request: &UpdateConversationSettingsRequest) -> Result<(ConversationId, i64, OwnUpdate), Failure> {
    let mut fields = Fields::default();
    let conversation = fields.take("conversation_id", request.conversation_id.parse());
    let update = update(&mut fields, request);
    let seen = fields.take("settings_revision", at_least(request.settings_revision, 0));
    match (conversation, seen, update) {
        (Some(conversation), Some(seen), Some(update)) => Ok((conversation, seen, update)),
        _ => Err(fields.refuse()),
    }
}

/// Reads what to set. None when something of it is wrong.
fn update(fields: &mut Fields, request: &UpdateConversationSettingsRequest) -> Option<OwnUpdate> {
    const SETTABLE: [&str; 3] = ["muted_until", "archived", "pinned"];
    let mask = request.update_mask.as_ref().map_or(&[][..], |mask| &mask.paths);
    if mask.is_empty() || !mask.iter().all(|path| SETTABLE.contains(&path.as_str())) {
        let problem = "must name one or more of \"muted_until\", \"archived\" and \"pinned\"";
        return fields.take("update_mask", Err(Violation::new(problem)));
    }
    let sets = |field: &str| mask.iter().any(|path| path == field);
    let ConversationSettings {
        muted_until,
        archived,
        pinned,
        ..
    } = request.settings.unwrap_or_default();
    let muted_until = if sets("muted_until") {
        let until = muted_until.map(own::time).transpose();
        Some(fields.take("settings.muted_until", until)?)
    } else {
        None
    };
    Some(OwnUpdate {
        muted_until,
        archived: sets("archived").then_some(archived),
        pinned: sets("pinned").then_some(pinned),
        marked_unread: None,
    })
}

#[cfg(test)]
mod tests;
