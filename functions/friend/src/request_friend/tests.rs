//! What asking to be friends does, alone and in races, on a real database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chat_contract::v1::{Friend, FriendState};
use chat_domain::{FRIENDS_MAX, INVITE_BUDGET};
use chat_operation::{Code, Notice};
use chat_stores::postgres::FriendshipState;
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::notice::tests::{
    Told, assert_exhausted, assert_feeds_are_right, assert_fields, bad_others, both, distinct, feed, feed_revisions,
    fill, stand, told, with_budget,
};

use FriendState::{Accepted, RequestReceived, RequestSent};

const HOUR: Duration = Duration::from_hours(1);

fn request(user_id: &str) -> RequestFriendRequest {
    RequestFriendRequest {
        user_id: user_id.to_owned(),
    }
}

fn taken(called: Called<RequestFriend>) -> (Friend, Vec<Notice>) {
    let answer = called.expect("the request is taken");
    (answer.response.friend.expect("an answer has a friend"), answer.notices)
}

fn answered(called: Called<RequestFriend>) -> (Friend, Vec<Told>) {
    let (friend, notices) = taken(called);
    (friend, told(&notices))
}

/// Sets what a user's feed counts, as if so many others were there.
async fn set_counts(fixture: &Fixture, of: &str, friends: i32, requests: i32) {
    sqlx::query(
        "INSERT INTO feeds (user_id, friend_count, request_count) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET friend_count = $2, request_count = $3",
    )
    .bind(of)
    .bind(friends)
    .bind(requests)
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
}

/// Eight requests at once, by or of `m`: how many were taken. All others were refused for this reason.
async fn race(fixture: &Arc<Fixture>, by_m: bool, reason: &str) -> usize {
    let mut callers = JoinSet::new();
    for other in 0..8 {
        let fixture = Arc::clone(fixture);
        callers.spawn(async move {
            let ask: RequestFriend = fixture.operation();
            // On either side of `m`.
            let other = if other % 2 == 0 {
                format!("a-{other}")
            } else {
                format!("z-{other}")
            };
            let (caller, asked) = if by_m {
                ("m", other.as_str())
            } else {
                (other.as_str(), "m")
            };
            call(&ask, caller, request(asked)).await
        });
    }
    let (taken, refused): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().partition(Result::is_ok);
    for called in refused {
        assert_exhausted::<RequestFriend>(called, reason);
    }
    taken.len()
}

async fn withdraw(fixture: &Fixture, from: &str, to: &str) {
    let removed = fixture.postgres().remove_friend(&user(from), &user(to)).await.unwrap();
    assert_eq!(removed.unwrap().state, FriendshipState::None);
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
async fn a_notice_says_where_the_change_stands_in_the_feed_of_its_recipient() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    let asked = async |caller, other| feed_revisions(&taken(call(&ask, caller, request(other)).await).1);
    assert_eq!(asked("alice", "carol").await, [1, 1]);
    assert_eq!(asked("alice", "bob").await, [2, 1]);
    assert_eq!(asked("dave", "bob").await, [1, 2]);
    assert_eq!(asked("bob", "alice").await, [3, 3]);
    assert_eq!(feed(&fixture, "alice").await, (3, 2, 0));
    assert_eq!(feed(&fixture, "bob").await, (3, 1, 1));
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_tells_both_again() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();

    let first = taken(call(&ask, "bob", request("alice")).await);
    let repeat = taken(call(&ask, "bob", request("alice")).await);

    assert_eq!(repeat, first);
    assert_eq!(told(&repeat.1), both("bob", RequestSent, "alice", RequestReceived));
    assert_eq!(feed(&fixture, "bob").await, (1, 1, 0));
    assert_eq!(feed(&fixture, "alice").await, (1, 0, 1));
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
        assert_eq!(told, both(caller, Accepted, other, Accepted));
    }
    assert_feeds_are_right(&fixture).await;
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
                taken(call(&ask, &caller, request(&asked)).await).1
            });
        }
        let notices = callers.join_all().await.concat();

        assert_eq!(stand(&fixture, &one, &other).await, Some(FriendshipState::Accepted));
        // Whoever came when it was done already tells the same again.
        assert_eq!(notices.len(), 8);
        let times: BTreeSet<_> = notices.iter().map(|notice| notice.occurred_at).collect();
        let [asked_at, met_at] = times.into_iter().collect::<Vec<_>>()[..] else {
            panic!("one request and one meeting are announced: {notices:?}")
        };
        for notice in &notices {
            let (_, _, state) = told(std::slice::from_ref(notice)).remove(0);
            let (at, revision) = (notice.occurred_at, notice.event.feed_revision);
            if state == Accepted {
                assert_eq!((at, revision), (met_at, 2));
            } else {
                assert_eq!((at, revision), (asked_at, 1));
            }
        }
    }
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn a_caller_with_5000_friends_and_requests_can_ask_nobody_new() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    fill(&fixture, "m", FRIENDS_MAX - 1, "accepted", "accepted").await;
    answered(call(&ask, "m", request("bob")).await);

    let failure = call(&ask, "m", request("carol")).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "FRIEND_LIMIT")
    );
    assert!(failure.to_string().contains("5000"), "{failure}");
    assert_eq!(stand(&fixture, "carol", "m").await, None);
    assert_feeds_are_right(&fixture).await;

    // What is there already takes no new place.
    let (repeat, told) = answered(call(&ask, "m", request("bob")).await);
    assert_eq!(
        (repeat.state(), told),
        (RequestSent, both("m", RequestSent, "bob", RequestReceived))
    );

    // Whoever leaves makes room.
    withdraw(&fixture, "m", "bob").await;
    answered(call(&ask, "m", request("carol")).await);
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn meeting_a_request_takes_a_place_among_the_callers_5000() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    answered(call(&ask, "bob", request("m")).await);
    set_counts(&fixture, "m", FRIENDS_MAX, 1).await;
    assert_exhausted::<RequestFriend>(call(&ask, "m", request("bob")).await, "FRIEND_LIMIT");
    assert_eq!(
        stand(&fixture, "bob", "m").await,
        Some(FriendshipState::RequestSent),
        "the request stays"
    );

    set_counts(&fixture, "m", FRIENDS_MAX - 1, 1).await;
    assert_eq!(answered(call(&ask, "m", request("bob")).await).0.state(), Accepted);
    assert_eq!(feed(&fixture, "m").await, (2, FRIENDS_MAX, 0));
}

