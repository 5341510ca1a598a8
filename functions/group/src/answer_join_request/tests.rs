//! Who asks to join a group is answered, on real databases.

use chat_contract::v1::{CreateGroupInviteRequest, GroupAction, GroupInvite, GroupRole};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

/// A group that `sam` asks to join, by this invite.
async fn asked() -> (Scene, GroupInvite) {
    let scene = Scene::new().await;
    let invite = CreateGroupInviteRequest {
        needs_approval: true,
        ..CreateGroupInviteRequest::default()
    };
    let invite = scene.invite("1", invite).await;
    scene.join("sam", &invite, "1").await.unwrap();
    (scene, invite)
}

#[tokio::test]
async fn who_is_let_in_is_a_member_and_all_are_told() {
    let (scene, _) = asked().await;
    let answered = scene.answer("adam", "sam", true, "1").await.unwrap();
    assert_eq!(
        told(&answered.notices),
        [
            to(
                &["adam", "max", "mia", "olga"],
                Told::Changed(GroupAction::MembersAdded, 3)
            ),
            to(&["sam"], Told::Opened(GroupRole::Member)),
        ]
    );
    assert_eq!(answered.response.conversation.unwrap().members.len(), 5);
    assert_eq!(scene.asking().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_is_turned_away_is_not_told_and_may_ask_again() {
    let (scene, invite) = asked().await;
    let answered = scene.answer("adam", "sam", false, "1").await.unwrap();
    assert_eq!(answered.notices, []);
    assert!(scene.seen_by("sam").await.is_none());
    assert_refused(
        scene.answer("adam", "sam", true, "2").await,
        Code::NotFound,
        "JOIN_REQUEST_NOT_FOUND",
    );
    scene.join("sam", &invite, "2").await.unwrap();
    assert_eq!(scene.asking().await, ["sam"]);
    // A repeat turns nobody away who has asked since.
    scene.answer("adam", "sam", false, "1").await.unwrap();
    assert_eq!(scene.asking().await, ["sam"]);
}

#[tokio::test]
async fn a_repeat_lets_nobody_in_who_has_left_since() {
    let (scene, _) = asked().await;
    scene.answer("adam", "sam", true, "1").await.unwrap();
    scene.leave("sam", "2").await.unwrap();
    scene.answer("adam", "sam", true, "1").await.unwrap();
    assert!(scene.seen_by("sam").await.is_none());
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts() {
    let (scene, _) = asked().await;
    let (one, other) = tokio::join!(
        scene.answer("adam", "sam", true, "1"),
        scene.answer("olga", "sam", false, "1")
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    assert_eq!(scene.seen_by("sam").await.is_some(), one.is_ok());
}

#[tokio::test]
async fn there_must_be_room() {
    let (scene, _) = asked().await;
    scene.fill_conversations_of("sam").await;
    assert_refused(
        scene.answer("adam", "sam", true, "1").await,
        Code::FailedPrecondition,
        "USER_CONVERSATION_LIMIT",
    );
    scene.count_members_as(chat_domain::GROUP_MEMBERS_MAX).await;
    assert_refused(
        scene.answer("adam", "sam", true, "2").await,
        Code::ResourceExhausted,
        "GROUP_FULL",
    );
    assert_eq!(scene.asking().await, ["sam"], "they can be answered later");
}

#[tokio::test]
async fn members_may_not() {
    let (scene, _) = asked().await;
    let refused = scene.answer("mia", "sam", true, "1").await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_PERMITTED");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let (scene, _) = asked().await;
    let missing = AnswerJoinRequestRequest {
        conversation_id: ConversationId::generate().to_string(),
        user_id: "sam".to_owned(),
        request_id: "1".to_owned(),
        approve: true,
    };
    assert_not_found([
        scene.answer("nina", "sam", true, "1").await,
        call(&scene.fixture.operation::<AnswerJoinRequest>(), "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let (scene, _) = asked().await;
    let bad = AnswerJoinRequestRequest {
        conversation_id: "x".to_owned(),
        user_id: "olga".to_owned(),
        ..AnswerJoinRequestRequest::default()
    };
    assert_eq!(
        bad_fields(call(&scene.fixture.operation::<AnswerJoinRequest>(), "olga", bad).await),
        ["conversation_id", "user_id", "request_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let (scene, _) = asked().await;
    let operation: AnswerJoinRequest = scene.fixture.operation();
    let failure = call_without_token(&operation, AnswerJoinRequestRequest::default()).await;
    assert_eq!(failure.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let (scene, invite) = asked().await;
    scene.join("nina", &invite, "1").await.unwrap();
    let proxies = scene.fixture.with_proxies().await;
    let operation: AnswerJoinRequest = proxies.operation();
    let request = |user: &str| AnswerJoinRequestRequest {
        conversation_id: scene.group.to_string(),
        user_id: user.to_owned(),
        request_id: user.to_owned(),
        approve: true,
    };
    call(&operation, "olga", request("sam")).await.unwrap();
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();
    call(&operation, "olga", request("nina")).await.unwrap();
    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (2, 1)
    );
}
