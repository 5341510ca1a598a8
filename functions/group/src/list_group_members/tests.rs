//! Members are listed, on a real database.

use chat_contract::v1::GroupRole;
use chat_domain::ConversationId;
use chat_operation::Code;
use chat_testing::{Called, call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_not_found, bad_fields};

fn request(scene: &Scene, page_size: i32, page_token: &str) -> ListGroupMembersRequest {
    ListGroupMembersRequest {
        conversation_id: scene.group.to_string(),
        page_size,
        page_token: page_token.to_owned(),
    }
}

async fn list(scene: &Scene, caller: &str, request: ListGroupMembersRequest) -> Called<ListGroupMembers> {
    call(&scene.fixture.operation::<ListGroupMembers>(), caller, request).await
}

#[tokio::test]
async fn all_are_met_once_page_by_page_with_their_roles() {
    let scene = Scene::new().await;
    let mut met = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(&scene, "mia", request(&scene, 3, &token)).await.unwrap().response;
        met.extend(
            page.members
                .iter()
                .map(|member| (member.user_id.clone(), member.role())),
        );
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected = [
        ("adam", GroupRole::Admin),
        ("max", GroupRole::Member),
        ("mia", GroupRole::Member),
        ("olga", GroupRole::Owner),
    ];
    assert_eq!(met, expected.map(|(user, role)| (user.to_owned(), role)));
    scene.remove("olga", "max", "1").await.unwrap();
    let page = list(&scene, "mia", request(&scene, 0, "")).await.unwrap().response;
    assert_eq!((page.members.len(), page.next_page_token.as_str()), (3, ""));
    // Past the last one.
    assert_eq!(
        list(&scene, "mia", request(&scene, 0, "u.zoe"))
            .await
            .unwrap()
            .response
            .members,
        []
    );
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let missing = ListGroupMembersRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, 0, "")
    };
    scene.remove("olga", "max", "1").await.unwrap();
    let direct = ListGroupMembersRequest {
        conversation_id: scene.fixture.open_direct("olga", "nina").await.to_string(),
        ..request(&scene, 0, "")
    };
    assert_not_found([
        list(&scene, "sam", request(&scene, 0, "")).await,
        list(&scene, "max", request(&scene, 0, "")).await,
        list(&scene, "olga", missing).await,
        list(&scene, "olga", direct).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let bad = ListGroupMembersRequest {
        conversation_id: "x".to_owned(),
        page_size: -1,
        page_token: "x".to_owned(),
    };
    assert_eq!(
        bad_fields(list(&scene, "olga", bad).await),
        ["conversation_id", "page_size", "page_token"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: ListGroupMembers = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, 0, ""))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListGroupMembers = proxies.operation();
    call(&operation, "olga", request(&scene, 0, "")).await.unwrap();
    let before = proxies.postgres.counts().round_trips;
    call(&operation, "olga", request(&scene, 0, "")).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips - before, 1);
}
