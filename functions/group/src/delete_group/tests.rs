//! Groups end, on real databases.

use chat_contract::v1::{MembershipEndReason, MembershipEnded, live_event};
use chat_domain::Audience;
use chat_operation::{Code, Notice};
use chat_stores::postgres::{Append, Outcome};
use chat_testing::{call, call_without_token, user};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, to, told};

fn request(scene: &Scene, request_id: &str) -> DeleteGroupRequest {
    DeleteGroupRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
    }
}

#[tokio::test]
async fn it_is_not_there_for_anybody_any_more_and_all_are_told() {
    let scene = Scene::new().await;
    let answer = scene.delete("olga", "1").await.unwrap();
    assert_eq!(
        told(&answer.notices),
        ["adam", "max", "mia", "olga"].map(|member| to(&[member], Told::Ended(MembershipEndReason::GroupDeleted)))
    );
    let postgres = scene.postgres();
    for member in ["olga", "adam", "mia"] {
        assert!(scene.seen_by(member).await.is_none());
        let append = Append {
            conversation: scene.group,
            actor: &user(member),
            op_id_hash: &[1; 32],
            content_hash: &[1; 32],
            is_message: true,
            after: 0,
            floor_revision: 0,
            floor_seq: 0,
            read_seq: 0,
        };
        assert_eq!(postgres.append(&append).await.unwrap().outcome, Outcome::NotFound);
        assert_eq!(
            postgres.lookup_membership(scene.group, &user(member)).await.unwrap(),
            None
        );
    }
    assert_not_found([scene.delete("olga", "2").await, scene.delete("adam", "1").await]);
    assert_not_found([scene.leave("mia", "1").await]);
    assert_not_found([scene.add("olga", &["nina"], "3").await]);
}

#[tokio::test]
async fn a_repeat_is_answered_and_tells_as_the_first_did() {
    let scene = Scene::new().await;
    scene.delete("olga", "1").await.unwrap();
    let again = scene.delete("olga", "1").await.unwrap();
    // But for why, which a repeat does not say.
    let ended = Told::Ended(MembershipEndReason::Unspecified);
    let expected = ["adam", "max", "mia", "olga"].map(|member| to(&[member], ended.clone()));
    assert_eq!(told(&again.notices), expected);
}

#[tokio::test]
async fn the_owner_alone_may() {
    let scene = Scene::new().await;
    for caller in ["adam", "mia"] {
        assert_refused(
            scene.delete(caller, "1").await,
            Code::FailedPrecondition,
            "NOT_PERMITTED",
        );
    }
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let operation: DeleteGroup = scene.fixture.operation();
    let missing = DeleteGroupRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "1")
    };
    let direct = DeleteGroupRequest {
        conversation_id: scene.fixture.open_direct("olga", "nina").await.to_string(),
        ..request(&scene, "1")
    };
    assert_not_found([
        scene.delete("sam", "1").await,
        call(&operation, "olga", missing).await,
        call(&operation, "olga", direct).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let operation: DeleteGroup = scene.fixture.operation();
    assert_eq!(
        bad_fields(call(&operation, "olga", DeleteGroupRequest::default()).await),
        ["conversation_id", "request_id"]
    );
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: DeleteGroup = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "1")).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn it_costs_1_round_trip_of_postgres() {
    let scene = Scene::new().await;
    let other = crate::CreateGroup::from_settings(scene.fixture.settings()).unwrap();
    let created = call(&other, "olga", crate::scene::create("other", &[])).await.unwrap();
    let proxies = scene.fixture.with_proxies().await;
    let operation: DeleteGroup = proxies.operation();
    // The first call makes the connections.
    let warm = DeleteGroupRequest {
        conversation_id: created.response.conversation.unwrap().conversation_id,
        request_id: "warm".to_owned(),
    };
    call(&operation, "olga", warm).await.unwrap();
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(&operation, "olga", request(&scene, "counted")).await.unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 0));
}

/// More members than one call names, past the operations.
async fn crowd(scene: &Scene, members: i32) {
    sqlx::query(
        "SELECT begin_memberships($1, ARRAY(SELECT 'extra' || lpad(n::text, 5, '0') FROM generate_series(1, $2) n), 10000)",
    )
    .bind(scene.group.uuid())
    .bind(members)
    .execute(&mut scene.fixture.connect_postgres().await)
    .await
    .unwrap();
}

#[tokio::test]
async fn of_a_large_group_a_hundred_memberships_end_at_once_and_the_rest_is_left_to_the_queue_again_by_a_repeat() {
    let scene = Scene::new().await;
    crowd(&scene, 200).await;
    let deleted = scene.delete("olga", "1").await.unwrap();
    let ended = |notices: &[Notice]| {
        let left = notices.iter().filter(|notice| notice.recipients == Audience::Remaining);
        let left: Vec<_> = left.map(|notice| notice.event.event.clone().unwrap()).collect();
        (notices.len() - left.len(), left)
    };
    let reason = MembershipEndReason::GroupDeleted;
    let for_the_rest = live_event::Event::MembershipEnded(MembershipEnded { reason: reason.into() });
    assert_eq!(ended(&deleted.notices), (100, vec![for_the_rest.clone()]));
    // The owner's own membership is among those that are left, and they are no member all the same.
    assert!(scene.seen_by("olga").await.is_none());

    let again = scene.delete("olga", "1").await.unwrap();
    assert_eq!(ended(&again.notices), (100, vec![for_the_rest]));
    let postgres = scene.postgres();
    let mut rounds = Vec::new();
    while let Some(ended) = postgres.end_deleted(scene.group).await.unwrap() {
        rounds.push((ended.feeds.len(), ended.has_more));
    }
    assert_eq!(rounds, [(100, true), (4, false)]);
    let again = scene.delete("olga", "1").await.unwrap();
    assert_eq!(ended(&again.notices), (100, vec![]));
}
