//! What the two users are told when they stand differently, and what the caller is answered.

use chat_contract::v1::{Friend, FriendChanged, LiveEvent, live_event};
use chat_domain::{FRIENDS_MAX, UserId};
use chat_operation::{Failure, Notice};
use chat_stores::postgres::{Friendship, FriendshipState};
use chrono::{DateTime, Utc};

/// The other user, as the caller sees them now.
pub(crate) fn friend(other: &UserId, friendship: &Friendship) -> Friend {
    seen(other, friendship.state, friendship.updated_at)
}

/// What each of the two is told, after a repeat as well: the first call may have died before it could. Users who never had
/// anything to do with each other are told nothing.
pub(crate) fn friend_changed(caller: &UserId, other: &UserId, friendship: &Friendship) -> Vec<Notice> {
    let Some((feed_revision, other_feed_revision)) = friendship.feed_revisions else {
        return Vec::new();
    };
    let notice = |to: &UserId, about: &UserId, state, feed_revision| Notice {
        recipients: vec![to.clone()].into(),
        event: LiveEvent {
            event: Some(live_event::Event::FriendChanged(FriendChanged {
                friend: Some(seen(about, state, friendship.updated_at)),
            })),
            feed_revision,
            ..LiveEvent::default()
        },
        occurred_at: friendship.updated_at,
    };
    vec![
        notice(caller, other, friendship.state, feed_revision),
        notice(other, caller, friendship.other_state, other_feed_revision),
    ]
}

/// Refuses one friend too many.
pub(crate) fn too_many_friends() -> Failure {
    Failure::resource_exhausted(
        "FRIEND_LIMIT",
        format!(
            "you have {FRIENDS_MAX} friends and open requests of yours, the most that are allowed; remove some first"
        ),
    )
    .with_metadata("limit", FRIENDS_MAX.to_string())
}

fn seen(other: &UserId, state: FriendshipState, updated_at: DateTime<Utc>) -> Friend {
    Friend {
        user_id: other.to_string(),
        state: chat_view::friend_state(state).into(),
        updated_at: Some(updated_at.into()),
        profile: None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
