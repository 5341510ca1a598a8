//! Where a link into a group leads, on real databases.

use chat_contract::Duration;
use chat_contract::v1::CreateGroupInviteRequest;
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_refused, bad_fields};

#[tokio::test]
async fn whoever_has_it_sees_the_group_and_how_they_would_stand_to_it() {
    let scene = Scene::new().await;
    let open = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let by_approval = CreateGroupInviteRequest {
        needs_approval: true,
        ..CreateGroupInviteRequest::default()
    };
    let by_approval = scene.invite("2", by_approval).await;
    let shown = GetGroupInviteResponse {
        name: "Trains".to_owned(),
        member_count: 4,
        ..GetGroupInviteResponse::default()
    };
    assert_eq!(scene.preview("sam", &open).await.unwrap().response, shown);
    scene.join("sam", &by_approval, "1").await.unwrap();
    let asked = GetGroupInviteResponse {
        needs_approval: true,
        has_asked: true,
        ..shown.clone()
    };
    assert_eq!(scene.preview("sam", &by_approval).await.unwrap().response, asked);
    let member = GetGroupInviteResponse {
        conversation_id: scene.group.to_string(),
        ..shown.clone()
    };
    assert_eq!(scene.preview("mia", &by_approval).await.unwrap().response, member);
    // Who was removed asks, whatever the invite says.
    scene.remove("olga", "mia", "1").await.unwrap();
    let removed = GetGroupInviteResponse {
        needs_approval: true,
        member_count: 3,
        ..shown
    };
    assert_eq!(scene.preview("mia", &open).await.unwrap().response, removed);
}

#[tokio::test]
async fn those_that_cannot_be_used_are_refused_alike() {
    let scene = Scene::new().await;
    let brief = CreateGroupInviteRequest {
        valid_for: Some(Duration { seconds: 60, nanos: 0 }),
        ..CreateGroupInviteRequest::default()
    };
    let once = CreateGroupInviteRequest {
        max_uses: 1,
        ..CreateGroupInviteRequest::default()
    };
    let ended = scene.invite("1", brief).await;
    sqlx::query("UPDATE invites SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL")
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    let used_up = scene.invite("2", once).await;
    scene.join("sam", &used_up, "1").await.unwrap();
    let revoked = scene.invite("3", CreateGroupInviteRequest::default()).await;
    scene.revoke("olga", &revoked).await.unwrap();
    let mut unknown = revoked.clone();
    unknown.token = "0".repeat(32);
    let of_deleted = scene.invite("4", CreateGroupInviteRequest::default()).await;
    let mut refusals = Vec::new();
    for invite in [&ended, &used_up, &revoked, &unknown] {
        refusals.push(format!("{:?}", scene.preview("nina", invite).await.unwrap_err()));
        refusals.push(format!("{:?}", scene.join("nina", invite, "1").await.unwrap_err()));
    }
    assert!(scene.preview("nina", &of_deleted).await.is_ok());
    scene.delete("olga", "1").await.unwrap();
    refusals.push(format!("{:?}", scene.preview("nina", &of_deleted).await.unwrap_err()));
    refusals.push(format!("{:?}", scene.join("nina", &of_deleted, "1").await.unwrap_err()));
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let refused = scene.preview("nina", &unknown).await;
    assert_refused(refused, Code::NotFound, "INVITE_NOT_FOUND");
}

#[tokio::test]
async fn a_bad_field_is_named_and_its_value_is_not() {
    let scene = Scene::new().await;
    let operation: GetGroupInvite = scene.fixture.operation();
    let bad = || GetGroupInviteRequest {
        token: "SECRET".to_owned(),
    };
    let failure = call(&operation, "sam", bad()).await.unwrap_err();
    assert!(!format!("{failure:?}").contains("SECRET"));
    assert_eq!(bad_fields(call(&operation, "sam", bad()).await), ["token"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: GetGroupInvite = scene.fixture.operation();
    let failure = call_without_token(&operation, GetGroupInviteRequest::default()).await;
    assert_eq!(failure.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: GetGroupInvite = proxies.operation();
    let request = GetGroupInviteRequest { token: invite.token };
    call(&operation, "sam", request.clone()).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "sam", request).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
