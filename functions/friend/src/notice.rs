//! Tells both users how they stand now.

use chat_contract::v1::{Friend, FriendChanged, FriendState, LiveEvent, live_event};
use chat_domain::UserId;
use chat_rpc::Notice;
use chrono::{DateTime, Utc};

/// The other user, seen from one of the two.
pub(crate) fn friend(other: &UserId, state: FriendState, updated_at: DateTime<Utc>) -> Friend {
    Friend {
        user_id: other.to_string(),
        state: state.into(),
        updated_at: Some(updated_at.into()),
        profile: None,
    }
}

/// The notices of a change between two users: to each, the other as they now see them.
pub(crate) fn friend_changed(caller: &UserId, other: &UserId, state: FriendState, at: DateTime<Utc>) -> [Notice; 2] {
    let mirrored = match state {
        FriendState::RequestSent => FriendState::RequestReceived,
        FriendState::RequestReceived => FriendState::RequestSent,
        state => state,
    };
    let notice = |to: &UserId, about: &UserId, state| Notice {
        recipients: vec![to.clone()],
        event: LiveEvent {
            event: Some(live_event::Event::FriendChanged(FriendChanged {
                friend: Some(friend(about, state, at)),
            })),
            ..LiveEvent::default()
        },
        occurred_at: at,
    };
    [notice(caller, other, state), notice(other, caller, mirrored)]
}

#[cfg(test)]
pub(crate) mod tests;
