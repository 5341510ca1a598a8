//! Groups come into being, on real databases.

use chat_contract::v1::{GroupPermission, GroupRole, MembershipEndReason};
use chat_operation::Code;
use chat_stores::GroupAction;
use chat_testing::{Fixture, call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_refused, bad_fields, create, id_of, roles, settings, to, told};

#[tokio::test]
async fn friends_become_members_and_strangers_are_named() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    fixture.befriend("alice", "carol").await;
    let operation: CreateGroup = fixture.operation();

    let answer = call(&operation, "alice", create("1", &["carol", "sam", "bob", "bob"]))
        .await
        .unwrap();

    let conversation = answer.response.conversation.unwrap();
    assert_eq!(answer.response.not_added_user_ids, ["sam"]);
    let expected = [
        ("alice", GroupRole::Owner),
        ("bob", GroupRole::Member),
        ("carol", GroupRole::Member),
    ];
    assert_eq!(
        roles(&conversation),
        expected.map(|(user, role)| (user.to_owned(), role))
    );
    let group = conversation.group.clone().unwrap();
    assert_eq!(
        (
            group.name.as_str(),
            group.member_count,
            group.role(),
            group.state_revision
        ),
        ("Trains", 3, GroupRole::Owner, 1)
    );
    let usual = settings(
        &[GroupPermission::SendMessages, GroupPermission::AddMembers],
        &[
            GroupPermission::SendMessages,
            GroupPermission::AddMembers,
            GroupPermission::EditInfo,
            GroupPermission::RemoveMembers,
            GroupPermission::ManageInvites,
        ],
        false,
    );
    assert_eq!(group.settings, Some(usual));
    assert_eq!((conversation.revision, conversation.unread_count), (1, 0));
    assert_eq!(
        told(&answer.notices),
        [
            to(&["alice"], Told::Opened(GroupRole::Owner)),
            to(&["bob"], Told::Opened(GroupRole::Member)),
            to(&["carol"], Told::Opened(GroupRole::Member)),
        ]
    );
    assert_eq!(
        answer.seal,
        [id_of(&conversation)],
        "its outbox is emptied after the answer"
    );
}

#[tokio::test]
async fn its_beginning_stands_in_the_timeline_and_the_outbox_is_emptied() {
    let scene = Scene::new().await;
    let first = scene.timeline().await.remove(&1).flatten().unwrap();
    assert_eq!(
        (first.action, first.actor.as_str(), first.after_seq),
        (GroupAction::Created, "olga", 0)
    );
    assert_eq!(first.users, ["adam", "max", "mia"]);
    assert_eq!(first.name, "Trains");
    assert_eq!(scene.pending().await, 2);
    scene.seal().await;
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn a_repeat_answers_the_first_group_as_it_is_now() {
    let scene = Scene::new().await;
    let operation: CreateGroup = scene.fixture.operation();
    scene.remove("olga", "max", "1").await.unwrap();

    let again = call(&operation, "olga", create("scene", &["adam", "mia", "max"]))
        .await
        .unwrap();

    let conversation = again.response.conversation.unwrap();
    assert_eq!(id_of(&conversation), scene.group);
    assert_eq!(
        roles(&conversation),
        scene.roles("olga").await,
        "who was removed stays removed"
    );
    assert_eq!(
        told(&again.notices),
        [
            to(&["adam"], Told::Poked(0)),
            to(&["adam", "mia", "olga"], Told::Poked(3)),
            to(&["max"], Told::Ended(MembershipEndReason::Unspecified)),
            to(&["mia"], Told::Poked(0)),
        ],
        "the first may have told nobody"
    );
    let groups: i64 = sqlx::query_scalar("SELECT count(*) FROM groups")
        .fetch_one(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    assert_eq!(groups, 1);
}

#[tokio::test]
async fn an_id_is_used_for_one_group() {
    let scene = Scene::new().await;
    let operation: CreateGroup = scene.fixture.operation();
    let other = call(&operation, "olga", create("scene", &["adam"])).await;
    assert_refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
    // Of another user, it is another one.
    assert!(call(&operation, "adam", create("scene", &["olga"])).await.is_ok());
}

#[tokio::test]
async fn twins_make_one_group() {
    let fixture = Fixture::new().await;
    fixture.befriend("alice", "bob").await;
    let one: CreateGroup = fixture.operation();
    let other: CreateGroup = fixture.operation();
    let (one, other) = tokio::join!(
        call(&one, "alice", create("twin", &["bob"])),
        call(&other, "alice", create("twin", &["bob"]))
    );
    let id = |called: chat_testing::Called<CreateGroup>| id_of(&called.unwrap().response.conversation.unwrap());
    assert_eq!(id(one), id(other));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let operation: CreateGroup = fixture.operation();
    let bad = CreateGroupRequest {
        request_id: String::new(),
        name: " ".to_owned(),
        description: "x".repeat(1_001),
        avatar_url: "http://example.com".to_owned(),
        user_ids: vec!["alice".to_owned(), "no one".to_owned()],
        settings: Some(settings(&[GroupPermission::RemoveMembers], &[], false)),
    };
    assert_eq!(
        bad_fields(call(&operation, "alice", bad).await),
        [
            "request_id",
            "name",
            "description",
            "avatar_url",
            "user_ids",
            "user_ids",
            "settings.member_permissions"
        ]
    );
    let many = CreateGroupRequest {
        user_ids: (0..100).map(|number| format!("user-{number}")).collect(),
        ..create("many", &[])
    };
    assert_eq!(bad_fields(call(&operation, "alice", many).await), ["user_ids"]);
    let unknown = CreateGroupRequest {
        settings: Some(chat_contract::v1::GroupSettings {
            member_permissions: vec![99],
            admin_permissions: vec![0],
            shows_history: true,
        }),
        ..create("unknown", &[])
    };
    assert_eq!(
        bad_fields(call(&operation, "alice", unknown).await),
        ["settings.member_permissions", "settings.admin_permissions"]
    );
}

#[tokio::test]
async fn a_group_may_be_of_one_and_of_a_hundred() {
    let fixture = Fixture::new().await;
    let operation: CreateGroup = fixture.operation();
    let alone = call(&operation, "alice", create("alone", &[])).await.unwrap();
    assert_eq!(roles(&alone.response.conversation.unwrap()).len(), 1);
    let friends: Vec<String> = (0..99).map(|number| format!("friend-{number:02}")).collect();
    for friend in &friends {
        fixture.befriend("alice", friend).await;
    }
    let friends: Vec<&str> = friends.iter().map(String::as_str).collect();
    let full = call(&operation, "alice", create("full", &friends)).await.unwrap();
    assert_eq!(full.response.conversation.unwrap().members.len(), 100);
    assert_eq!(full.notices.len(), 100);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let operation: CreateGroup = fixture.operation();
    let failure = call_without_token(&operation, create("1", &[])).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: CreateGroup = proxies.operation();
    // The first call makes the connections.
    call(&operation, "olga", create("warm", &["adam", "mia"]))
        .await
        .unwrap();
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "olga", create("counted", &["adam", "mia"]))
        .await
        .unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 1));
}
