//! Lists the caller's friends and open requests.

use chat_contract::v1::{FriendState, ListFriendsRequest, ListFriendsResponse};
use chat_domain::{PageSize, UsersToken, Violation};
use chat_operation::{Answer, CallContext, Failure, Fields, FromSettings, Operation};
use chat_stores::postgres::{FriendshipState, Postgres};

/// The RPC `ListFriends`.
#[derive(Debug, FromSettings)]
pub struct ListFriends {
    postgres: Postgres,
}

impl Operation for ListFriends {
    type Request = ListFriendsRequest;

    async fn call(
        &self,
        context: &CallContext,
        request: ListFriendsRequest,
    ) -> Result<Answer<ListFriendsResponse>, Failure> {
        let user = &context.caller()?.user;
        let mut fields = Fields::default();
        let state = fields.take("state", parse_state(request.state));
        let page_size = fields.take("page_size", PageSize::parse(request.page_size));
        let after = fields.take("page_token", UsersToken::parse(&request.page_token));
        let (Some(state), Some(page_size), Some(after)) = (state, page_size, after) else {
            return Err(fields.refuse());
        };
        let (friends, next) = self
            .postgres
            .list_friends(user, state, page_size, after.as_ref())
            .await??;
        Ok(ListFriendsResponse {
            friends: friends.into_iter().map(chat_view::friend).collect(),
            next_page_token: next.map(|token| token.to_string()).unwrap_or_default(),
        }
        .into())
    }
}

fn parse_state(state: i32) -> Result<Option<FriendshipState>, Violation> {
    match FriendState::try_from(state) {
        Ok(FriendState::Unspecified) => Ok(None),
        Ok(FriendState::RequestSent) => Ok(Some(FriendshipState::RequestSent)),
        Ok(FriendState::RequestReceived) => Ok(Some(FriendshipState::RequestReceived)),
        Ok(FriendState::Accepted) => Ok(Some(FriendshipState::Accepted)),
        Err(_) => Err(Violation::new(format!(
            "is {state}, which is not a state of this version"
        ))),
    }
}

#[cfg(test)]
mod tests;
