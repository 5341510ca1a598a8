//! What answering a friend request does, alone and in races, on a real database.

use std::sync::Arc;
use std::time::Duration;

use chat_contract::v1::{Friend, FriendState};
use chat_domain::{FRIENDS_MAX, INVITE_BUDGET};
use chat_operation::{Code, Notice};
use chat_stores::postgres::FriendshipState;
use chat_testing::{Called, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::notice::tests::{
    Told, ask, assert_exhausted, assert_feeds_are_right, assert_fields, bad_others, both, feed, fill, stand, told,
    with_budget,
};

use FriendRequestAnswer::{Accept, Decline};

fn request(user_id: &str, answer: FriendRequestAnswer) -> RespondToFriendRequestRequest {
    RespondToFriendRequestRequest {
        user_id: user_id.to_owned(),
        answer: answer.into(),
    }
}

fn taken(called: Called<RespondToFriendRequest>) -> (Friend, Vec<Notice>) {
    let answer = called.expect("the answer is taken");
    (answer.response.friend.expect("an answer has a friend"), answer.notices)
}

fn answered(called: Called<RespondToFriendRequest>) -> (Friend, Vec<Told>) {
    let (friend, notices) = taken(called);
    (friend, told(&notices))
}

#[tokio::test]
async fn accepting_makes_friends_and_repeating_it_tells_both_again() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;

    let (friend, notices) = taken(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!(
        (friend.user_id.as_str(), friend.state()),
        ("bob", FriendState::Accepted)
    );
    let accepted = FriendState::Accepted;
    assert_eq!(told(&notices), both("alice", accepted, "bob", accepted));
    assert_eq!(stand(&fixture, "alice", "bob").await, Some(FriendshipState::Accepted));

    let repeat = taken(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!(repeat, (friend.clone(), notices));
    // The one who asked may say yes as well: it is so already.
    let (theirs, told) = answered(call(&respond, "bob", request("alice", Accept)).await);
    assert_eq!(
        (theirs.user_id.as_str(), theirs.state(), theirs.updated_at),
        ("alice", accepted, friend.updated_at)
    );
    assert_eq!(told, both("bob", accepted, "alice", accepted));
    assert_eq!(feed(&fixture, "alice").await, (2, 1, 0));
    assert_eq!(feed(&fixture, "bob").await, (2, 1, 0));
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn declining_drops_the_request_and_repeating_it_tells_both_again() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;

    let (friend, notices) = taken(call(&respond, "alice", request("bob", Decline)).await);
    let gone = FriendState::Unspecified;
    assert_eq!((friend.user_id.as_str(), friend.state()), ("bob", gone));
    assert_eq!(told(&notices), both("alice", gone, "bob", gone));
    assert_eq!(stand(&fixture, "alice", "bob").await, None);

    let repeat = taken(call(&respond, "alice", request("bob", Decline)).await);
    assert_eq!(repeat, (friend, notices));
    assert_eq!(feed(&fixture, "bob").await, (2, 0, 0));
    // The other may ask again.
    ask(&fixture, "bob", "alice").await;
    let (friend, _) = answered(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!(friend.state(), FriendState::Accepted);
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn declining_a_stranger_tells_nobody_anything() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    let (friend, told) = answered(call(&respond, "alice", request("bob", Decline)).await);
    assert_eq!((friend.state(), told), (FriendState::Unspecified, vec![]));
}

#[tokio::test]
async fn nobody_can_accept_what_was_not_asked_of_them() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;

    // Nobody asked; the caller asked; the request is between others.
    for (caller, other) in [
        ("alice", "carol"),
        ("bob", "alice"),
        ("carol", "alice"),
        ("carol", "bob"),
    ] {
        let failure = call(&respond, caller, request(other, Accept)).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::NotFound, "FRIEND_REQUEST_NOT_FOUND")
        );
    }
    assert_eq!(
        stand(&fixture, "bob", "alice").await,
        Some(FriendshipState::RequestSent)
    );
}

#[tokio::test]
async fn declining_ones_own_request_leaves_it_and_answers_how_the_two_stand() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;
    let (friend, told) = answered(call(&respond, "bob", request("alice", Decline)).await);
    assert_eq!(
        (friend.user_id.as_str(), friend.state()),
        ("alice", FriendState::RequestSent)
    );
    assert_eq!(
        told,
        both("bob", FriendState::RequestSent, "alice", FriendState::RequestReceived)
    );
    assert_eq!(
        stand(&fixture, "bob", "alice").await,
        Some(FriendshipState::RequestSent)
    );
    assert_eq!(feed(&fixture, "bob").await, (1, 1, 0));
}

#[tokio::test]
async fn friends_cannot_be_declined() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    fixture.befriend("alice", "bob").await;
    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        let failure = call(&respond, caller, request(other, Decline)).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::FailedPrecondition, "ALREADY_FRIENDS")
        );
    }
    assert_eq!(stand(&fixture, "alice", "bob").await, Some(FriendshipState::Accepted));
}

