//! Lets somebody into a group who asks to join, or not.

use chat_contract::v1::{AnswerJoinRequestRequest, AnswerJoinRequestResponse};
use chat_domain::{CONVERSATIONS_MAX, ConversationId, RequestId};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{GroupCall, GroupChanged};

use crate::change::Groups;
use crate::parse;

/// The RPC `AnswerJoinRequest`.
#[derive(Debug, FromSettings)]
pub struct AnswerJoinRequest {
    groups: Groups,
}

impl Operation for AnswerJoinRequest {
    type Request = AnswerJoinRequestRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: AnswerJoinRequestRequest,
    ) -> Result<Answer<AnswerJoinRequestResponse>, Failure> {
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
        let answered = self.groups.postgres.answer_join_request(call, &user, request.approve);
        match answered.await?? {
            GroupChanged::NoMember => Err(Failure::not_found(
                "JOIN_REQUEST_NOT_FOUND",
                "the user does not ask to join this group",
            )),
            GroupChanged::TooManyConversations => Err(Failure::failed_precondition(
                "USER_CONVERSATION_LIMIT",
                format!("the user has {CONVERSATIONS_MAX} conversations, the most that are allowed"),
            )),
            answered => {
                // Who is turned away hears nothing of it, whatever they were before.
                let about = if request.approve { vec![user] } else { Vec::new() };
                let changed = self.groups.complete(&caller.user, &about, answered).await?;
                changed.show(|conversation, _| AnswerJoinRequestResponse {
                    conversation: Some(conversation),
                })
            }
        }
    }

    async fn seal(&self, conversations: Vec<ConversationId>) {
        self.groups.seal(&conversations).await;
    }
}

#[cfg(test)]
mod tests;
