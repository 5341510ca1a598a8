//! Lists the links into a group that can be used.

use chat_contract::v1::{ListGroupInvitesRequest, ListGroupInvitesResponse};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::invites;

/// The RPC `ListGroupInvites`.
#[derive(Debug, FromSettings)]
pub struct ListGroupInvites {
    postgres: Postgres,
}

impl Operation for ListGroupInvites {
    type Request = ListGroupInvitesRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListGroupInvitesRequest,
    ) -> Result<Answer<ListGroupInvitesResponse>, Failure> {
        let caller = &context.caller()?.user;
        let conversation = Fields::only("conversation_id", request.conversation_id.parse())?;
        let listed = invites::done(self.postgres.list_invites(conversation, caller).await?)?;
        let invites = listed.into_iter().map(invites::invite).collect();
        Ok(ListGroupInvitesResponse { invites }.into())
    }
}

#[cfg(test)]
mod tests;
