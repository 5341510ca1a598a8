//! Makes a link into a group.

use chat_contract::Duration;
use chat_contract::v1::{CreateGroupInviteRequest, CreateGroupInviteResponse};
use chat_domain::{INVITE_USES_MAX, INVITE_VALID_FOR, InviteId, InviteToken, RequestId, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{NewInvite, Postgres};

use crate::{invites, parse};

/// The RPC `CreateGroupInvite`.
#[derive(Debug, FromSettings)]
pub struct CreateGroupInvite {
    postgres: Postgres,
}

impl Operation for CreateGroupInvite {
    type Request = CreateGroupInviteRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: CreateGroupInviteRequest,
    ) -> Result<Answer<CreateGroupInviteResponse>, Failure> {
        let caller = &context.caller()?.user;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let request_id = fields.take("request_id", request.request_id.parse::<RequestId>());
        let valid_s = fields.take("valid_for", request.valid_for.as_ref().map(valid_s).transpose());
        let max_uses = fields.take("max_uses", max_uses(request.max_uses));
        let (Some(conversation), Some(request_id), Some(valid_s), Some(max_uses)) =
            (conversation, request_id, valid_s, max_uses)
        else {
            return Err(fields.refuse());
        };
        let invite = NewInvite {
            conversation,
            creator: caller,
            request: &request_id,
            request_hash: &parse::hash(&request),
            candidate: InviteId::generate(),
            token: draw_token(),
            valid_s,
            max_uses,
            needs_approval: request.needs_approval,
        };
        let made = invites::done(self.postgres.create_invite(&invite).await??)?;
        let invite = Some(invites::invite(made));
        Ok(CreateGroupInviteResponse { invite }.into())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where tokens are made")]
fn draw_token() -> InviteToken {
    InviteToken::from_bytes(rand::random())
}

/// For how many seconds an invite can be used; parts of one count as a whole one.
fn valid_s(valid_for: &Duration) -> Result<i64, Violation> {
    let seconds = valid_for.seconds.saturating_add(i64::from(valid_for.nanos > 0));
    let (least, most) = (INVITE_VALID_FOR.start().as_secs(), INVITE_VALID_FOR.end().as_secs());
    match u64::try_from(seconds) {
        Ok(within) if (least..=most).contains(&within) && valid_for.nanos >= 0 => Ok(seconds),
        _ => Err(Violation::new(format!(
            "is {} s and {} ns; it must be {least} to {most} s, or unset for ever",
            valid_for.seconds, valid_for.nanos
        ))),
    }
}

/// How many may use an invite; None: any number.
fn max_uses(value: i32) -> Result<Option<i32>, Violation> {
    match value {
        0 => Ok(None),
        1..=INVITE_USES_MAX => Ok(Some(value)),
        _ => Err(Violation::new(format!("is {value}; it must be 0 to {INVITE_USES_MAX}"))),
    }
}

#[cfg(test)]
mod tests;
