//! Groups are joined by links, on real databases.

use chat_contract::v1::{CreateGroupInviteRequest, GroupAction, GroupInvite, GroupRole};
use chat_operation::Code;
use chat_stores::GroupAction as Action;
use chat_testing::{Filter, call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_refused, bad_fields, to, told};

fn request(invite: &GroupInvite, request_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        token: invite.token.clone(),
        request_id: request_id.to_owned(),
    }
}

fn by_approval() -> CreateGroupInviteRequest {
    CreateGroupInviteRequest {
        needs_approval: true,
        ..CreateGroupInviteRequest::default()
    }
}

fn uses(max_uses: i32) -> CreateGroupInviteRequest {
    CreateGroupInviteRequest {
        max_uses,
        ..CreateGroupInviteRequest::default()
    }
}

#[tokio::test]
async fn whoever_has_the_link_is_a_member_and_all_are_told() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let joined = scene.join("sam", &invite, "1").await.unwrap();
    let conversation = joined.response.conversation.unwrap();
    assert_eq!(
        (conversation.members.len(), conversation.group.unwrap().role()),
        (5, GroupRole::Member)
    );
    assert_eq!(
        told(&joined.notices),
        [
            to(
                &["adam", "max", "mia", "olga"],
                Told::Changed(GroupAction::MemberJoined, 3)
            ),
            to(&["sam"], Told::Opened(GroupRole::Member)),
        ]
    );
    assert_eq!(joined.seal, [scene.group]);
    let entry = scene.timeline().await.remove(&3).flatten().unwrap();
    assert_eq!((entry.action, entry.actor.as_str()), (Action::MemberJoined, "sam"));
}

#[tokio::test]
async fn where_it_is_needed_they_ask_and_those_who_may_answer_are_told_once() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", by_approval()).await;
    let asked = scene.join("sam", &invite, "1").await.unwrap();
    assert_eq!(asked.response, JoinGroupResponse::default());
    assert_eq!(
        told(&asked.notices),
        [to(&["adam", "olga"], Told::Asked("sam".to_owned()))]
    );
    assert_eq!(asked.seal, []);
    assert_eq!(scene.asking().await, ["sam"]);
    let again = scene.join("sam", &invite, "2").await.unwrap();
    assert_eq!((again.response, again.notices), (JoinGroupResponse::default(), vec![]));
    assert_eq!(scene.asking().await, ["sam"]);
    assert!(scene.seen_by("sam").await.is_none());
}

#[tokio::test]
async fn a_repeat_asks_no_more_however_it_was_answered_and_another_call_does() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", by_approval()).await;
    scene.join("sam", &invite, "1").await.unwrap();
    // Unanswered, those who may answer are told again: the first call may have died before it told them.
    let again = scene.join("sam", &invite, "1").await.unwrap();
    assert_eq!(
        told(&again.notices),
        [to(&["adam", "olga"], Told::Asked("sam".to_owned()))]
    );
    scene.answer("adam", "sam", false, "1").await.unwrap();
    let repeated = scene.join("sam", &invite, "1").await.unwrap();
    assert_eq!(
        (repeated.response, repeated.notices),
        (JoinGroupResponse::default(), vec![])
    );
    assert_eq!(scene.asking().await, [""; 0]);
    scene.join("sam", &invite, "2").await.unwrap();
    assert_eq!(scene.asking().await, ["sam"]);
    // Let in, and gone again, a late repeat asks for nothing.
    scene.answer("adam", "sam", true, "2").await.unwrap();
    scene.leave("sam", "3").await.unwrap();
    scene.join("sam", &invite, "2").await.unwrap_err();
    assert_eq!(scene.asking().await, [""; 0]);
}

#[tokio::test]
async fn who_comes_otherwise_asks_no_more() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", by_approval()).await;
    scene.join("nina", &invite, "1").await.unwrap();
    scene.add("olga", &["nina"], "1").await.unwrap();
    scene.leave("nina", "2").await.unwrap();
    assert_eq!(scene.asking().await, [""; 0]);
    assert_refused(
        scene.answer("adam", "nina", true, "1").await,
        Code::NotFound,
        "JOIN_REQUEST_NOT_FOUND",
    );
}

#[tokio::test]
async fn who_left_before_they_were_removed_asks_as_who_was_removed() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    scene.leave("max", "1").await.unwrap();
    assert_refused(
        scene.remove("olga", "max", "1").await,
        Code::NotFound,
        "MEMBER_NOT_FOUND",
    );
    assert_eq!(
        scene.join("max", &invite, "2").await.unwrap().response.conversation,
        None
    );
}

#[tokio::test]
async fn a_dead_link_waits_for_nobody() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    scene.revoke("olga", &invite).await.unwrap();
    let mut session = scene.fixture.connect_postgres().await;
    sqlx::query("BEGIN").execute(&mut session).await.unwrap();
    sqlx::query("SELECT FROM conversations WHERE conversation_id = $1 FOR NO KEY UPDATE")
        .bind(scene.group.uuid())
        .execute(&mut session)
        .await
        .unwrap();
    assert_refused(
        scene.join("sam", &invite, "1").await,
        Code::NotFound,
        "INVITE_NOT_FOUND",
    );
}

