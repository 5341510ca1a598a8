//! What answering a friend request does, alone and in races, on a real database.

use std::sync::Arc;

use chat_contract::v1::Friend;
use chat_rpc::Code;
use chat_stores::postgres::FriendshipState;
use chat_testing::{Called, Fixture, call, call_without_token, user};

use super::*;
use crate::notice::tests::{Told, assert_fields, bad_others, both, stand, told};

use FriendRequestAnswer::{Accept, Decline};

fn request(user_id: &str, answer: FriendRequestAnswer) -> RespondToFriendRequestRequest {
    RespondToFriendRequestRequest {
        user_id: user_id.to_owned(),
        answer: answer.into(),
    }
}

fn answered(called: Called<RespondToFriendRequest>) -> (Friend, Vec<Told>) {
    let answer = called.expect("the answer is taken");
    let told = told(&answer.notices);
    (answer.response.friend.expect("an answer has a friend"), told)
}

async fn ask(fixture: &Fixture, from: &str, to: &str) {
    let asked = fixture.postgres().request_friend(&user(from), &user(to)).await;
    assert!(asked.unwrap().is_some_and(|(_, changed)| changed));
}

#[tokio::test]
async fn accepting_makes_friends_and_repeating_it_changes_nothing() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;

    let (friend, told) = answered(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!(
        (friend.user_id.as_str(), friend.state()),
        ("bob", FriendState::Accepted)
    );
    assert_eq!(told, both("alice", FriendState::Accepted, "bob", FriendState::Accepted));
    assert_eq!(stand(&fixture, "alice", "bob").await, Some(FriendshipState::Accepted));

    let (repeat, told) = answered(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!((repeat, told), (friend.clone(), vec![]));
    // The one who asked may say yes as well: it is so already.
    let (theirs, told) = answered(call(&respond, "bob", request("alice", Accept)).await);
    assert_eq!(
        (theirs.user_id.as_str(), theirs.state(), theirs.updated_at),
        ("alice", FriendState::Accepted, friend.updated_at)
    );
    assert_eq!(told, []);
}

#[tokio::test]
async fn declining_drops_the_request_and_repeating_it_changes_nothing() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;

    let (friend, told) = answered(call(&respond, "alice", request("bob", Decline)).await);
    let gone = FriendState::Unspecified;
    assert_eq!((friend.user_id.as_str(), friend.state()), ("bob", gone));
    assert_eq!(told, both("alice", gone, "bob", gone));
    assert_eq!(stand(&fixture, "alice", "bob").await, None);

    let (repeat, told) = answered(call(&respond, "alice", request("bob", Decline)).await);
    assert_eq!((repeat.state(), told), (gone, vec![]));
    // The other may ask again.
    ask(&fixture, "bob", "alice").await;
    let (friend, _) = answered(call(&respond, "alice", request("bob", Accept)).await);
    assert_eq!(friend.state(), FriendState::Accepted);
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
async fn declining_ones_own_request_leaves_it() {
    let fixture = Fixture::new().await;
    let respond: RespondToFriendRequest = fixture.operation();
    ask(&fixture, "bob", "alice").await;
    let (_, told) = answered(call(&respond, "bob", request("alice", Decline)).await);
    assert_eq!(told, []);
    assert_eq!(
        stand(&fixture, "bob", "alice").await,
        Some(FriendshipState::RequestSent)
    );
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

        let removed_at = removed
            .unwrap()
            .expect("there was something to remove, whoever came first");
        match accepted {
            // The friendship was made, and then ended.
            Ok(answer) => {
                assert_eq!(told(&answer.notices).len(), 2);
                assert!(answer.notices.iter().all(|notice| notice.occurred_at < removed_at));
            }
            // The request was gone.
            Err(failure) => assert_eq!(failure.reason(), "FRIEND_REQUEST_NOT_FOUND"),
        }
        assert_eq!(stand(&fixture, &from, &to).await, None);
    }
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
