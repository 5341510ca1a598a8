//! What asking to be friends does, alone and in races, on a real database.

use std::sync::Arc;

use chat_contract::v1::{Friend, FriendState};
use chat_rpc::Code;
use chat_stores::postgres::FriendshipState;
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::notice::tests::{assert_fields, bad_others, both, stand, told};

use FriendState::{Accepted, RequestReceived, RequestSent};

fn request(user_id: &str) -> RequestFriendRequest {
    RequestFriendRequest {
        user_id: user_id.to_owned(),
    }
}

fn answered(called: Called<RequestFriend>) -> (Friend, Vec<crate::notice::tests::Told>) {
    let answer = called.expect("the request is taken");
    let told = told(&answer.notices);
    (answer.response.friend.expect("an answer has a friend"), told)
}

/// Gives a user so many friends and open requests, of their own or of others, past the operation.
async fn fill(fixture: &Fixture, of: &str, requests: i64, own: bool) {
    let mut connection = fixture.connect_postgres().await;
    // Every other row has the user on its lower side.
    sqlx::query(
        "INSERT INTO friendships (low_user_id, high_user_id, requested_by, accepted, updated_at)
         SELECT least($1, other COLLATE \"C\"), greatest($1, other COLLATE \"C\"), CASE WHEN $3 THEN $1 ELSE other END, $3 AND n % 3 = 0, now()
         FROM (SELECT n, CASE WHEN n % 2 = 0 THEN 'a-' ELSE 'z-' END || n AS other FROM generate_series(1, $2) n) made",
    )
    .bind(of)
    .bind(requests)
    .bind(own)
    .execute(&mut connection)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_request_is_sent_to_one_and_received_by_the_other() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();

    let (friend, told) = answered(call(&ask, "alice", request("bob")).await);

    assert_eq!((friend.user_id.as_str(), friend.state()), ("bob", RequestSent));
    assert!(friend.updated_at.is_some());
    assert_eq!(friend.profile, None);
    assert_eq!(told, both("alice", RequestSent, "bob", RequestReceived));
    assert_eq!(
        stand(&fixture, "alice", "bob").await,
        Some(FriendshipState::RequestSent)
    );
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_tells_nobody() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();

    let (first, _) = answered(call(&ask, "bob", request("alice")).await);
    let (repeat, told) = answered(call(&ask, "bob", request("alice")).await);

    assert_eq!(repeat, first);
    assert_eq!(told, []);
}

#[tokio::test]
async fn requests_that_meet_make_friends_later_than_the_first_was_made() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    let (first, _) = answered(call(&ask, "bob", request("alice")).await);

    let (met, told) = answered(call(&ask, "alice", request("bob")).await);

    assert_eq!((met.user_id.as_str(), met.state()), ("bob", Accepted));
    assert_eq!(told, both("alice", Accepted, "bob", Accepted));
    let time = |friend: &Friend| friend.updated_at.map(|at| (at.seconds, at.nanos));
    assert!(time(&met) > time(&first));

    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        let (repeat, told) = answered(call(&ask, caller, request(other)).await);
        assert_eq!((repeat.user_id.as_str(), repeat.state()), (other, Accepted));
        assert_eq!(repeat.updated_at, met.updated_at);
        assert_eq!(told, []);
    }
}

#[tokio::test]
async fn ids_that_differ_in_case_are_different_users() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    let (friend, _) = answered(call(&ask, "bob", request("Bob")).await);
    assert_eq!(friend.state(), RequestSent);
    assert_eq!(stand(&fixture, "Bob", "alice").await, None);
    assert_eq!(
        stand(&fixture, "Bob", "bob").await,
        Some(FriendshipState::RequestReceived)
    );
}

#[tokio::test]
async fn both_asking_at_once_become_friends_and_are_told_so_last() {
    let fixture = Arc::new(Fixture::new().await);
    for round in 0..16 {
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        let mut callers = JoinSet::new();
        // Each asks from two places.
        for (caller, asked) in [(&one, &other), (&other, &one), (&one, &other), (&other, &one)] {
            let (fixture, caller, asked) = (Arc::clone(&fixture), caller.clone(), asked.clone());
            callers.spawn(async move {
                let ask: RequestFriend = fixture.operation();
                let answer = call(&ask, &caller, request(&asked)).await.unwrap();
                (told(&answer.notices), answer.notices.first().map(|n| n.occurred_at))
            });
        }
        let answers = callers.join_all().await;

        assert_eq!(stand(&fixture, &one, &other).await, Some(FriendshipState::Accepted));
        let mut changes: Vec<_> = answers.into_iter().filter_map(|(told, at)| Some((at?, told))).collect();
        changes.sort_by_key(|(at, _)| *at);
        let [(asked_at, asked), (met_at, met)] = changes.as_slice() else {
            panic!("one request and one meeting are announced: {changes:?}")
        };
        assert!(asked_at < met_at);
        assert!(asked.iter().all(|(_, _, state)| *state != Accepted));
        assert!(met.iter().all(|(_, _, state)| *state == Accepted));
    }
}

#[tokio::test]
async fn a_caller_with_5000_friends_and_requests_can_ask_nobody_new_but_can_still_answer() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    fill(&fixture, "m", FRIENDS_MAX - 1, true).await;
    answered(call(&ask, "m", request("bob")).await);

    let failure = call(&ask, "m", request("carol")).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "FRIEND_LIMIT")
    );
    assert!(failure.to_string().contains("5000"), "{failure}");
    assert_eq!(stand(&fixture, "carol", "m").await, None);

    // What is there already takes no new place.
    let (repeat, told) = answered(call(&ask, "m", request("bob")).await);
    assert_eq!((repeat.state(), told), (RequestSent, vec![]));

    // Whoever leaves makes room.
    assert!(
        fixture
            .postgres()
            .remove_friend(&user("m"), &user("bob"))
            .await
            .unwrap()
            .is_some()
    );
    answered(call(&ask, "m", request("carol")).await);
}

#[tokio::test]
async fn requests_of_strangers_take_no_place_of_the_user_whom_they_ask() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    fill(&fixture, "m", FRIENDS_MAX, false).await;
    answered(call(&ask, "m", request("bob")).await);
    let (met, _) = answered(call(&ask, "m", request("a-2")).await);
    assert_eq!(met.state(), Accepted);
}

#[tokio::test]
async fn bad_user_ids_and_ones_own_are_refused() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    for bad in bad_others() {
        assert_fields::<RequestFriend>(call(&ask, "alice", request(&bad)).await, &["user_id"]);
    }
    assert!(call(&ask, "alice", request(&"x".repeat(128))).await.is_ok());
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    for attempt in ["bob", ""] {
        let failure = call_without_token(&ask, request(attempt)).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn asking_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let ask: RequestFriend = proxies.operation();
    answered(call(&ask, "alice", request("warm")).await);
    proxies.postgres.reset_counts();

    answered(call(&ask, "alice", request("bob")).await);
    answered(call(&ask, "alice", request("bob")).await);
    answered(call(&ask, "bob", request("alice")).await);

    assert_eq!(proxies.postgres.counts().round_trips, 3);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_made_once() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let ask: RequestFriend = proxies.operation();
    answered(call(&ask, "alice", request("warm")).await);

    let cut = proxies.postgres.cut_before_answer(Filter::operation("request_friend("));
    let (friend, _) = answered(call(&ask, "alice", request("bob")).await);
    cut.happened().await;

    assert_eq!(friend.state(), RequestSent);
    assert_eq!(
        stand(&fixture, "alice", "bob").await,
        Some(FriendshipState::RequestSent)
    );
}
