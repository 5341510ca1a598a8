//! The links into a group are listed, on real databases.

use chat_contract::v1::CreateGroupInviteRequest;
use chat_domain::ConversationId;
use chat_operation::Code;
use chat_testing::{Called, call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_not_found, assert_refused, bad_fields};

async fn list(scene: &Scene, caller: &str, group: &ConversationId) -> Called<ListGroupInvites> {
    let request = ListGroupInvitesRequest {
        conversation_id: group.to_string(),
    };
    call(&scene.fixture.operation::<ListGroupInvites>(), caller, request).await
}

#[tokio::test]
async fn those_that_can_be_used_are_listed_newest_first() {
    let scene = Scene::new().await;
    assert_eq!(list(&scene, "adam", &scene.group).await.unwrap().response.invites, []);
    let limited = CreateGroupInviteRequest {
        max_uses: 2,
        ..CreateGroupInviteRequest::default()
    };
    let once = CreateGroupInviteRequest {
        max_uses: 1,
        ..CreateGroupInviteRequest::default()
    };
    let mut invite = scene.invite("1", limited).await;
    let used_up = scene.invite("2", once).await;
    let revoked = scene.invite("3", CreateGroupInviteRequest::default()).await;
    let newest = scene.invite("4", CreateGroupInviteRequest::default()).await;
    scene.join("sam", &used_up, "1").await.unwrap();
    scene.join("nina", &invite, "1").await.unwrap();
    scene.revoke("olga", &revoked).await.unwrap();
    invite.uses = 1;
    let listed = list(&scene, "adam", &scene.group).await.unwrap().response.invites;
    assert_eq!(listed, [newest, invite]);
}

#[tokio::test]
async fn members_may_not() {
    let scene = Scene::new().await;
    let refused = list(&scene, "mia", &scene.group).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_PERMITTED");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let direct = scene.fixture.open_direct("olga", "mia").await;
    assert_not_found([
        list(&scene, "sam", &scene.group).await,
        list(&scene, "olga", &ConversationId::generate()).await,
        list(&scene, "olga", &direct).await,
    ]);
}

#[tokio::test]
async fn a_bad_field_is_named() {
    let scene = Scene::new().await;
    let bad = ListGroupInvitesRequest {
        conversation_id: "x".to_owned(),
    };
    let refused = call(&scene.fixture.operation::<ListGroupInvites>(), "olga", bad).await;
    assert_eq!(bad_fields(refused), ["conversation_id"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: ListGroupInvites = scene.fixture.operation();
    let failure = call_without_token(&operation, ListGroupInvitesRequest::default()).await;
    assert_eq!(failure.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListGroupInvites = proxies.operation();
    let request = ListGroupInvitesRequest {
        conversation_id: scene.group.to_string(),
    };
    call(&operation, "olga", request.clone()).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "olga", request).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
