//! Lists the members of a group.

use chat_contract::v1::{ListGroupMembersRequest, ListGroupMembersResponse};
use chat_domain::{PageSize, UsersToken};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `ListGroupMembers`.
#[derive(Debug, FromSettings)]
pub struct ListGroupMembers {
    postgres: Postgres,
}

impl Operation for ListGroupMembers {
    type Request = ListGroupMembersRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListGroupMembersRequest,
    ) -> Result<Answer<ListGroupMembersResponse>, Failure> {
        let user = &context.caller()?.user;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let page_size = fields.take("page_size", PageSize::parse(request.page_size));
        let after = fields.take("page_token", UsersToken::parse(&request.page_token));
        let (Some(conversation), Some(page_size), Some(after)) = (conversation, page_size, after) else {
            return Err(fields.refuse());
        };
        let page = self
            .postgres
            .list_members(conversation, user, true, page_size, after.as_ref())
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        Ok(ListGroupMembersResponse {
            members: page.members.into_iter().map(chat_view::member).collect(),
            next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
