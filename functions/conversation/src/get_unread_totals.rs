//! Counts what is unread to the caller over all of their conversations.

use chat_contract::v1::{GetUnreadTotalsRequest, GetUnreadTotalsResponse};
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_stores::postgres::Postgres;

/// The RPC `GetUnreadTotals`.
#[derive(Debug, FromSettings)]
pub struct GetUnreadTotals {
    postgres: Postgres,
}

impl Operation for GetUnreadTotals {
    type Request = GetUnreadTotalsRequest;

    async fn call(
        &self,
        context: &CallContext,
        _request: GetUnreadTotalsRequest,
    ) -> Result<Answer<GetUnreadTotalsResponse>, Failure> {
        let user = &context.caller()?.user;
        let totals = self.postgres.count_unread_totals(user).await??;
        Ok(GetUnreadTotalsResponse {
            conversations: totals.conversations,
            messages: totals.messages,
            muted_conversations: totals.muted_conversations,
            muted_messages: totals.muted_messages,
        }
        .into())
    }
}

#[cfg(test)]
mod tests;