#[tokio::test]
async fn racing_requests_do_not_pass_the_friend_limit() {
    let fixture = Arc::new(Fixture::new().await);
    set_counts(&fixture, "m", FRIENDS_MAX - 2, 0).await;
    assert_eq!(race(&fixture, true, "FRIEND_LIMIT").await, 2);
    assert_eq!(feed(&fixture, "m").await, (2, FRIENDS_MAX, 0));
}

#[tokio::test]
async fn racing_requests_that_meet_do_not_pass_the_friend_limit() {
    let fixture = Arc::new(Fixture::new().await);
    assert_eq!(race(&fixture, false, "").await, 8);
    set_counts(&fixture, "m", FRIENDS_MAX - 2, 8).await;
    assert_eq!(race(&fixture, true, "FRIEND_LIMIT").await, 2);
    assert_eq!(feed(&fixture, "m").await, (10, FRIENDS_MAX, 6));
}

#[tokio::test]
async fn requests_of_strangers_take_no_place_of_the_user_whom_they_ask() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    fill(&fixture, "m", FRIEND_REQUESTS_MAX, "received", "sent").await;
    answered(call(&ask, "m", request("bob")).await);
    let (met, _) = answered(call(&ask, "m", request("a-2")).await);
    assert_eq!(met.state(), Accepted);
    assert_eq!(feed(&fixture, "m").await, (1_002, 2, 999));
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn a_user_with_1000_requests_to_answer_is_asked_by_nobody_else_until_they_answer_one() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    fill(&fixture, "m", FRIEND_REQUESTS_MAX, "received", "sent").await;
    let full = async |caller: &str| {
        let retry_after =
            assert_exhausted::<RequestFriend>(call(&ask, caller, request("m")).await, "FRIEND_REQUESTS_FULL");
        assert_eq!(retry_after, None, "it is up to somebody else");
        assert_eq!(stand(&fixture, caller, "m").await, None);
        assert_feeds_are_right(&fixture).await;
    };
    full("bob").await;
    // Those who have asked may say so again.
    answered(call(&ask, "a-2", request("m")).await);

    let answer = async |other: &str, accept| {
        let answered = fixture
            .postgres()
            .respond_to_friend_request(&user("m"), &user(other), accept)
            .await;
        answered.unwrap().unwrap();
    };
    answer("a-2", true).await;
    answered(call(&ask, "bob", request("m")).await);
    full("carol").await;

    answer("a-4", false).await;
    answered(call(&ask, "carol", request("m")).await);
    full("dave").await;

    // Whoever withdraws makes room as well.
    withdraw(&fixture, "carol", "m").await;
    answered(call(&ask, "dave", request("m")).await);
    assert_eq!(feed(&fixture, "m").await.2, FRIEND_REQUESTS_MAX);
}

#[tokio::test]
async fn racing_requests_do_not_pass_the_limit_of_those_to_answer() {
    let fixture = Arc::new(Fixture::new().await);
    set_counts(&fixture, "m", 0, FRIEND_REQUESTS_MAX - 2).await;
    assert_eq!(race(&fixture, false, "FRIEND_REQUESTS_FULL").await, 2);
    assert_eq!(feed(&fixture, "m").await, (2, 0, FRIEND_REQUESTS_MAX));
}

