//! Tells both users how they stand now.

use chat_contract::v1::{Friend, FriendChanged, FriendState, LiveEvent, live_event};
use chat_domain::{UserId, Violation};
use chat_rpc::{Caller, Failure, Fields, Notice};
use chrono::{DateTime, Utc};

/// Reads the other user of a request about a friendship: anyone but the caller.
pub(crate) fn take_other(fields: &mut Fields, caller: &Caller, user_id: &str) -> Option<UserId> {
    let other = user_id.parse::<UserId>().and_then(|other| {
        if other == caller.user {
            Err(Violation::new("must name another user than yourself"))
        } else {
            Ok(other)
        }
    });
    fields.take("user_id", other)
}

/// Reads a request that names the other user and nothing else.
pub(crate) fn parse_other(caller: &Caller, user_id: &str) -> Result<UserId, Failure> {
    let mut fields = Fields::default();
    match take_other(&mut fields, caller, user_id) {
        Some(other) => Ok(other),
        None => Err(fields.refuse()),
    }
}

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
