//! Groups are handed over, on real databases.

use chat_contract::v1::{GroupAction, GroupRole};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

fn request(scene: &Scene, user_id: &str, request_id: &str) -> TransferGroupOwnershipRequest {
    TransferGroupOwnershipRequest {
        conversation_id: scene.group.to_string(),
        user_id: user_id.to_owned(),
        request_id: request_id.to_owned(),
    }
}

async fn owners(scene: &Scene) -> Vec<String> {
    let roles = scene.roles("adam").await.into_iter();
    roles
        .filter(|(_, role)| *role == GroupRole::Owner)
        .map(|(user, _)| user)
        .collect()
}

#[tokio::test]
async fn the_member_owns_it_and_the_owner_is_an_admin() {
    let scene = Scene::new().await;
    let answer = scene.transfer("olga", "mia", "1").await.unwrap();
    assert_eq!(
        told(&answer.notices),
        [to(
            &["adam", "max", "mia", "olga"],
            Told::Changed(GroupAction::OwnershipTransferred, 3)
        )]
    );
    assert_eq!(
        answer.response.conversation.unwrap().group.unwrap().role(),
        GroupRole::Admin
    );
    assert_eq!(owners(&scene).await, ["mia"]);
}

#[tokio::test]
async fn a_repeat_does_not_take_it_from_who_owns_it_since() {
    let scene = Scene::new().await;
    scene.transfer("olga", "mia", "1").await.unwrap();
    scene.transfer("mia", "olga", "1").await.unwrap();
    scene.transfer("olga", "mia", "1").await.unwrap();
    assert_eq!(owners(&scene).await, ["olga"]);
    assert_refused(
        scene.transfer("olga", "max", "1").await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn the_owner_alone_may_and_to_members_only() {
    let scene = Scene::new().await;
    for caller in ["adam", "mia"] {
        assert_refused(
            scene.transfer(caller, "max", "1").await,
            Code::FailedPrecondition,
            "NOT_PERMITTED",
        );
    }
    assert_refused(
        scene.transfer("olga", "nina", "1").await,
        Code::NotFound,
        "MEMBER_NOT_FOUND",
    );
}

#[tokio::test]
async fn of_two_at_once_one_is_made() {
    let scene = Scene::new().await;
    let (one, other) = tokio::join!(scene.transfer("olga", "mia", "1"), scene.transfer("olga", "max", "2"));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|it| **it).count(), 1);
    assert_eq!(owners(&scene).await.len(), 1);
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: TransferGroupOwnership = scene.fixture.operation();
    let missing = TransferGroupOwnershipRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "mia", "1")
    };
    assert_not_found([
        scene.transfer("sam", "mia", "1").await,
        call(&operation, "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: TransferGroupOwnership = scene.fixture.operation();
    let bad = TransferGroupOwnershipRequest {
        conversation_id: String::new(),
        user_id: "olga".to_owned(),
        request_id: String::new(),
    };
    assert_eq!(
        bad_fields(call(&operation, "olga", bad).await),
        ["conversation_id", "user_id", "request_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: TransferGroupOwnership = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "mia", "1"))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: TransferGroupOwnership = proxies.operation();
    // The first calls make the connections: of Mongo too, with a group that is handed over before.
    let other: crate::CreateGroup = scene.fixture.operation();
    let other = call(&other, "olga", crate::scene::create("other", &["mia"]))
        .await
        .unwrap();
    let warm = TransferGroupOwnershipRequest {
        conversation_id: other.response.conversation.unwrap().conversation_id,
        ..request(&scene, "mia", "warm")
    };
    call(&operation, "olga", warm).await.unwrap();
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "olga", request(&scene, "mia", "counted"))
        .await
        .unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1));
}
