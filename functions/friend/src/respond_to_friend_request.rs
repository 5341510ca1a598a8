//! Accepts or declines a user's friend request.

use chat_contract::v1::{
    FriendRequestAnswer, FriendState, RespondToFriendRequestRequest, RespondToFriendRequestResponse,
};
use chat_domain::Violation;
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation};
use chat_stores::postgres::{FriendAnswer, Postgres};
use chat_stores::{Settings, SettingsError};

use crate::notice::{friend, friend_changed, parse_other};

/// The RPC `RespondToFriendRequest`.
#[derive(Debug)]
pub struct RespondToFriendRequest {
    postgres: Postgres,
}

impl Operation for RespondToFriendRequest {
    type Request = RespondToFriendRequestRequest;

    const DELIVERS: bool = true;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: RespondToFriendRequestRequest,
    ) -> Result<Answer<RespondToFriendRequestResponse>, Failure> {
        let caller = context.caller()?;
        let other = parse_other(caller, &request.user_id)?;
        let accept = parse_answer(request.answer())?;
        let (state, at, changed) = match self
            .postgres
            .respond_to_friend_request(&caller.user, &other, accept)
            .await?
        {
            FriendAnswer::Accepted { since, changed } => (FriendState::Accepted, since, changed),
            FriendAnswer::Declined { at, changed } => (FriendState::Unspecified, at, changed),
            FriendAnswer::Missing => {
                return Err(Failure::not_found(
                    "FRIEND_REQUEST_NOT_FOUND",
                    "this user has not asked you to be friends",
                ));
            }
            FriendAnswer::AlreadyFriends => {
                return Err(Failure::failed_precondition(
                    "ALREADY_FRIENDS",
                    "you are friends already; call RemoveFriend to end that",
                ));
            }
        };
        let mut answer = Answer::new(RespondToFriendRequestResponse {
            friend: Some(friend(&other, state, at)),
        });
        if changed {
            answer.notices.extend(friend_changed(&caller.user, &other, state, at));
        }
        Ok(answer)
    }
}

fn parse_answer(answer: FriendRequestAnswer) -> Result<bool, Failure> {
    match answer {
        FriendRequestAnswer::Accept => Ok(true),
        FriendRequestAnswer::Decline => Ok(false),
        FriendRequestAnswer::Unspecified => {
            let mut fields = Fields::default();
            fields.take::<()>("answer", Err(Violation::new("must be ACCEPT or DECLINE")));
            Err(fields.refuse())
        }
    }
}
