//! Asks a user to become a friend, or meets their request.

use chat_contract::v1::{RequestFriendRequest, RequestFriendResponse};
use chat_domain::FRIEND_REQUESTS_MAX;
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{FriendRequested, OutOfBudget, Postgres};

use crate::notice::{friend, friend_changed, too_many_friends};

/// The RPC `RequestFriend`.
#[derive(Debug, FromSettings)]
pub struct RequestFriend {
    postgres: Postgres,
}

impl Operation for RequestFriend {
    type Request = RequestFriendRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: RequestFriendRequest,
    ) -> Result<Answer<RequestFriendResponse>, Failure> {
        let caller = context.caller()?;
        let other = Fields::only("user_id", caller.parse_other(&request.user_id))?;
        let requested = self.postgres.request_friend(&caller.user, &other).await??;
        let friendship = match requested {
            FriendRequested::Done(friendship) => friendship,
            FriendRequested::TooManyFriends => return Err(too_many_friends()),
            FriendRequested::TooManyRequests => return Err(too_many_requests()),
            FriendRequested::TooSoon(OutOfBudget { wait }) => return Err(too_soon().with_retry_after(wait)),
        };
        Ok(Answer {
            notices: friend_changed(&caller.user, &other, &friendship),
            ..Answer::new(RequestFriendResponse {
                friend: Some(friend(&other, &friendship)),
            })
        })
    }
}

fn too_many_requests() -> Failure {
    Failure::resource_exhausted(
        "FRIEND_REQUESTS_FULL",
        format!("this user has {FRIEND_REQUESTS_MAX} requests to answer, the most that are allowed; ask later"),
    )
    .with_metadata("limit", FRIEND_REQUESTS_MAX.to_string())
}

fn too_soon() -> Failure {
    Failure::resource_exhausted(
        "FRIEND_REQUEST_TOO_SOON",
        "you have asked this user several times lately; wait before you ask again",
    )
}

#[cfg(test)]
mod tests;