#[tokio::test]
async fn accepting_and_removing_at_once_end_without_a_friendship_or_before_one() {
    let fixture = Arc::new(Fixture::new().await);
    for round in 0..16 {
        let (from, to) = (format!("from-{round}"), format!("to-{round}"));
        ask(&fixture, &from, &to).await;
        let (respond, postgres): (RespondToFriendRequest, _) = (fixture.operation(), fixture.postgres());
        let (from_id, to_id) = (user(&from), user(&to));
        let (accepted, removed) = tokio::join!(
            call(&respond, &to, request(&from, Accept)),
            postgres.remove_friend(&from_id, &to_id)
        );

        let removed = removed.unwrap().unwrap();
        match accepted {
            // The friendship was made, and then ended.
            Ok(answer) => {
                assert_eq!(told(&answer.notices).len(), 2);
                assert!(
                    answer
                        .notices
                        .iter()
                        .all(|notice| notice.occurred_at < removed.updated_at)
                );
            }
            // The request was gone.
            Err(failure) => assert_eq!(failure.reason(), "FRIEND_REQUEST_NOT_FOUND"),
        }
        assert_eq!(stand(&fixture, &from, &to).await, None);
    }
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn accepting_takes_a_place_among_the_callers_5000_and_none_of_the_other() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    fill(&fixture, "m", FRIENDS_MAX - 1, "accepted", "accepted").await;
    // Whom `m` asked needs no further place of `m`.
    ask(&fixture, "m", "carol").await;
    ask(&fixture, "bob", "m").await;

    let called = call(&respond, "m", request("bob", Accept)).await;
    assert!(called.as_ref().unwrap_err().to_string().contains("5000"));
    assert_exhausted::<RespondToFriendRequest>(called, "FRIEND_LIMIT");
    assert_eq!(feed(&fixture, "m").await.1, FRIENDS_MAX);
    assert_eq!(feed(&fixture, "bob").await, (1, 1, 0), "the request stays");

    let (friend, _) = answered(call(&respond, "carol", request("m", Accept)).await);
    assert_eq!(friend.state(), FriendState::Accepted);
    // Who is full may decline.
    let (friend, _) = answered(call(&respond, "m", request("bob", Decline)).await);
    assert_eq!(friend.state(), FriendState::Unspecified);
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn racing_answers_do_not_pass_the_friend_limit() {
    let fixture = Arc::new(Fixture::new().await);
    fill(&fixture, "m", FRIENDS_MAX - 2, "accepted", "accepted").await;
    // On either side of `m`.
    let askers: Vec<String> = (0..4).flat_map(|n| [format!("b-{n}"), format!("z-{n}")]).collect();
    for asker in &askers {
        ask(&fixture, asker, "m").await;
    }
    let mut callers = JoinSet::new();
    for asker in askers {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let respond: RespondToFriendRequest = fixture.operation();
            call(&respond, "m", request(&asker, Accept)).await
        });
    }
    let (accepted, refused): (Vec<_>, Vec<_>) = callers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((accepted.len(), refused.len()), (2, 6));
    for called in refused {
        assert_exhausted::<RespondToFriendRequest>(called, "FRIEND_LIMIT");
    }
    let (_, friends, requests) = feed(&fixture, "m").await;
    assert_eq!((friends, requests), (FRIENDS_MAX, 6));
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn who_answers_too_often_is_told_when_to_go_on_and_nothing_is_done() {
    let fixture = Fixture::new().await;
    // Two at once.
    let respond: RespondToFriendRequest = with_budget(&fixture, "0.02");
    let refill = INVITE_BUDGET.refill * 50;
    for asker in ["bob", "carol", "dave"] {
        ask(&fixture, asker, "alice").await;
    }
    answered(call(&respond, "alice", request("bob", Accept)).await);
    answered(call(&respond, "alice", request("carol", Decline)).await);

    let before = feed(&fixture, "alice").await;
    for (other, answer) in [
        ("dave", Accept),
        ("dave", Decline),
        ("bob", Accept),
        ("nobody", Decline),
    ] {
        let called = call(&respond, "alice", request(other, answer)).await;
        let wait = assert_exhausted::<RespondToFriendRequest>(called, "RATE_LIMITED").unwrap();
        assert!(wait <= refill && wait + Duration::from_mins(1) > refill, "{wait:?}");
    }
    assert_eq!(feed(&fixture, "alice").await, before);
    assert_eq!(
        stand(&fixture, "dave", "alice").await,
        Some(FriendshipState::RequestSent)
    );
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    let unspecified = FriendRequestAnswer::Unspecified;
    for bad in bad_others() {
        assert_fields::<RespondToFriendRequest>(call(&respond, "alice", request(&bad, Accept)).await, &["user_id"]);
        assert_fields::<RespondToFriendRequest>(
            call(&respond, "alice", request(&bad, unspecified)).await,
            &["user_id", "answer"],
        );
    }
    for answer in [0, 3, -1] {
        let attempt = RespondToFriendRequestRequest {
            user_id: "bob".to_owned(),
            answer,
        };
        assert_fields::<RespondToFriendRequest>(call(&respond, "alice", attempt).await, &["answer"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    for attempt in [request("bob", Accept), RespondToFriendRequestRequest::default()] {
        let failure = call_without_token(&respond, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn answering_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    for asker in ["warm", "bob", "carol"] {
        ask(&fixture, asker, "alice").await;
    }
    let proxies = fixture.with_proxies().await;
    let respond: RespondToFriendRequest = proxies.operation();
    answered(call(&respond, "alice", request("warm", Accept)).await);
    proxies.postgres.reset_counts();

    answered(call(&respond, "alice", request("bob", Accept)).await);
    answered(call(&respond, "alice", request("carol", Decline)).await);

    assert_eq!(proxies.postgres.counts().round_trips, 2);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
