//! Lists who asks to join a group.

use chat_contract::v1::{JoinRequest, ListJoinRequestsRequest, ListJoinRequestsResponse};
use chat_domain::{PageSize, UsersToken};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::invites;

/// The RPC `ListJoinRequests`.
#[derive(Debug, FromSettings)]
pub struct ListJoinRequests {
    postgres: Postgres,
}

impl Operation for ListJoinRequests {
    type Request = ListJoinRequestsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListJoinRequestsRequest,
    ) -> Result<Answer<ListJoinRequestsResponse>, Failure> {
        let caller = &context.caller()?.user;
        let mut fields = Fields::default();
        let conversation = fields.take("conversation_id", request.conversation_id.parse());
        let page_size = fields.take("page_size", PageSize::parse(request.page_size));
        let after = fields.take("page_token", UsersToken::parse(&request.page_token));
        let (Some(conversation), Some(page_size), Some(after)) = (conversation, page_size, after) else {
            return Err(fields.refuse());
        };
        let listed = self
            .postgres
            .list_join_requests(conversation, caller, page_size, after.as_ref());
        let page = invites::done(listed.await?)?;
        let join_requests = page.requests.into_iter().map(|asking| JoinRequest {
            user_id: asking.user,
            requested_at: Some(asking.at.into()),
        });
        Ok(ListJoinRequestsResponse {
            join_requests: join_requests.collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
