//! Lists how far the members of a conversation have read.

use chat_contract::v1::{ListReadPositionsRequest, ListReadPositionsResponse, ReadPosition};
use chat_domain::{PageSize, UsersToken};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `ListReadPositions`.
#[derive(Debug, FromSettings)]
pub struct ListReadPositions {
    postgres: Postgres,
}

impl Operation for ListReadPositions {
    type Request = ListReadPositionsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListReadPositionsRequest,
    ) -> Result<Answer<ListReadPositionsResponse>, Failure> {
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
            .list_members(conversation, user, false, page_size, after.as_ref())
            .await?
            .ok_or_else(Failure::conversation_not_found)?;
        let positions = page.members.into_iter().map(|member| ReadPosition {
            user_id: member.user_id,
            read_seq: member.read_seq,
            delivered_seq: member.delivered_seq,
        });
        Ok(ListReadPositionsResponse {
            positions: positions.collect(),
            next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
