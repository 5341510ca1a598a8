//! Lists the caller's conversations, newest activity first.

use chat_contract::v1::{ListConversationsRequest, ListConversationsResponse};
use chat_domain::{PageSize, PageToken};
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation, view};
use chat_stores::postgres::Postgres;
use chat_stores::{Settings, SettingsError};

/// The RPC `ListConversations`.
#[derive(Debug)]
pub struct ListConversations {
    postgres: Postgres,
}

impl Operation for ListConversations {
    type Request = ListConversationsRequest;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: ListConversationsRequest,
    ) -> Result<Answer<ListConversationsResponse>, Failure> {
        let user = &context.caller()?.user;
        let mut fields = Fields::default();
        let page_size = fields.take("page_size", PageSize::parse(request.page_size));
        let after = fields.take("page_token", PageToken::parse(&request.page_token));
        let (Some(page_size), Some(after)) = (page_size, after) else {
            return Err(fields.refuse());
        };
        let (rows, next) = self
            .postgres
            .list_conversations(user, page_size, after.as_ref())
            .await?;
        Ok(ListConversationsResponse {
            conversations: rows.into_iter().map(view::conversation).collect(),
            next_page_token: next.map(|token| token.to_string()).unwrap_or_default(),
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
