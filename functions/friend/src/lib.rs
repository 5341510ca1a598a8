//! The `FriendService`: who may open a direct conversation with whom.

mod list_friends;
mod notice;
mod remove_friend;
mod request_friend;
mod respond_to_friend_request;

use chat_runtime::Function;

pub use list_friends::ListFriends;
pub use remove_friend::RemoveFriend;
pub use request_friend::RequestFriend;
pub use respond_to_friend_request::RespondToFriendRequest;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<ListFriends>(),
    Function::operation::<RemoveFriend>(),
    Function::operation::<RequestFriend>(),
    Function::operation::<RespondToFriendRequest>(),
];

#[cfg(test)]
mod races;
