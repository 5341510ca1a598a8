//! Asks a user to become a friend, or meets their request.

use chat_contract::v1::{RequestFriendRequest, RequestFriendResponse};
use chat_domain::FRIENDS_MAX;
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation, view};
use chat_stores::postgres::Postgres;
use chat_stores::{Settings, SettingsError};

use crate::notice::{friend, friend_changed};

/// The RPC `RequestFriend`.
#[derive(Debug)]
pub struct RequestFriend {
    postgres: Postgres,
}

impl Operation for RequestFriend {
    type Request = RequestFriendRequest;

    const DELIVERS: bool = true;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: RequestFriendRequest,
    ) -> Result<Answer<RequestFriendResponse>, Failure> {
        let caller = context.caller()?;
        let other = Fields::only("user_id", caller.parse_other(&request.user_id))?;
        let (friendship, changed) = self
            .postgres
            .request_friend(&caller.user, &other)
            .await?
            .ok_or_else(|| {
                Failure::resource_exhausted(
                    "FRIEND_LIMIT",
                    format!(
                        "you have {FRIENDS_MAX} friends and open requests of yours, the most that are allowed; remove some first"
                    ),
                )
                .with_metadata("limit", FRIENDS_MAX.to_string())
            })?;
        let state = view::friend_state(friendship.state);
        let mut answer = Answer::new(RequestFriendResponse {
            friend: Some(friend(&other, state, friendship.updated_at)),
        });
        if changed {
            answer
                .notices
                .extend(friend_changed(&caller.user, &other, state, friendship.updated_at));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
