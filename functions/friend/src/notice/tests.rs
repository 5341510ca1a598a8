//! What the tests of all operations on friendships look at: who was told what, how two users stand, and whether the feeds
//! of all users are right.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_contract::v1::FriendState;
use chat_operation::{Code, FromSettings, Operation};
use chat_stores::postgres::{FriendRequested, FriendshipState};
use chat_testing::{Called, Fixture, user};

use super::*;

/// Who was told what: (recipient, the other user, how the recipient now sees them).
pub(crate) type Told = (String, String, FriendState);

/// Who was told what, having checked that each notice says nothing else but where that stands in the recipient's feed.
pub(crate) fn told(notices: &[Notice]) -> Vec<Told> {
    notices
        .iter()
        .map(|notice| {
            let [recipient] = notice.recipients.users() else {
                panic!("each user sees the other: {notice:?}")
            };
            let Some(live_event::Event::FriendChanged(FriendChanged { friend: Some(friend) })) = &notice.event.event
            else {
                panic!("only friends change: {notice:?}")
            };
            assert_eq!(friend.updated_at, Some(notice.occurred_at.into()));
            assert_eq!(friend.profile, None);
            assert!(notice.event.feed_revision > 0, "{notice:?}");
            let rest = LiveEvent {
                event: None,
                feed_revision: 0,
                ..notice.event.clone()
            };
            assert_eq!(rest, LiveEvent::default(), "a friendship has no conversation");
            (recipient.to_string(), friend.user_id.clone(), friend.state())
        })
        .collect()
}

/// Where what was told stands in each recipient's feed.
pub(crate) fn feed_revisions(notices: &[Notice]) -> Vec<i64> {
    notices.iter().map(|notice| notice.event.feed_revision).collect()
}

/// The two notices of a change: how `one` sees `other`, and the reverse.
pub(crate) fn both(one: &str, sees: FriendState, other: &str, is_seen: FriendState) -> Vec<Told> {
    vec![
        (one.to_owned(), other.to_owned(), sees),
        (other.to_owned(), one.to_owned(), is_seen),
    ]
}

/// Asks past the operation, by someone who may and of someone who has not asked.
pub(crate) async fn ask(fixture: &Fixture, from: &str, to: &str) {
    let asked = fixture.postgres().request_friend(&user(from), &user(to)).await.unwrap();
    let Ok(FriendRequested::Done(friendship)) = asked else {
        panic!("{from} cannot ask {to}: {asked:?}")
    };
    assert_eq!(friendship.state, FriendshipState::RequestSent);
}

/// How two users stand, as each sees the other; asserts that they agree on it.
pub(crate) async fn stand(fixture: &Fixture, one: &str, other: &str) -> Option<FriendshipState> {
    let postgres = fixture.postgres();
    let sees = async |one: &str, other: &str| {
        let page_size = chat_domain::PageSize::parse(100).unwrap();
        let listed = postgres.list_friends(&user(one), None, page_size, None).await.unwrap();
        let (friends, _) = listed.expect("the budget is not used up");
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

/// Gives a user so many others who stand with them like this, past the operations: many of them changed at the same time,
/// some on either side of the user's id. The first is `Z-1`, the second `a-2`, and so on.
pub(crate) async fn fill(fixture: &Fixture, of: &str, others: i32, state: &str, other_state: &str) {
    let mut connection = fixture.connect_postgres().await;
    sqlx::query(
        "WITH made AS (
             SELECT n, CASE WHEN n % 2 = 0 THEN 'a-' ELSE 'Z-' END || n AS other,
                    timestamptz '2026-01-01' + n / 7 * interval '1 microsecond' AS at
             FROM generate_series(1, $2) n
         ),
         sides AS (
             INSERT INTO friends (user_id, other_id, state, updated_at, feed_revision)
             SELECT $1, other, $3, at, n FROM made UNION ALL SELECT other, $1, $4, at, 1 FROM made
         )
         INSERT INTO feeds (user_id, revision, friend_count, request_count)
         SELECT $1, $2, $2 * ($3 <> 'received')::int, $2 * ($3 = 'received')::int
         UNION ALL SELECT other, 1, ($4 <> 'received')::int, ($4 = 'received')::int FROM made",
    )
    .bind(of)
    .bind(others)
    .bind(state)
    .bind(other_state)
    .execute(&mut connection)
    .await
    .unwrap();
}

/// What the feed of a user says: (revision, friends and own requests, requests of others).
pub(crate) async fn feed(fixture: &Fixture, of: &str) -> (i64, i32, i32) {
    sqlx::query_as("SELECT revision, friend_count, request_count FROM feeds WHERE user_id = $1")
        .bind(of)
        .fetch_optional(&mut fixture.connect_postgres().await)
        .await
        .unwrap()
        .unwrap_or_default()
}

/// Asserts of all users that their feeds say what the rows say, that each revision stands once, and that both sides of each
/// friendship are of one mind.
pub(crate) async fn assert_feeds_are_right(fixture: &Fixture) {
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT 'counts of ' || d.user_id FROM feeds d LEFT JOIN friends f USING (user_id)
         GROUP BY d.user_id, d.revision, d.friend_count, d.request_count
         HAVING d.revision <> coalesce(max(f.feed_revision), 0)
             OR d.friend_count <> count(*) FILTER (WHERE f.state IN ('sent', 'accepted'))
             OR d.request_count <> count(*) FILTER (WHERE f.state = 'received')
         UNION ALL
         SELECT 'revision ' || feed_revision || ' of ' || user_id FROM friends
         WHERE feed_revision IS NOT NULL GROUP BY user_id, feed_revision HAVING count(*) > 1
         UNION ALL
         SELECT 'no feed of ' || f.user_id FROM friends f
         WHERE f.feed_revision IS NOT NULL AND NOT EXISTS (SELECT FROM feeds d WHERE d.user_id = f.user_id)
         UNION ALL
         SELECT f.user_id || ' and ' || f.other_id FROM friends f
         LEFT JOIN friends m ON m.user_id = f.other_id AND m.other_id = f.user_id
         WHERE m.state IS NULL OR m.updated_at <> f.updated_at
            OR (f.feed_revision IS NULL) <> (m.feed_revision IS NULL)
            OR (f.state, m.state) NOT IN
               (('none', 'none'), ('sent', 'received'), ('received', 'sent'), ('accepted', 'accepted'))",
    )
    .fetch_all(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
    assert_eq!(wrong, <[String; 0]>::default());
}

/// An operation of a deployment that multiplies what users may do by this.
pub(crate) fn with_budget<O: FromSettings>(fixture: &Fixture, factor: &str) -> O {
    O::from_settings(&fixture.settings().clone().with("USER_BUDGET_FACTOR", factor)).unwrap()
}

/// Asserts that the call was refused because of a limit, and tells when it is allowed.
pub(crate) fn assert_exhausted<O: Operation>(called: Called<O>, reason: &str) -> Option<Duration> {
    let failure = called.err().expect("the call is refused");
    assert_eq!((failure.code(), failure.reason()), (Code::ResourceExhausted, reason));
    assert_eq!(failure.notices(), [], "nothing happened of which to tell");
    failure.retry_after()
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

/// How many different ones there are.
pub(crate) fn distinct<T: Ord>(all: impl IntoIterator<Item = T>) -> usize {
    all.into_iter().collect::<BTreeSet<_>>().len()
}
