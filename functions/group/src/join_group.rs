//! Joins a group by a link, or asks to.

use chat_contract::v1::{JoinGroupRequest, JoinGroupResponse, JoinRequested, LiveEvent, live_event};
use chat_domain::{ConversationId, RequestId, UserId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Notice, Operation};
use chat_stores::postgres::{GroupChanged, Joined};
use chrono::{DateTime, Utc};

use crate::change::Groups;
use crate::{invites, parse};

/// The RPC `JoinGroup`.
#[derive(Debug, FromSettings)]
pub struct JoinGroup {
    groups: Groups,
}

impl Operation for JoinGroup {
    type Request = JoinGroupRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: JoinGroupRequest,
    ) -> Result<Answer<JoinGroupResponse>, Failure> {
        let caller = &context.caller()?.user;
        let mut fields = Fields::default();
        let token = fields.take("token", request.token.parse());
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let (Some(token), Some(request_id)) = (token, request_id) else {
            return Err(fields.refuse());
        };
        let (request_hash, content_hash) = (request_id.hash(), parse::hash(&request));
        let joined = self
            .groups
            .postgres
            .join_group(token, caller, &request_hash, &content_hash);
        match joined.await?? {
            Joined::Requested { conversation, told, at } => {
                let notice = at.and_then(|at| asked(conversation, caller, told, at));
                Ok(Answer {
                    notices: notice.into_iter().collect(),
                    ..Answer::new(JoinGroupResponse::default())
                })
            }
            Joined::TooManyAsk => Err(invites::too_many_ask()),
            Joined::Changed(GroupChanged::NotFound) => Err(invites::not_found()),
            Joined::Changed(changed) => {
                let about = std::slice::from_ref(caller);
                let changed = self.groups.complete(caller, about, changed).await?;
                changed.show(|conversation, _| JoinGroupResponse {
                    conversation: Some(conversation),
                })
            }
        }
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

/// What those who manage invites are told. None when there are none.
fn asked(
    conversation: ConversationId,
    caller: &UserId,
    told: Vec<UserId>,
    occurred_at: DateTime<Utc>,
) -> Option<Notice> {
    (!told.is_empty()).then(|| Notice {
        recipients: told.into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::JoinRequested(JoinRequested {
                user_id: caller.to_string(),
            })),
            ..LiveEvent::default()
        },
        occurred_at,
    })
}

#[cfg(test)]
mod tests;
