//! Members are removed, on real databases.

use chat_contract::v1::{GroupAction, GroupRole, MembershipEndReason};
use chat_operation::Code;
use chat_testing::{call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

fn request(scene: &Scene, user_id: &str, request_id: &str) -> RemoveGroupMemberRequest {
    RemoveGroupMemberRequest {
        conversation_id: scene.group.to_string(),
        user_id: user_id.to_owned(),
        request_id: request_id.to_owned(),
    }
}

#[tokio::test]
async fn who_is_removed_is_told_and_sees_nothing_any_more() {
    let scene = Scene::new().await;
    let answer = scene.remove("adam", "mia", "1").await.unwrap();
    assert_eq!(
        told(&answer.notices),
        [
            to(&["adam", "max", "olga"], Told::Changed(GroupAction::MemberRemoved, 3)),
            to(&["mia"], Told::Ended(MembershipEndReason::Removed)),
        ]
    );
    let conversation = answer.response.conversation.unwrap();
    assert_eq!(
        (conversation.members.len(), conversation.group.unwrap().member_count),
        (3, 3)
    );
    assert!(scene.seen_by("mia").await.is_none());
    // As for a group that does not exist, whatever they try.
    assert_not_found([
        scene.remove("mia", "max", "1").await,
        scene.remove("mia", "adam", "2").await,
    ]);
}

#[tokio::test]
async fn a_repeat_does_not_remove_who_came_back() {
    let scene = Scene::new().await;
    scene.remove("olga", "mia", "1").await.unwrap();
    scene.add("olga", &["mia"], "2").await.unwrap();
    scene.remove("olga", "mia", "1").await.unwrap();
    let mia = scene.seen_by("mia").await.expect("they are still a member");
    let own = mia.members.iter().find(|member| member.user_id == "mia").unwrap();
    assert_eq!((own.joined_revision, own.role()), (4, GroupRole::Member));
    assert_refused(
        scene.remove("olga", "max", "1").await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn nobody_removes_a_role_as_high_as_their_own() {
    let scene = Scene::new().await;
    for (caller, user) in [("mia", "max"), ("mia", "adam"), ("mia", "olga"), ("adam", "olga")] {
        assert_refused(
            scene.remove(caller, user, "1").await,
            Code::FailedPrecondition,
            "NOT_PERMITTED",
        );
    }
    scene.set_role("olga", "mia", GroupRole::Admin, "1").await.unwrap();
    assert_refused(
        scene.remove("adam", "mia", "2").await,
        Code::FailedPrecondition,
        "NOT_PERMITTED",
    );
    assert!(scene.remove("olga", "mia", "3").await.is_ok());
}

#[tokio::test]
async fn who_is_no_member_cannot_be_removed() {
    let scene = Scene::new().await;
    for user in ["nina", "nobody"] {
        assert_refused(
            scene.remove("olga", user, "1").await,
            Code::NotFound,
            "MEMBER_NOT_FOUND",
        );
    }
    // Of another group of theirs.
    let other = Scene::new().await;
    other.add("olga", &["nina"], "1").await.unwrap();
    assert_refused(
        scene.remove("olga", "nina", "2").await,
        Code::NotFound,
        "MEMBER_NOT_FOUND",
    );
}

#[tokio::test]
async fn who_sends_while_they_are_removed_is_before_it_or_refused() {
    use chat_stores::postgres::{Append, Outcome};
    let scene = Scene::new().await;
    let postgres = scene.postgres();
    let append = Append {
        conversation: scene.group,
        actor: &chat_testing::user("mia"),
        op_id_hash: &[1; 32],
        content_hash: &[1; 32],
        is_message: true,
        after: 0,
        floor_revision: 0,
        floor_seq: 0,
        read_seq: 0,
    };
    let (removed, sent) = tokio::join!(scene.remove("olga", "mia", "1"), postgres.append(&append));
    let removed = removed.unwrap().response.conversation.unwrap();
    match sent.unwrap().outcome {
        Outcome::Placed(place) => {
            assert_eq!(place.revision, 3);
            assert!(place.members.users().contains(&chat_testing::user("mia")));
        }
        Outcome::NotFound => assert_eq!(removed.revision, 3),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        postgres.append(&append).await.unwrap().outcome,
        Outcome::NotFound
    ));
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: RemoveGroupMember = scene.fixture.operation();
    let missing = RemoveGroupMemberRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "mia", "1")
    };
    assert_not_found([
        scene.remove("sam", "mia", "1").await,
        call(&operation, "olga", missing).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: RemoveGroupMember = scene.fixture.operation();
    let bad = RemoveGroupMemberRequest {
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
    let operation: RemoveGroupMember = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "mia", "1"))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: RemoveGroupMember = proxies.operation();
    // The first call makes the connections.
    let _ = call(&operation, "olga", request(&scene, "max", "warm")).await;
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
