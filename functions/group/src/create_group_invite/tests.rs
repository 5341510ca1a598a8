//! Links into groups are made, on real databases.

use chat_domain::{ConversationId, GROUP_INVITES_MAX};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, assert_not_found, assert_refused, bad_fields};

fn request(scene: &Scene, request_id: &str) -> CreateGroupInviteRequest {
    CreateGroupInviteRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
        valid_for: Some(Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        max_uses: 5,
        needs_approval: true,
    }
}

#[tokio::test]
async fn it_is_made_as_asked_for() {
    let scene = Scene::new().await;
    let made = scene.invite_as("adam", request(&scene, "1")).await.unwrap();
    assert_eq!((made.notices, made.seal), (vec![], vec![]));
    let invite = made.response.invite.unwrap();
    assert!(invite.token.parse::<InviteToken>().is_ok() && invite.invite_id.parse::<InviteId>().is_ok());
    assert_eq!(
        (
            invite.creator_id.as_str(),
            invite.max_uses,
            invite.uses,
            invite.needs_approval
        ),
        ("adam", 5, 0, true)
    );
    let valid_s = invite.expires_at.unwrap().seconds - invite.created_at.unwrap().seconds;
    assert!((3_599..=3_601).contains(&valid_s), "{valid_s}");
    let for_ever = CreateGroupInviteRequest {
        valid_for: None,
        max_uses: 0,
        ..request(&scene, "2")
    };
    let other = scene
        .invite_as("olga", for_ever)
        .await
        .unwrap()
        .response
        .invite
        .unwrap();
    assert_eq!((other.expires_at, other.max_uses), (None, 0));
    assert_ne!(other.token, invite.token);
}

#[tokio::test]
async fn a_repeat_answers_the_first_one_for_as_long_as_it_can_be_used() {
    let scene = Scene::new().await;
    let first = scene.invite_as("olga", request(&scene, "1")).await.unwrap().response;
    assert_eq!(
        scene.invite_as("olga", request(&scene, "1")).await.unwrap().response,
        first
    );
    let other = CreateGroupInviteRequest {
        max_uses: 6,
        ..request(&scene, "1")
    };
    assert_refused(
        scene.invite_as("olga", other).await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
    // Another one's id is another one.
    let others = scene.invite_as("adam", request(&scene, "1")).await.unwrap().response;
    assert_ne!(others.invite, first.invite);
    scene.revoke("olga", &first.invite.unwrap()).await.unwrap();
    assert_refused(
        scene.invite_as("olga", request(&scene, "1")).await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn a_group_has_so_many_that_can_be_used() {
    let scene = Scene::new().await;
    let first = scene.invite("first", request(&scene, "")).await;
    for number in 1..GROUP_INVITES_MAX {
        scene.invite(&number.to_string(), request(&scene, "")).await;
    }
    assert_refused(
        scene.invite_as("olga", request(&scene, "more")).await,
        Code::ResourceExhausted,
        "INVITE_LIMIT",
    );
    scene.revoke("olga", &first).await.unwrap();
    scene.invite_as("olga", request(&scene, "more")).await.unwrap();
}

#[tokio::test]
async fn members_may_not() {
    let scene = Scene::new().await;
    let refused = scene.invite_as("mia", request(&scene, "1")).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_PERMITTED");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let direct = scene.fixture.open_direct("olga", "mia").await;
    let of = |id: &ConversationId| CreateGroupInviteRequest {
        conversation_id: id.to_string(),
        ..request(&scene, "1")
    };
    assert_not_found([
        scene.invite_as("sam", request(&scene, "1")).await,
        scene.invite_as("olga", of(&ConversationId::generate())).await,
        scene.invite_as("olga", of(&direct)).await,
    ]);
    scene.delete("olga", "1").await.unwrap();
    assert_not_found([scene.invite_as("olga", request(&scene, "1")).await]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let bad = CreateGroupInviteRequest {
        conversation_id: "x".to_owned(),
        request_id: String::new(),
        valid_for: Some(Duration { seconds: 59, nanos: 0 }),
        max_uses: -1,
        needs_approval: false,
    };
    assert_eq!(
        bad_fields(scene.invite_as("olga", bad).await),
        ["conversation_id", "request_id", "valid_for", "max_uses"]
    );
    for (seconds, nanos) in [(i64::MIN, 0), (i64::MAX, 1), (-60, 0), (60, -1), (365 * 86_400, 1)] {
        let bad = CreateGroupInviteRequest {
            valid_for: Some(Duration { seconds, nanos }),
            ..request(&scene, "1")
        };
        assert_eq!(bad_fields(scene.invite_as("olga", bad).await), ["valid_for"]);
    }
    let bad = CreateGroupInviteRequest {
        max_uses: INVITE_USES_MAX + 1,
        ..request(&scene, "1")
    };
    assert_eq!(bad_fields(scene.invite_as("olga", bad).await), ["max_uses"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: CreateGroupInvite = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "1")).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_one_round_trip() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: CreateGroupInvite = proxies.operation();
    call(&operation, "olga", request(&scene, "1")).await.unwrap();
    proxies.postgres.reset_counts();
    call(&operation, "olga", request(&scene, "2")).await.unwrap();
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
