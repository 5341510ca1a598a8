//! What is unread over all conversations, on real databases.

use chat_operation::Code;
use chat_stores::postgres::OwnUpdate;
use chat_testing::{Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, Stores, fill};

/// (conversations, messages, muted conversations, muted messages)
async fn totals(scene: &Scene, caller: &str) -> (i64, i64, i64, i64) {
    let operation: GetUnreadTotals = scene.fixture.operation();
    let answer = call(&operation, caller, GetUnreadTotalsRequest {}).await.unwrap();
    assert_eq!(answer.notices, []);
    let it = answer.response;
    (it.conversations, it.messages, it.muted_conversations, it.muted_messages)
}

#[tokio::test]
async fn what_is_unread_is_counted_and_what_is_muted_apart() {
    let scene = Scene::new().await;
    let Stores { postgres, .. } = &scene.stores;
    let [carol, dave, erin, frank] = [
        scene.fixture.open_direct("alice", "carol").await,
        scene.fixture.open_direct("alice", "dave").await,
        scene.fixture.open_direct("alice", "erin").await,
        scene.fixture.open_direct("alice", "frank").await,
    ];
    assert_eq!(totals(&scene, "alice").await, (0, 0, 0, 0));
    assert_eq!(totals(&scene, "nobody").await, (0, 0, 0, 0));
    for (conversation, sender) in [
        (scene.conversation, "bob"),
        (carol, "carol"),
        (dave, "dave"),
        (erin, "alice"),
    ] {
        for op in ["1", "2"] {
            scene.stores.say(conversation, sender, op, "x").await;
        }
    }
    assert_eq!(totals(&scene, "alice").await, (3, 6, 0, 0));
    assert_eq!(totals(&scene, "erin").await, (1, 2, 0, 0));
    let update = async |conversation, update: OwnUpdate| {
        let updated = postgres.update_own(conversation, &user("alice"), 0, &update).await;
        assert!(updated.unwrap().is_ok());
    };
    let muted_until = Some("2999-01-01T00:00:00Z".parse().ok());
    update(
        carol,
        OwnUpdate {
            muted_until,
            ..OwnUpdate::default()
        },
    )
    .await;
    update(
        dave,
        OwnUpdate {
            archived: Some(true),
            ..OwnUpdate::default()
        },
    )
    .await;
    update(
        frank,
        OwnUpdate {
            marked_unread: Some(true),
            ..OwnUpdate::default()
        },
    )
    .await;
    assert_eq!(totals(&scene, "alice").await, (2, 2, 1, 2));
    let marked = postgres
        .mark_conversation_read(scene.conversation, &user("alice"), 1)
        .await;
    assert!(marked.unwrap().is_ok());
    assert_eq!(totals(&scene, "alice").await, (2, 1, 1, 2));
    let hidden = postgres.hide_conversation(scene.conversation, &user("alice"), 2).await;
    assert!(hidden.unwrap().is_ok());
    assert_eq!(totals(&scene, "alice").await, (1, 0, 1, 2));
    scene.say("bob", "3", "x").await;
    assert_eq!(totals(&scene, "alice").await, (2, 2, 1, 2));
    let cleared = postgres.clear_history(scene.conversation, &user("alice"), 3).await;
    assert!(cleared.unwrap().is_ok());
    assert_eq!(totals(&scene, "alice").await, (1, 0, 1, 2));
}

#[tokio::test]
async fn a_former_member_has_nothing_unread() {
    let scene = Scene::new().await;
    let group = scene.stores.make_group("alice", &["bob"], true).await;
    scene.stores.say(group, "alice", "1", "x").await;
    assert_eq!(totals(&scene, "bob").await, (1, 1, 0, 0));
    sqlx::query("UPDATE members SET ended_at = now() WHERE conversation_id = $1 AND user_id = 'bob'")
        .bind(group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(totals(&scene, "bob").await, (0, 0, 0, 0));
}

#[tokio::test]
async fn counts_end_at_their_bounds() {
    let scene = Scene::new().await;
    fill(&scene.fixture, "alice", 30).await;
    for (handed_out, expected) in [(999, 30 * 999), (1_000, 30_000), (5_000, 30_000)] {
        sqlx::query("UPDATE conversations SET message_count = $1 WHERE conversation_id <> $2")
            .bind(handed_out)
            .bind(scene.conversation.uuid())
            .execute(&mut scene.fixture.connect_postgres().await)
            .await
            .unwrap();
        let (conversations, messages, ..) = totals(&scene, "alice").await;
        assert_eq!((conversations, messages), (30, i64::min(expected, 10_000)));
    }
    sqlx::query("UPDATE conversations SET message_count = 0 WHERE conversation_id NOT IN (SELECT conversation_id FROM conversations LIMIT 1)")
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert!(totals(&scene, "alice").await.1 <= 1_000);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let operation = GetUnreadTotals::from_settings(&settings).unwrap();
    for _ in 0..6 {
        assert!(call(&operation, "alice", GetUnreadTotalsRequest {}).await.is_ok());
    }
    let failure = call(&operation, "alice", GetUnreadTotalsRequest {}).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert!(failure.retry_after().is_some_and(|wait| !wait.is_zero()));
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let operation: GetUnreadTotals = fixture.operation();
    let failure = call_without_token(&operation, GetUnreadTotalsRequest {})
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn counting_ten_thousand_conversations_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    fill(&fixture, "alice", 10_000).await;
    let proxies = fixture.with_proxies().await;
    let operation: GetUnreadTotals = proxies.operation();
    assert!(call(&operation, "alice", GetUnreadTotalsRequest {}).await.is_ok());
    proxies.postgres.reset_counts();
    assert!(call(&operation, "alice", GetUnreadTotalsRequest {}).await.is_ok());
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
