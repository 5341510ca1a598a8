//! Who asks to join a group is listed, on real databases.

use chat_domain::ConversationId;
use chat_operation::Code;
use chat_testing::{Called, call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_not_found, assert_refused, bad_fields};

fn request(group: &ConversationId, page_token: &str) -> ListJoinRequestsRequest {
    ListJoinRequestsRequest {
        conversation_id: group.to_string(),
        page_size: 2,
        page_token: page_token.to_owned(),
    }
}

async fn list(scene: &Scene, caller: &str, request: ListJoinRequestsRequest) -> Called<ListJoinRequests> {
    call(&scene.fixture.operation::<ListJoinRequests>(), caller, request).await
}

#[tokio::test]
async fn all_are_met_once_page_by_page_and_not_who_is_a_member_by_now() {
    let scene = Scene::new().await;
    let invite = chat_contract::v1::CreateGroupInviteRequest {
        needs_approval: true,
        ..Default::default()
    };
    let invite = scene.invite("1", invite).await;
    for user in ["sam", "nina", "ben", "cleo", "Zoe"] {
        scene.join(user, &invite, "1").await.unwrap();
    }
    scene.add("olga", &["nina"], "1").await.unwrap();
    let (mut met, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&scene, "adam", request(&scene.group, &token))
            .await
            .unwrap()
            .response;
        assert!(page.join_requests.iter().all(|asking| asking.requested_at.is_some()));
        met.extend(page.join_requests.into_iter().map(|asking| asking.user_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(met, ["Zoe", "ben", "cleo", "sam"]);
}

#[tokio::test]
async fn members_may_not() {
    let scene = Scene::new().await;
    let refused = list(&scene, "mia", request(&scene.group, "")).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_PERMITTED");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    assert_not_found([
        list(&scene, "sam", request(&scene.group, "")).await,
        list(&scene, "olga", request(&ConversationId::generate(), "")).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let bad = ListJoinRequestsRequest {
        conversation_id: "x".to_owned(),
        page_size: -1,
        page_token: "\0".to_owned(),
    };
    assert_eq!(
        bad_fields(list(&scene, "olga", bad).await),
        ["conversation_id", "page_size", "page_token"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: ListJoinRequests = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene.group, ""))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListJoinRequests = proxies.operation();
    call(&operation, "olga", request(&scene.group, "")).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "olga", request(&scene.group, "")).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
