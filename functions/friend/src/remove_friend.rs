//! Ends a friendship, withdraws a request or drops the other's.

use chat_contract::v1::{RemoveFriendRequest, RemoveFriendResponse};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::Postgres;

use crate::notice::friend_changed;

/// The RPC `RemoveFriend`.
#[derive(Debug, FromSettings)]
pub struct RemoveFriend {
    postgres: Postgres,
}

impl Operation for RemoveFriend {
    type Request = RemoveFriendRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: RemoveFriendRequest,
    ) -> Result<Answer<RemoveFriendResponse>, Failure> {
        let caller = context.caller()?;
        let other = Fields::only("user_id", caller.parse_other(&request.user_id))?;
        let friendship = self.postgres.remove_friend(&caller.user, &other).await??;
        Ok(Answer {
            notices: friend_changed(&caller.user, &other, &friendship),
            ..Answer::new(RemoveFriendResponse {})
        })
    }
}

#[cfg(test)]
mod tests;
