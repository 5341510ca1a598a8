//! What ending a friendship does, on a real database. Its races with sends are told where messages are sent.

use std::sync::Arc;
use std::time::Duration;

use chat_contract::v1::FriendState;
use chat_domain::INVITE_BUDGET;
use chat_operation::{Code, Notice};
use chat_testing::{Called, Filter, Fixture, call, call_without_token};
use tokio::task::JoinSet;

use super::*;
use crate::notice::tests::{
    Told, ask, assert_exhausted, assert_feeds_are_right, assert_fields, bad_others, both, distinct, feed,
    feed_revisions, stand, told, with_budget,
};

use FriendState::Unspecified;

fn request(user_id: &str) -> RemoveFriendRequest {
    RemoveFriendRequest {
        user_id: user_id.to_owned(),
    }
}

fn notices(called: Called<RemoveFriend>) -> Vec<Notice> {
    let answer = called.expect("the removal is taken");
    assert_eq!(answer.response, RemoveFriendResponse {});
    answer.notices
}

fn answered(called: Called<RemoveFriend>) -> Vec<Told> {
    told(&notices(called))
}

#[tokio::test]
async fn a_friendship_ends_for_both_and_repeating_it_tells_both_again() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    fixture.befriend("alice", "bob").await;
    fixture.befriend("alice", "carol").await;

    let first = notices(call(&remove, "alice", request("bob")).await);
    assert_eq!(told(&first), both("alice", Unspecified, "bob", Unspecified));
    // Asked, met and ended; alice has met carol as well.
    assert_eq!(feed_revisions(&first), [5, 3]);
    assert_eq!(stand(&fixture, "alice", "bob").await, None);
    assert!(stand(&fixture, "alice", "carol").await.is_some(), "others stay");

    assert_eq!(notices(call(&remove, "alice", request("bob")).await), first);
    let theirs = notices(call(&remove, "bob", request("alice")).await);
    assert_eq!(theirs, first.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(feed(&fixture, "alice").await, (5, 1, 0));
    assert_eq!(feed(&fixture, "bob").await, (3, 0, 0));
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn where_nothing_ever_was_nobody_is_told_anything_and_nothing_is_kept() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    assert_eq!(answered(call(&remove, "alice", request("nobody")).await), []);
    let kept: i64 = sqlx::query_scalar("SELECT (SELECT count(*) FROM friends) + (SELECT count(*) FROM feeds)")
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(kept, 0);
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
        assert_feeds_are_right(&fixture).await;
    }
}

#[tokio::test]
async fn the_direct_conversation_stays_with_its_members() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    answered(call(&remove, "bob", request("alice")).await);
    let members: Vec<String> =
        sqlx::query_scalar("SELECT user_id FROM members WHERE conversation_id = $1::text::uuid ORDER BY user_id")
            .bind(conversation.to_string())
            .fetch_all(&mut fixture.connect_postgres().await)
            .await
            .unwrap();
    assert_eq!(members, ["alice", "bob"]);
}

#[tokio::test]
async fn eight_removals_at_once_end_it_once_and_all_tell_the_same() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.open_direct("alice", "bob").await;
    let before = (feed(&fixture, "alice").await.0, feed(&fixture, "bob").await.0);
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
            notices(call(&remove, caller, request(other)).await)
        });
    }
    let all = callers.join_all().await.concat();
    assert_eq!(all.len(), 16);
    let seen = all.iter().map(|notice| {
        (
            told(std::slice::from_ref(notice)).remove(0).0,
            notice.occurred_at,
            notice.event.feed_revision,
        )
    });
    assert_eq!(distinct(seen), 2);
    assert_eq!(stand(&fixture, "alice", "bob").await, None);
    let after = (feed(&fixture, "alice").await.0, feed(&fixture, "bob").await.0);
    assert_eq!(after, (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn to_end_something_is_always_allowed_and_to_end_it_again_and_again_is_not() {
    let fixture = Fixture::new().await;
    let others: Vec<String> = (0..4).map(|other| format!("friend-{other}")).collect();
    for other in &others {
        fixture.befriend("alice", other).await;
    }
    ask(&fixture, "bob", "alice").await;
    ask(&fixture, "alice", "carol").await;
    sqlx::query("DELETE FROM budgets")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    // Two at once.
    let remove: RemoveFriend = with_budget(&fixture, "0.02");
    let refill = INVITE_BUDGET.refill * 50;

    for other in [&others[0], &others[0]] {
        assert_eq!(answered(call(&remove, "alice", request(other)).await).len(), 2);
    }
    assert_eq!(answered(call(&remove, "alice", request("nobody")).await), []);
    for other in ["nobody", &others[0]] {
        let wait =
            assert_exhausted::<RemoveFriend>(call(&remove, "alice", request(other)).await, "RATE_LIMITED").unwrap();
        assert!(wait <= refill && wait + Duration::from_mins(1) > refill, "{wait:?}");
    }
    for other in others[1..].iter().map(String::as_str).chain(["bob", "carol"]) {
        assert_eq!(
            answered(call(&remove, "alice", request(other)).await).len(),
            2,
            "{other}"
        );
        assert_eq!(stand(&fixture, "alice", other).await, None);
    }
    assert_feeds_are_right(&fixture).await;
}

#[tokio::test]
async fn a_removal_whose_answer_was_lost_is_told_to_both() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let remove: RemoveFriend = proxies.operation();
    answered(call(&remove, "alice", request("nobody")).await);

    let cut = proxies.postgres.cut_before_answer(Filter::operation("remove_friend("));
    let told = answered(call(&remove, "alice", request("bob")).await);
    cut.happened().await;

    assert_eq!(told, both("alice", Unspecified, "bob", Unspecified));
    assert_eq!(feed(&fixture, "bob").await, (3, 0, 0), "it ended once");
}

#[tokio::test]
async fn what_ended_a_month_ago_leaves_the_feed_and_is_told_to_nobody() {
    let fixture = Fixture::new().await;
    let remove: RemoveFriend = fixture.operation();
    for other in ["bob", "carol"] {
        fixture.befriend("alice", other).await;
        answered(call(&remove, "alice", request(other)).await);
    }
    sqlx::query("UPDATE friends SET updated_at = updated_at - interval '31 days' WHERE 'bob' IN (user_id, other_id)")
        .execute(&mut fixture.connect_postgres().await)
        .await
        .unwrap();

    ask(&fixture, "alice", "dave").await;

    // Bob changed nothing since, and their side waits.
    let left: Vec<(String, String)> =
        sqlx::query_as("SELECT user_id, other_id FROM friends WHERE feed_revision IS NULL ORDER BY user_id")
            .fetch_all(&mut fixture.connect_postgres().await)
            .await
            .unwrap();
    assert_eq!(left, [("alice".to_owned(), "bob".to_owned())]);
    let floor: i64 = sqlx::query_scalar("SELECT floor_revision FROM feeds WHERE user_id = 'alice'")
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(floor, 3);
    assert_eq!(answered(call(&remove, "alice", request("bob")).await), []);
    assert_eq!(
        answered(call(&remove, "alice", request("carol")).await),
        both("alice", Unspecified, "carol", Unspecified)
    );
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
