//! Members get roles, on real databases.

use chat_contract::v1::GroupAction;
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

fn request(scene: &Scene, user_id: &str, role: GroupRole, request_id: &str) -> SetGroupMemberRoleRequest {
    SetGroupMemberRoleRequest {
        conversation_id: scene.group.to_string(),
        user_id: user_id.to_owned(),
        request_id: request_id.to_owned(),
        role: role.into(),
    }
}

#[tokio::test]
async fn a_member_becomes_an_admin_and_a_member_again() {
    let scene = Scene::new().await;
    for (role, revision) in [(GroupRole::Admin, 3), (GroupRole::Member, 4)] {
        let answer = scene
            .set_role("olga", "mia", role, &format!("r{revision}"))
            .await
            .unwrap();
        assert_eq!(
            told(&answer.notices),
            [to(
                &["adam", "max", "mia", "olga"],
                Told::Changed(GroupAction::RoleChanged, revision)
            )]
        );
        assert!(scene.roles("max").await.contains(&("mia".to_owned(), role)));
        let entry = scene.timeline().await.remove(&revision).flatten().unwrap();
        assert_eq!(entry.role.map(chat_view::role), Some(role));
    }
    // As it is already.
    let answer = scene.set_role("olga", "mia", GroupRole::Member, "5").await.unwrap();
    assert_eq!(
        (answer.notices.len(), answer.response.conversation.unwrap().revision),
        (0, 4)
    );
}

#[tokio::test]
async fn a_repeat_does_not_undo_what_came_after_it() {
    let scene = Scene::new().await;
    scene.set_role("olga", "mia", GroupRole::Admin, "1").await.unwrap();
    scene.set_role("olga", "mia", GroupRole::Member, "2").await.unwrap();
    scene.set_role("olga", "mia", GroupRole::Admin, "1").await.unwrap();
    assert!(
        scene
            .roles("mia")
            .await
            .contains(&("mia".to_owned(), GroupRole::Member))
    );
    let other = scene.set_role("olga", "max", GroupRole::Admin, "1").await;
    assert_refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn only_those_who_may_give_roles_below_their_own() {
    let scene = Scene::new().await;
    for (caller, user) in [("mia", "max"), ("adam", "mia"), ("adam", "olga"), ("mia", "adam")] {
        let set = scene.set_role(caller, user, GroupRole::Admin, "1").await;
        assert_refused(set, Code::FailedPrecondition, "NOT_PERMITTED");
    }
    sqlx::query("UPDATE conversations SET admin_may = 63 WHERE conversation_id = $1")
        .bind(scene.group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    scene.set_role("adam", "mia", GroupRole::Admin, "2").await.unwrap();
    // As high as their own by now.
    let set = scene.set_role("adam", "mia", GroupRole::Member, "3").await;
    assert_refused(set, Code::FailedPrecondition, "NOT_PERMITTED");
}

#[tokio::test]
async fn who_is_no_member_gets_no_role() {
    let scene = Scene::new().await;
    let set = scene.set_role("olga", "nina", GroupRole::Admin, "1").await;
    assert_refused(set, Code::NotFound, "MEMBER_NOT_FOUND");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: SetGroupMemberRole = scene.fixture.operation();
    let missing = SetGroupMemberRoleRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "mia", GroupRole::Admin, "1")
    };
    assert_not_found([
        scene.set_role("sam", "mia", GroupRole::Admin, "1").await,
        call(&operation, "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: SetGroupMemberRole = scene.fixture.operation();
    for role in [0, 3, 4, -1] {
        let bad = SetGroupMemberRoleRequest {
            role,
            ..SetGroupMemberRoleRequest::default()
        };
        assert_eq!(
            bad_fields(call(&operation, "olga", bad).await),
            ["conversation_id", "user_id", "request_id", "role"]
        );
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: SetGroupMemberRole = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "mia", GroupRole::Admin, "1"))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: SetGroupMemberRole = proxies.operation();
    // The first call makes the connections.
    let _ = call(&operation, "olga", request(&scene, "max", GroupRole::Admin, "warm")).await;
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "olga", request(&scene, "mia", GroupRole::Admin, "counted"))
        .await
        .unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1));
}