#[tokio::test]
async fn who_was_removed_asks_and_who_left_does_not() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    scene.remove("olga", "mia", "1").await.unwrap();
    scene.leave("max", "1").await.unwrap();
    assert_eq!(
        scene.join("mia", &invite, "1").await.unwrap().response.conversation,
        None
    );
    assert!(
        scene
            .join("max", &invite, "2")
            .await
            .unwrap()
            .response
            .conversation
            .is_some()
    );
    // Let in again, they are as anybody.
    scene.answer("adam", "mia", true, "1").await.unwrap();
    scene.leave("mia", "2").await.unwrap();
    assert!(
        scene
            .join("mia", &invite, "3")
            .await
            .unwrap()
            .response
            .conversation
            .is_some()
    );
}

#[tokio::test]
async fn a_repeat_changes_nothing_that_came_after_it() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", uses(1)).await;
    let joined = scene.join("sam", &invite, "1").await.unwrap();
    let again = scene.join("sam", &invite, "1").await.unwrap();
    assert_eq!(again.response, joined.response, "also when the invite is used up");
    assert_eq!(
        told(&again.notices),
        [
            to(&["adam", "max", "mia", "olga", "sam"], Told::Poked(3)),
            to(&["sam"], Told::Poked(0))
        ]
    );
    scene.leave("sam", "2").await.unwrap();
    assert_refused(
        scene.join("sam", &invite, "1").await,
        Code::NotFound,
        "CONVERSATION_NOT_FOUND",
    );
    assert!(scene.seen_by("sam").await.is_none(), "they stay out");
    let other = scene.invite("2", uses(1)).await;
    assert_refused(
        scene.join("sam", &other, "1").await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn who_is_a_member_uses_up_nothing() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", uses(1)).await;
    let joined = scene.join("mia", &invite, "1").await.unwrap();
    assert_eq!(joined.response.conversation.unwrap().revision, 2);
    assert_eq!(joined.notices, []);
    scene.join("sam", &invite, "1").await.unwrap();
}

#[tokio::test]
async fn of_many_at_once_as_many_join_as_may() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", uses(2)).await;
    let users: Vec<String> = (0..6).map(|number| format!("user-{number}")).collect();
    let joins = users.iter().map(|user| scene.join(user, &invite, "1"));
    let joined = futures::future::join_all(joins).await;
    assert_eq!(joined.iter().filter(|joined| joined.is_ok()).count(), 2);
    for refused in joined.into_iter().filter(Result::is_err) {
        assert_refused(refused, Code::NotFound, "INVITE_NOT_FOUND");
    }
    assert_eq!(scene.roles("olga").await.len(), 6);
}

#[tokio::test]
async fn a_full_group_and_a_user_with_too_many_conversations_are_refused() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    scene.fill_conversations_of("sam").await;
    assert_refused(
        scene.join("sam", &invite, "1").await,
        Code::ResourceExhausted,
        "CONVERSATION_LIMIT",
    );
    scene.count_members_as(chat_domain::GROUP_MEMBERS_MAX).await;
    assert_refused(
        scene.join("nina", &invite, "1").await,
        Code::ResourceExhausted,
        "GROUP_FULL",
    );
}

#[tokio::test]
async fn no_more_than_so_many_ask() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", by_approval()).await;
    sqlx::query(
        "INSERT INTO join_requests (conversation_id, user_id, requested_at, op, content)
         SELECT $1, 'user-' || n, now(), '', '' FROM generate_series(1, $2) n",
    )
    .bind(scene.group.uuid())
    .bind(chat_domain::JOIN_REQUESTS_MAX)
    .execute(&mut scene.fixture.connect_postgres().await)
    .await
    .unwrap();
    assert_refused(
        scene.join("sam", &invite, "1").await,
        Code::ResourceExhausted,
        "JOIN_REQUEST_LIMIT",
    );
}

#[tokio::test]
async fn a_caller_that_dies_before_the_entry_is_written_has_joined() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", uses(1)).await;
    let proxies = scene.fixture.with_proxies().await;
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let operation: JoinGroup = proxies.operation();
    let call_request = request(&invite, "1");
    let calling = tokio::spawn(async move { call(&operation, "sam", call_request).await });
    held.caught().await;
    calling.abort();
    held.drop_connection();
    assert!(calling.await.unwrap_err().is_cancelled());
    let again = scene.join("sam", &invite, "1").await.unwrap();
    assert_eq!(again.response.conversation.unwrap().members.len(), 5);
    assert!(scene.timeline().await[&3].is_some());
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: JoinGroup = scene.fixture.operation();
    assert_eq!(
        bad_fields(call(&operation, "sam", JoinGroupRequest::default()).await),
        ["token", "request_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: JoinGroup = scene.fixture.operation();
    let failure = call_without_token(&operation, JoinGroupRequest::default())
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo() {
    let scene = Scene::new().await;
    let invite = scene.invite("1", CreateGroupInviteRequest::default()).await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: JoinGroup = proxies.operation();
    call(&operation, "sam", request(&invite, "1")).await.unwrap();
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();
    call(&operation, "nina", request(&invite, "1")).await.unwrap();
    assert_eq!(
        (
            proxies.postgres.counts().round_trips,
            proxies.mongo.counts().round_trips
        ),
        (2, 1)
    );
}
