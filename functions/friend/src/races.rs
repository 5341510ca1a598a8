//! Many users who ask, answer and remove each other at once, on a real database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chat_contract::v1::{
    FriendRequestAnswer, FriendState, RemoveFriendRequest, RequestFriendRequest, RespondToFriendRequestRequest,
};
use chat_operation::{FromSettings, Notice};
use chat_testing::{Fixture, call};
use tokio::task::JoinSet;

use crate::notice::tests::{Told, assert_feeds_are_right, feed, told};
use crate::{RemoveFriend, RequestFriend, RespondToFriendRequest};

/// Few enough that calls meet, and enough that pairs are not all used up by asking too often.
const USERS: u64 = 8;
const CALLERS: u64 = 10;
const CALLS_EACH: u64 = 60;

/// The next number of a fixed sequence, below `end`.
fn next(seed: &mut u64, end: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % end
}

/// One call of one user about another: what was told, or why it was refused.
async fn act(
    (ask, respond, remove): &(RequestFriend, RespondToFriendRequest, RemoveFriend),
    seed: &mut u64,
) -> Result<Vec<Notice>, String> {
    let caller = next(seed, USERS);
    let other = (caller + 1 + next(seed, USERS - 1)) % USERS;
    let (caller, user_id) = (format!("user-{caller}"), format!("user-{other}"));
    let notices = match next(seed, 4) {
        0 | 1 => call(ask, &caller, RequestFriendRequest { user_id })
            .await
            .map(|answer| answer.notices),
        2 => {
            let answer = if next(seed, 3) == 0 {
                FriendRequestAnswer::Decline
            } else {
                FriendRequestAnswer::Accept
            };
            let request = RespondToFriendRequestRequest {
                user_id,
                answer: answer.into(),
            };
            call(respond, &caller, request).await.map(|answer| answer.notices)
        }
        _ => call(remove, &caller, RemoveFriendRequest { user_id })
            .await
            .map(|answer| answer.notices),
    };
    notices.map_err(|failure| failure.reason().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_answer_and_remove_at_once_leave_every_feed_right_and_no_deadlock() {
    let fixture = Fixture::new().await;
    let proxies = Arc::new(fixture.with_proxies().await);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        // Budgets are not what this is about.
        let settings = proxies.settings().clone().with("USER_BUDGET_FACTOR", "100");
        callers.spawn(async move {
            let operations = (
                RequestFriend::from_settings(&settings).unwrap(),
                RespondToFriendRequest::from_settings(&settings).unwrap(),
                RemoveFriend::from_settings(&settings).unwrap(),
            );
            let mut seed = caller;
            let mut results = Vec::new();
            for _ in 0..CALLS_EACH {
                results.push(act(&operations, &mut seed).await);
            }
            results
        });
    }
    let (done, refused): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().flatten().partition(Result::is_ok);

    for reason in refused.into_iter().filter_map(Result::err) {
        let expected = ["FRIEND_REQUEST_NOT_FOUND", "ALREADY_FRIENDS", "FRIEND_REQUEST_TOO_SOON"];
        assert!(expected.contains(&reason.as_str()), "{reason}");
    }
    assert_feeds_are_right(&fixture).await;

    // What was told of one place in a feed is one thing, and the last that was told of another user is how they stand.
    let mut places: BTreeMap<(String, i64), Told> = BTreeMap::new();
    for notice in done.into_iter().flatten().flatten() {
        let said = told(std::slice::from_ref(&notice)).remove(0);
        let place = (said.0.clone(), notice.event.feed_revision);
        assert_eq!(*places.entry(place).or_insert_with(|| said.clone()), said);
    }
    let mut last: HashMap<(String, String), FriendState> = HashMap::new();
    for ((user, _), (_, other, state)) in &places {
        last.insert((user.clone(), other.clone()), *state);
    }
    let mut owner = fixture.connect_postgres().await;
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT user_id, other_id, state FROM friends WHERE feed_revision IS NOT NULL")
            .fetch_all(&mut owner)
            .await
            .unwrap();
    assert_eq!(rows.len(), last.len());
    for (user, other, state) in rows {
        let expected = match state.as_str() {
            "sent" => FriendState::RequestSent,
            "received" => FriendState::RequestReceived,
            "accepted" => FriendState::Accepted,
            _ => FriendState::Unspecified,
        };
        assert_eq!(
            last.get(&(user.clone(), other.clone())),
            Some(&expected),
            "{user} and {other}"
        );
    }
    // Every change was told: each place of each feed, from the first to the last.
    for user in 0..USERS {
        let user = format!("user-{user}");
        let told: Vec<i64> = places
            .keys()
            .filter(|(recipient, _)| *recipient == user)
            .map(|(_, place)| *place)
            .collect();
        assert_eq!(told, (1..=feed(&fixture, &user).await.0).collect::<Vec<_>>(), "{user}");
    }

    // A deadlock is repeated by the store: nobody would notice, but here it would be counted.
    let calls: u64 = proxies
        .postgres
        .counts()
        .operations
        .iter()
        .filter(|(operation, _)| operation.starts_with("SELECT * FROM "))
        .map(|(_, times)| times)
        .sum();
    assert_eq!(calls, CALLERS * CALLS_EACH);
    // The server's own statistics are whole when the connections are gone.
    while sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap()
    {
        tokio::task::yield_now().await;
    }
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
}
