//! Accepts or declines a user's friend request.

use chat_contract::v1::{FriendRequestAnswer, RespondToFriendRequestRequest, RespondToFriendRequestResponse};
use chat_domain::{UserId, Violation};
use chat_operation::{Answer, CallContext, Caller, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{FriendAnswered, Postgres};

use crate::notice::{friend, friend_changed, too_many_friends};

/// The RPC `RespondToFriendRequest`.
#[derive(Debug, FromSettings)]
pub struct RespondToFriendRequest {
    postgres: Postgres,
}

impl Operation for RespondToFriendRequest {
    type Request = RespondToFriendRequestRequest;

    const DELIVERS: bool = true;

    async fn call(
        &self,
        context: &CallContext,
        request: RespondToFriendRequestRequest,
    ) -> Result<Answer<RespondToFriendRequestResponse>, Failure> {
        let caller = context.caller()?;
        let (other, accept) = parse(caller, &request)?;
        let answered = self
            .postgres
            .respond_to_friend_request(&caller.user, &other, accept)
            .await??;
        let friendship = match answered {
            FriendAnswered::Done(friendship) => friendship,
            FriendAnswered::TooManyFriends => return Err(too_many_friends()),
            FriendAnswered::Missing => {
                return Err(Failure::not_found(
                    "FRIEND_REQUEST_NOT_FOUND",
                    "this user has not asked you to be friends",
                ));
            }
            FriendAnswered::AlreadyFriends => {
                return Err(Failure::failed_precondition(
                    "ALREADY_FRIENDS",
                    "you are friends already; call RemoveFriend to end that",
                ));
            }
        };
        Ok(Answer {
            notices: friend_changed(&caller.user, &other, &friendship),
            ..Answer::new(RespondToFriendRequestResponse {
                friend: Some(friend(&other, &friendship)),
            })
        })
    }
}

fn parse(caller: &Caller, request: &RespondToFriendRequestRequest) -> Result<(UserId, bool), Failure> {
    let mut fields = Fields::default();
    let other = fields.take("user_id", caller.parse_other(&request.user_id));
    let accept = match request.answer() {
        FriendRequestAnswer::Accept => Ok(true),
        FriendRequestAnswer::Decline => Ok(false),
        FriendRequestAnswer::Unspecified => Err(Violation::new("must be ACCEPT or DECLINE")),
    };
    match (other, fields.take("answer", accept)) {
        (Some(other), Some(accept)) => Ok((other, accept)),
        _ => Err(fields.refuse()),
    }
}

#[cfg(test)]
mod tests;