#[tokio::test]
async fn the_same_user_is_asked_three_times_and_then_once_an_hour_whatever_became_of_it() {
    let fixture = Fixture::new().await;
    let ask: RequestFriend = fixture.operation();
    let too_soon = async || {
        let called = call(&ask, "alice", request("bob")).await;
        let wait = assert_exhausted::<RequestFriend>(called, "FRIEND_REQUEST_TOO_SOON").unwrap();
        assert!(wait <= HOUR && wait + Duration::from_mins(1) > HOUR, "{wait:?}");
        assert_eq!(stand(&fixture, "alice", "bob").await, None);
    };
    // Withdrawn, declined, dropped.
    answered(call(&ask, "alice", request("bob")).await);
    // A repeat of an open request is none of its own.
    answered(call(&ask, "alice", request("bob")).await);
    withdraw(&fixture, "alice", "bob").await;
    answered(call(&ask, "alice", request("bob")).await);
    let declined = fixture
        .postgres()
        .respond_to_friend_request(&user("bob"), &user("alice"), false)
        .await;
    declined.unwrap().unwrap();
    answered(call(&ask, "alice", request("bob")).await);
    withdraw(&fixture, "bob", "alice").await;
    let before = (feed(&fixture, "alice").await, feed(&fixture, "bob").await);
    too_soon().await;
    too_soon().await;
    assert_eq!((feed(&fixture, "alice").await, feed(&fixture, "bob").await), before);

    // Others may be asked, and the other may ask; to meet that is not to ask.
    answered(call(&ask, "alice", request("carol")).await);
    answered(call(&ask, "bob", request("alice")).await);
    assert_eq!(answered(call(&ask, "alice", request("bob")).await).0.state(), Accepted);
    withdraw(&fixture, "bob", "alice").await;
    too_soon().await;

    // An hour later there is one more.
    sqlx::query("UPDATE friends SET asked_until = asked_until - interval '1 hour' WHERE user_id = 'alice'")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    answered(call(&ask, "alice", request("bob")).await);
    withdraw(&fixture, "bob", "alice").await;
    too_soon().await;
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn toggling_at_once_does_not_ask_the_same_user_more_than_three_times() {
    let fixture = Arc::new(Fixture::new().await);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let ask: RequestFriend = fixture.operation();
            let mut times = BTreeSet::new();
            for _ in 0..4 {
                match call(&ask, "alice", request("bob")).await {
                    Ok(answer) => {
                        times.insert(answer.notices[0].occurred_at);
                    }
                    refused => {
                        assert_exhausted::<RequestFriend>(refused, "FRIEND_REQUEST_TOO_SOON").unwrap();
                    }
                }
                withdraw(&fixture, "alice", "bob").await;
            }
            times
        });
    }
    let times = callers.join_all().await;
    assert_eq!(distinct(times.into_iter().flatten()), 3);
    assert_eq!(stand(&fixture, "alice", "bob").await, None);
    assert_eq!(feed(&fixture, "bob").await, (6, 0, 0), "three requests and their ends");
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn who_asks_too_many_users_is_told_when_to_go_on_and_nothing_is_done() {
    let fixture = Fixture::new().await;
    // Two at once.
    let ask: RequestFriend = with_budget(&fixture, "0.02");
    let refill = INVITE_BUDGET.refill * 50;
    answered(call(&ask, "alice", request("bob")).await);
    // A repeat tells both again, and so is charged as well.
    answered(call(&ask, "alice", request("bob")).await);

    for other in ["carol", "bob", "dave"] {
        let called = call(&ask, "alice", request(other)).await;
        let wait = assert_exhausted::<RequestFriend>(called, "RATE_LIMITED").unwrap();
        assert!(wait <= refill && wait + Duration::from_mins(1) > refill, "{wait:?}");
    }

    let rows = "SELECT user_id || ' ' || other_id || ' ' || state FROM friends ORDER BY 1";
    let rows: Vec<String> = sqlx::query_scalar(rows)
        .fetch_all(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(rows, ["alice bob sent", "bob alice received"]);
    assert_eq!(feed(&fixture, "alice").await, (1, 1, 0));
    // Each has a budget of their own.
    answered(call(&ask, "carol", request("alice")).await);
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
async fn a_request_whose_answer_was_lost_is_made_once_and_told_to_both() {
    let fixture = Fixture::new().await;
    let proxies = fixture.with_proxies().await;
    let ask: RequestFriend = proxies.operation();
    answered(call(&ask, "alice", request("warm")).await);

    let cut = proxies.postgres.cut_before_answer(Filter::operation("request_friend("));
    let (friend, told) = answered(call(&ask, "alice", request("bob")).await);
    cut.happened().await;

    assert_eq!(friend.state(), RequestSent);
    assert_eq!(told, both("alice", RequestSent, "bob", RequestReceived));
    assert_eq!(
        stand(&fixture, "alice", "bob").await,
        Some(FriendshipState::RequestSent)
    );
    assert_eq!(feed(&fixture, "bob").await, (1, 0, 1), "it was made once");
}
