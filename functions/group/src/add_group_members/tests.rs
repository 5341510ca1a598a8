//! Friends come into a group, on real databases.

use chat_contract::v1::{GroupAction, GroupRole, MembershipEndReason};
use chat_domain::{GROUP_MEMBERS_MAX, GroupAdders};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, roles, to, told};

fn request(scene: &Scene, request_id: &str, users: &[&str]) -> AddGroupMembersRequest {
    AddGroupMembersRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
        user_ids: users.iter().map(|&user| user.to_owned()).collect(),
    }
}

#[tokio::test]
async fn friends_are_added_and_told_and_strangers_are_named() {
    let scene = Scene::new().await;
    let answer = scene.add("adam", &["sam", "nina", "mia", "nina"], "1").await.unwrap();
    assert_eq!(answer.response.not_added_user_ids, ["sam"]);
    let conversation = answer.response.conversation.unwrap();
    assert_eq!(conversation.group.as_ref().unwrap().member_count, 5);
    let nina = conversation
        .members
        .iter()
        .find(|member| member.user_id == "nina")
        .unwrap();
    assert_eq!(
        (nina.role(), nina.joined_revision, nina.read_seq),
        (GroupRole::Member, 3, 0)
    );
    assert_eq!(
        told(&answer.notices),
        [
            to(
                &["adam", "max", "mia", "olga"],
                Told::Changed(GroupAction::MembersAdded, 3)
            ),
            to(&["nina"], Told::Opened(GroupRole::Member)),
        ]
    );
    let added = scene.timeline().await.remove(&3).flatten().unwrap();
    assert_eq!((added.actor.as_str(), added.users), ("adam", vec!["nina".to_owned()]));
    assert_eq!(roles(&scene.seen_by("nina").await.unwrap()).len(), 5);
}

#[tokio::test]
async fn who_is_a_member_already_stays_as_they_are() {
    let scene = Scene::new().await;
    let answer = scene.add("olga", &["adam", "mia"], "1").await.unwrap();
    assert_eq!((answer.notices.len(), answer.response.not_added_user_ids.len()), (0, 0));
    assert_eq!(scene.roles("adam").await[0].1, GroupRole::Admin);
    assert_eq!(answer.response.conversation.unwrap().revision, 2);
}

#[tokio::test]
async fn users_say_who_may_add_them() {
    let scene = Scene::new().await;
    let (postgres, user) = (scene.postgres(), chat_testing::user);
    for (who, adders) in [("nina", GroupAdders::Nobody), ("sam", GroupAdders::Anyone)] {
        postgres
            .update_user_settings(&user(who), Some(adders))
            .await
            .unwrap()
            .unwrap();
    }
    let added = scene.add("olga", &["nina", "sam", "zoe"], "1").await.unwrap().response;
    assert_eq!(
        added.not_added_user_ids,
        ["nina", "zoe"],
        "a friend says no, a stranger says yes"
    );
    assert!(scene.seen_by("sam").await.is_some());
    postgres
        .update_user_settings(&user("nina"), Some(GroupAdders::Friends))
        .await
        .unwrap()
        .unwrap();
    let added = scene.add("olga", &["nina"], "2").await.unwrap().response;
    assert_eq!(added.not_added_user_ids, [""; 0]);
}

#[tokio::test]
async fn a_repeat_adds_nobody_who_has_left_since() {
    let scene = Scene::new().await;
    scene.add("olga", &["nina"], "1").await.unwrap();
    scene.leave("nina", "1").await.unwrap();
    let again = scene.add("olga", &["nina"], "1").await.unwrap();
    assert_eq!(again.response.not_added_user_ids, ["nina"], "they are not in it");
    assert!(scene.seen_by("nina").await.is_none());
    assert_eq!(
        told(&again.notices),
        [
            to(&["adam", "max", "mia", "olga"], Told::Poked(4)),
            to(&["nina"], Told::Ended(MembershipEndReason::Unspecified))
        ]
    );
    assert_refused(
        scene.add("olga", &["sam"], "1").await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn a_new_member_sees_history_where_the_group_shows_it() {
    let scene = Scene::new().await;
    let postgres = scene.postgres();
    let window = async |user: &str| {
        let membership = postgres
            .lookup_membership(scene.group, &chat_testing::user(user))
            .await
            .unwrap();
        let window = membership.unwrap().window;
        (window.edge(), window.edge_revision())
    };
    sqlx::query("UPDATE conversations SET message_count = 7 WHERE conversation_id = $1")
        .bind(scene.group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    scene.add("olga", &["nina"], "1").await.unwrap();
    assert_eq!(window("nina").await, (7, 2), "they see how they came");
    assert_eq!(window("mia").await, (0, 0));
    scene.remove("olga", "nina", "2").await.unwrap();
    sqlx::query("UPDATE groups SET shows_history = true WHERE conversation_id = $1")
        .bind(scene.group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    scene.add("olga", &["nina"], "3").await.unwrap();
    assert_eq!(window("nina").await, (0, 0));
    let nina = scene.seen_by("nina").await.unwrap();
    assert_eq!(nina.unread_count, 0, "what was said before is not unread to them");
}

#[tokio::test]
async fn a_full_group_takes_nobody_and_two_who_fill_it_do_not_overfill_it() {
    let scene = Scene::new().await;
    scene.count_members_as(GROUP_MEMBERS_MAX).await;
    assert_refused(
        scene.add("olga", &["nina"], "2").await,
        Code::ResourceExhausted,
        "GROUP_FULL",
    );
    scene.remove("olga", "max", "3").await.unwrap();
    let (one, other) = tokio::join!(scene.add("olga", &["nina"], "4"), scene.add("adam", &["max"], "4"));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|it| **it).count(), 1);
    let group = scene.seen_by("olga").await.unwrap().group.unwrap();
    assert_eq!(group.member_count, GROUP_MEMBERS_MAX);
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: AddGroupMembers = scene.fixture.operation();
    let missing = AddGroupMembersRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "1", &["nina"])
    };
    assert_not_found([
        call(&operation, "sam", request(&scene, "1", &["nina"])).await,
        call(&operation, "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: AddGroupMembers = scene.fixture.operation();
    let bad = AddGroupMembersRequest {
        conversation_id: "x".to_owned(),
        request_id: "x".repeat(65),
        user_ids: vec!["olga".to_owned(), String::new()],
    };
    assert_eq!(
        bad_fields(call(&operation, "olga", bad).await),
        ["conversation_id", "request_id", "user_ids", "user_ids"]
    );
    assert_eq!(bad_fields(scene.add("olga", &[], "1").await), ["user_ids"]);
    let many: Vec<String> = (0..101).map(|number| format!("user-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(bad_fields(scene.add("olga", &many, "1").await), ["user_ids"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: AddGroupMembers = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "1", &["nina"]))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: AddGroupMembers = proxies.operation();
    // The first call makes the connections.
    let _ = call(&operation, "olga", request(&scene, "warm", &["mia"])).await;
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "olga", request(&scene, "counted", &["nina"]))
        .await
        .unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1));
}
