//! What the tests of all operations on friendships look at: who was told what, and how two users stand.

use chat_rpc::{Code, Operation};
use chat_stores::postgres::FriendshipState;
use chat_testing::{Called, Fixture, user};

use super::*;

/// Who was told what: (recipient, the other user, how the recipient now sees them).
pub(crate) type Told = (String, String, FriendState);

/// Who was told what, having checked that each notice says nothing else.
pub(crate) fn told(notices: &[Notice]) -> Vec<Told> {
    notices
        .iter()
        .map(|notice| {
            let [recipient] = notice.recipients.as_slice() else {
                panic!("each user sees the other: {notice:?}")
            };
            let Some(live_event::Event::FriendChanged(FriendChanged { friend: Some(friend) })) = &notice.event.event
            else {
                panic!("only friends change: {notice:?}")
            };
            assert_eq!(friend.updated_at, Some(notice.occurred_at.into()));
            assert_eq!(friend.profile, None);
            let rest = LiveEvent {
                event: None,
                ..notice.event.clone()
            };
            assert_eq!(rest, LiveEvent::default(), "a friendship has no conversation");
            (recipient.to_string(), friend.user_id.clone(), friend.state())
        })
        .collect()
}

/// The two notices of a change: how `one` sees `other`, and the reverse.
pub(crate) fn both(one: &str, sees: FriendState, other: &str, is_seen: FriendState) -> Vec<Told> {
    vec![
        (one.to_owned(), other.to_owned(), sees),
        (other.to_owned(), one.to_owned(), is_seen),
    ]
}

/// How two users stand, as each sees the other; asserts that they agree on it.
pub(crate) async fn stand(fixture: &Fixture, one: &str, other: &str) -> Option<FriendshipState> {
    let postgres = fixture.postgres();
    let sees = async |one: &str, other: &str| {
        let page_size = chat_domain::PageSize::parse(100).unwrap();
        let (friends, _) = postgres.list_friends(&user(one), None, page_size, None).await.unwrap();
        friends
            .into_iter()
            .find(|friend| friend.other == other)
            .map(|friend| friend.state)
    };
    let (here, there) = (sees(one, other).await, sees(other, one).await);
    let mirrored = match there {
        Some(FriendshipState::RequestSent) => Some(FriendshipState::RequestReceived),
        Some(FriendshipState::RequestReceived) => Some(FriendshipState::RequestSent),
        same => same,
    };
    assert_eq!(here, mirrored, "both see the same");
    here
}

/// Asserts that the call was refused for these fields and nothing else.
pub(crate) fn assert_fields<O: Operation>(called: Called<O>, fields: &[&str]) {
    let failure = called.err().expect("the call is refused");
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::InvalidArgument, "INVALID_FIELDS")
    );
    let named: Vec<&str> = failure
        .violations()
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(named, fields);
}

/// Ids that no other user can have when `alice` calls.
pub(crate) fn bad_others() -> [String; 5] {
    ["", "alice", "a b", "ålice", &"x".repeat(129)].map(str::to_owned)
}
