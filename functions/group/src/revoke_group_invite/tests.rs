//! Links into groups end, on real databases.

use chat_contract::v1::CreateGroupInviteRequest;
use chat_domain::{ConversationId, InviteId};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_not_found, assert_refused, bad_fields};

fn request(scene: &Scene, invite: &InviteId) -> RevokeGroupInviteRequest {
    RevokeGroupInviteRequest {
        conversation_id: scene.group.to_string(),
        invite_id: invite.to_string(),
    }
}

#[tokio::test]
async fn nobody_can_use_it_any_more() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let other = scene.invite("2", CreateGroupInviteRequest::default()).await;
    scene.revoke("adam", &invite).await.unwrap();
    assert_refused(
        scene.join("sam", &invite, "1").await,
        Code::NotFound,
        "INVITE_NOT_FOUND",
    );
    assert_refused(scene.preview("sam", &invite).await, Code::NotFound, "INVITE_NOT_FOUND");
    scene.join("sam", &other, "1").await.unwrap();
}

#[tokio::test]
async fn a_repeat_and_an_invite_that_the_group_never_had_change_nothing() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    scene.revoke("olga", &invite).await.unwrap();
    scene.revoke("olga", &invite).await.unwrap();
    let operation: RevokeGroupInvite = scene.fixture.operation();
    call(&operation, "olga", request(&scene, &InviteId::generate()))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_invite_of_another_group_is_left_alone() {
    let (scene, others) = (Scene::new().await, "others");
    let create: crate::CreateGroup = scene.fixture.operation();
    let made = call(&create, "sam", crate::scene::create(others, &[])).await.unwrap();
    let group = crate::scene::id_of(&made.response.conversation.unwrap());
    let invite = CreateGroupInviteRequest {
        conversation_id: group.to_string(),
        request_id: "1".to_owned(),
        ..CreateGroupInviteRequest::default()
    };
    let invite = scene.invite_as("sam", invite).await.unwrap().response.invite.unwrap();
    // By those who manage the invites of this group.
    scene.revoke("olga", &invite).await.unwrap();
    scene.join("nina", &invite, "1").await.unwrap();
}

#[tokio::test]
async fn members_may_not() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    assert_refused(
        scene.revoke("mia", &invite).await,
        Code::FailedPrecondition,
        "NOT_PERMITTED",
    );
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let operation: RevokeGroupInvite = scene.fixture.operation();
    let missing = RevokeGroupInviteRequest {
        conversation_id: ConversationId::generate().to_string(),
        invite_id: invite.invite_id.clone(),
    };
    assert_not_found([
        scene.revoke("sam", &invite).await,
        call(&operation, "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: RevokeGroupInvite = scene.fixture.operation();
    let bad = RevokeGroupInviteRequest {
        conversation_id: "x".to_owned(),
        invite_id: "x".to_owned(),
    };
    assert_eq!(
        bad_fields(call(&operation, "olga", bad).await),
        ["conversation_id", "invite_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: RevokeGroupInvite = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, &InviteId::generate())).await;
    assert_eq!(failure.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: RevokeGroupInvite = proxies.operation();
    call(&operation, "olga", request(&scene, &InviteId::generate()))
        .await
        .unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "olga", request(&scene, &InviteId::generate()))
        .await
        .unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
