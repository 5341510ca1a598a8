//! How far members have read, page by page, on a real database.

use chat_domain::ConversationId;
use chat_operation::Code;
use chat_testing::{Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, assert_not_found, bad_fields};

fn request(conversation: &(impl ToString + ?Sized), page_size: i32, page_token: &str) -> ListReadPositionsRequest {
    ListReadPositionsRequest {
        conversation_id: conversation.to_string(),
        page_size,
        page_token: page_token.to_owned(),
    }
}

/// Pages through everything.
async fn walk(fixture: &Fixture, conversation: ConversationId, caller: &str, page_size: i32) -> Vec<(String, i64)> {
    let list: ListReadPositions = fixture.operation();
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let answer = call(&list, caller, request(&conversation, page_size, &token))
            .await
            .unwrap();
        assert_eq!(answer.notices, []);
        let page = answer.response;
        assert!(!page.positions.is_empty());
        all.extend(
            page.positions
                .into_iter()
                .map(|position| (position.user_id, position.read_seq)),
        );
        if page.next_page_token.is_empty() {
            return all;
        }
        token = page.next_page_token;
    }
}

fn named(positions: &[(&str, i64)]) -> Vec<(String, i64)> {
    positions.iter().map(|(user, seq)| ((*user).to_owned(), *seq)).collect()
}

#[tokio::test]
async fn both_members_of_a_direct_conversation_see_where_they_are() {
    let scene = Scene::new().await;
    for op in ["1", "2"] {
        scene.say("bob", op, "x").await;
    }
    let marked = scene
        .stores
        .postgres
        .mark_conversation_read(scene.conversation, &user("alice"), 1)
        .await;
    assert!(marked.unwrap().is_ok());
    for caller in ["alice", "bob"] {
        for page_size in [0, 1, 2] {
            let all = walk(&scene.fixture, scene.conversation, caller, page_size).await;
            assert_eq!(all, named(&[("alice", 1), ("bob", 0)]));
        }
    }
}

#[tokio::test]
async fn of_a_group_its_members_are_listed_and_nobody_who_left() {
    let scene = Scene::new().await;
    scene.fixture.befriend("alice", "carol").await;
    let group = scene.stores.make_group("alice", &["bob", "carol"], true).await;
    scene.stores.say(group, "alice", "1", "x").await;
    for reader in ["bob", "carol"] {
        let marked = scene
            .stores
            .postgres
            .mark_conversation_read(group, &user(reader), 1)
            .await;
        assert!(marked.unwrap().is_ok());
    }
    let all = walk(&scene.fixture, group, "bob", 2).await;
    assert_eq!(all, named(&[("alice", 0), ("bob", 1), ("carol", 1)]));
    sqlx::query("UPDATE members SET ended_at = now() WHERE conversation_id = $1 AND user_id = 'bob'")
        .bind(group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(
        walk(&scene.fixture, group, "carol", 0).await,
        named(&[("alice", 0), ("carol", 1)])
    );
    let list: ListReadPositions = scene.fixture.operation();
    assert_not_found([call(&list, "bob", request(&group, 0, "")).await.unwrap_err()]);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let list: ListReadPositions = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&list, "mallory", request(&conversation, 0, "u.alice")).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let list: ListReadPositions = fixture.operation();
    let failure = call(&list, "alice", request("x", -1, "alice")).await.unwrap_err();
    assert_eq!(bad_fields(&failure), ["conversation_id", "page_size", "page_token"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let list: ListReadPositions = fixture.operation();
    let failure = call_without_token(&list, request("x", -1, "x")).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_page_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let list: ListReadPositions = proxies.operation();
    assert!(call(&list, "alice", request(&conversation, 0, "")).await.is_ok());
    proxies.postgres.reset_counts();
    assert!(call(&list, "alice", request(&conversation, 0, "")).await.is_ok());
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
