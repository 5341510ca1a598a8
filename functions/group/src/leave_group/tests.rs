//! Members leave, on real databases.

use chat_contract::v1::{GroupAction, GroupRole, MembershipEndReason};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

fn request(scene: &Scene, request_id: &str) -> LeaveGroupRequest {
    LeaveGroupRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
    }
}

#[tokio::test]
async fn who_leaves_is_gone_and_the_others_are_told() {
    let scene = Scene::new().await;
    let answer = scene.leave("mia", "1").await.unwrap();
    assert_eq!(
        told(&answer.notices),
        [
            to(&["adam", "max", "olga"], Told::Changed(GroupAction::MemberLeft, 3)),
            to(&["mia"], Told::Ended(MembershipEndReason::Left)),
        ]
    );
    assert!(scene.seen_by("mia").await.is_none());
    let left = scene.timeline().await.remove(&3).flatten().unwrap();
    assert_eq!((left.actor.as_str(), left.users.len()), ("mia", 0));
    assert_not_found([scene.leave("mia", "2").await]);
}

#[tokio::test]
async fn a_repeat_is_answered_and_does_not_end_what_began_after_it() {
    let scene = Scene::new().await;
    scene.leave("mia", "1").await.unwrap();
    assert_eq!(
        told(&scene.leave("mia", "1").await.unwrap().notices),
        [
            to(&["adam", "max", "olga"], Told::Poked(3)),
            to(&["mia"], Told::Ended(MembershipEndReason::Unspecified))
        ]
    );
    scene.add("olga", &["mia"], "1").await.unwrap();
    scene.leave("mia", "1").await.unwrap();
    assert!(scene.seen_by("mia").await.is_some());
}

#[tokio::test]
async fn an_owner_cannot_leave_before_handing_over() {
    let scene = Scene::new().await;
    assert_refused(
        scene.leave("olga", "1").await,
        Code::FailedPrecondition,
        "OWNER_CANNOT_LEAVE",
    );
    scene.transfer("olga", "mia", "2").await.unwrap();
    scene.leave("olga", "3").await.unwrap();
    let owners = scene.roles("mia").await;
    assert_eq!(owners.iter().filter(|(_, role)| *role == GroupRole::Owner).count(), 1);
}

#[tokio::test]
async fn whoever_leaves_while_they_are_promoted_is_gone_or_in_the_role() {
    let scene = Scene::new().await;
    let (left, promoted) = tokio::join!(
        scene.leave("mia", "1"),
        scene.set_role("olga", "mia", GroupRole::Admin, "1")
    );
    left.unwrap();
    if let Err(failure) = promoted {
        assert_eq!(failure.reason(), "MEMBER_NOT_FOUND");
    }
    assert!(scene.seen_by("mia").await.is_none());
    scene.add("olga", &["mia"], "2").await.unwrap();
    let roles = scene.roles("mia").await;
    assert!(
        roles.contains(&("mia".to_owned(), GroupRole::Member)),
        "a role ends with the membership"
    );
}

#[tokio::test]
async fn there_is_one_owner_however_leaving_and_handing_over_meet() {
    let scene = Scene::new().await;
    let (handed_over, left) = tokio::join!(scene.transfer("olga", "mia", "1"), scene.leave("mia", "1"));
    match (handed_over.is_ok(), left.is_ok()) {
        (true, false) => {
            assert_refused(left, Code::FailedPrecondition, "OWNER_CANNOT_LEAVE");
            assert_eq!(
                scene.seen_by("mia").await.unwrap().group.unwrap().role(),
                GroupRole::Owner
            );
        }
        (false, true) => {
            assert_refused(handed_over, Code::NotFound, "MEMBER_NOT_FOUND");
            assert_eq!(
                scene.seen_by("olga").await.unwrap().group.unwrap().role(),
                GroupRole::Owner
            );
        }
        both => panic!("{both:?}"),
    }
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: LeaveGroup = scene.fixture.operation();
    let missing = LeaveGroupRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "1")
    };
    let direct = LeaveGroupRequest {
        conversation_id: scene.fixture.open_direct("mia", "nina").await.to_string(),
        ..request(&scene, "1")
    };
    assert_not_found([
        scene.leave("sam", "1").await,
        call(&operation, "mia", missing).await,
        call(&operation, "mia", direct).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: LeaveGroup = scene.fixture.operation();
    let bad = LeaveGroupRequest {
        conversation_id: "1".to_owned(),
        request_id: "\u{e9}".to_owned(),
    };
    assert_eq!(
        bad_fields(call(&operation, "mia", bad).await),
        ["conversation_id", "request_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: LeaveGroup = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "1")).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

/// The round trips of Postgres and of Mongo that a call makes.
async fn costs(scene: &Scene) -> (u64, u64) {
    let proxies = scene.fixture.with_proxies().await;
    let operation: LeaveGroup = proxies.operation();
    // The first call makes the connections.
    call(&operation, "max", request(scene, "warm")).await.unwrap();
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "mia", request(scene, "counted")).await.unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo_and_2_more_where_not_all_members_are_named() {
    let scene = Scene::new().await;
    assert_eq!(costs(&scene).await, (2, 1));
    let scene = Scene::new().await;
    scene.count_members_as(104).await;
    assert_eq!(costs(&scene).await, (4, 1));
}
