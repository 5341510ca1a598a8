//! What ending a friendship does, on a real database. Its races with sends are told where messages are sent.

use std::sync::Arc;

use chat_rpc::Code;
use chat_testing::{Called, Fixture, call, call_without_token, user};
use tokio::task::JoinSet;

use super::*;
use crate::notice::tests::{Told, assert_fields, bad_others, both, stand, told};

use FriendState::Unspecified;

fn request(user_id: &str) -> RemoveFriendRequest {
    RemoveFriendRequest {
        user_id: user_id.to_owned(),
    }
}

fn answered(called: Called<RemoveFriend>) -> Vec<Told> {
    let answer = called.expect("the removal is taken");
    assert_eq!(answer.response, RemoveFriendResponse {});
    told(&answer.notices)
}

async fn ask(fixture: &Fixture, from: &str, to: &str) {
    let asked = fixture.postgres().request_friend(&user(from), &user(to)).await;
    assert!(asked.unwrap().is_some_and(|(_, changed)| changed));
}

#[tokio::test]
async fn a_friendship_ends_for_both_and_repeating_it_changes_nothing() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    fixture.befriend("alice", "bob").await;
    fixture.befriend("alice", "carol").await;

    assert_eq!(
        answered(call(&remove, "alice", request("bob")).await),
        both("alice", Unspecified, "bob", Unspecified)
    );
    assert_eq!(stand(&fixture, "alice", "bob").await, None);
    assert!(stand(&fixture, "alice", "carol").await.is_some(), "others stay");
    for (caller, other) in [("alice", "bob"), ("bob", "alice"), ("alice", "nobody")] {
        assert_eq!(answered(call(&remove, caller, request(other)).await), []);
    }
}

#[tokio::test]
async fn a_request_is_withdrawn_by_its_maker_and_dropped_by_its_receiver() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    for (caller, other) in [("alice", "bob"), ("bob", "alice")] {
        ask(&fixture, "alice", "bob").await;
        assert_eq!(
            answered(call(&remove, caller, request(other)).await),
            both(caller, Unspecified, other, Unspecified)
        );
        assert_eq!(stand(&fixture, "alice", "bob").await, None);
    }
}

#[tokio::test]
async fn the_direct_conversation_stays_with_its_members() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    answered(call(&remove, "bob", request("alice")).await);
    let kept = fixture.postgres().lookup_conversation(conversation, &user("bob")).await;
    assert_eq!(kept.unwrap().unwrap().members.len(), 2);
}

#[tokio::test]
async fn of_eight_removals_at_once_one_is_told_of() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.open_direct("alice", "bob").await;
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let fixture = Arc::clone(&fixture);
        callers.spawn(async move {
            let remove: RemoveFriend = fixture.operation();
            let (caller, other) = if caller % 2 == 0 {
                ("alice", "bob")
            } else {
                ("bob", "alice")
            };
            answered(call(&remove, caller, request(other)).await).len()
        });
    }
    assert_eq!(callers.join_all().await.into_iter().sum::<usize>(), 2);
    assert_eq!(stand(&fixture, "alice", "bob").await, None);
}

#[tokio::test]
async fn bad_user_ids_and_ones_own_are_refused() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    for bad in bad_others() {
        assert_fields::<RemoveFriend>(call(&remove, "alice", request(&bad)).await, &["user_id"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    for attempt in ["bob", ""] {
        let failure = call_without_token(&remove, request(attempt)).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn removing_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let remove: RemoveFriend = proxies.operation();
    answered(call(&remove, "alice", request("nobody")).await);
    proxies.postgres.reset_counts();

    assert_eq!(answered(call(&remove, "alice", request("bob")).await).len(), 2);

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
