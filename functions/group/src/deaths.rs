//! Callers that die, and others that meet what they left, on real databases.

use chat_contract::FieldMask;
use chat_contract::v1::{AddGroupMembersRequest, GroupAction, UpdateGroupRequest};
use chat_sealing::Sealer;
use chat_stores::GroupAction as Action;
use chat_testing::{Filter, call};

use crate::scene::{Scene, Told, to, told};
use crate::{AddGroupMembers, UpdateGroup};

fn rename(scene: &Scene, request_id: &str, name: &str) -> UpdateGroupRequest {
    UpdateGroupRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
        name: name.to_owned(),
        update_mask: Some(FieldMask {
            paths: vec!["name".to_owned()],
        }),
        ..UpdateGroupRequest::default()
    }
}

/// A change that Postgres has, and whose caller died before its entry came to the timeline.
async fn leave_a_hole(scene: &Scene) {
    let proxies = scene.fixture.with_proxies().await;
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let operation: UpdateGroup = proxies.operation();
    let request = rename(scene, "dead", "Boats");
    let calling = tokio::spawn(async move { call(&operation, "olga", request).await });
    held.caught().await;
    calling.abort();
    held.drop_connection();
    assert!(calling.await.unwrap_err().is_cancelled());
    assert!(!scene.timeline().await.contains_key(&3));
}

#[tokio::test]
async fn whoever_closes_the_place_writes_what_belongs_there() {
    let scene = Scene::new().await;
    leave_a_hole(&scene).await;
    let (postgres, timeline) = (scene.postgres(), scene.mongo());
    Sealer::new(&postgres, &timeline)
        .close(&[(scene.group, 3), (scene.group, 4)])
        .await
        .unwrap();
    let mut held = scene.timeline().await;
    let change = held.remove(&3).flatten().unwrap();
    assert_eq!((change.action, change.name.as_str()), (Action::Renamed, "Boats"));
    assert_eq!(held.remove(&4), Some(None), "nothing belongs above");
    scene.seal().await;
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn a_repeat_writes_what_the_first_call_did_not() {
    let scene = Scene::new().await;
    leave_a_hole(&scene).await;
    let operation: UpdateGroup = scene.fixture.operation();
    let again = call(&operation, "olga", rename(&scene, "dead", "Boats")).await.unwrap();
    assert_eq!(
        told(&again.notices),
        [to(&["adam", "max", "mia", "olga"], Told::Poked(3))]
    );
    assert_eq!(again.response.conversation.unwrap().revision, 3);
    assert!(scene.timeline().await[&3].is_some());
    assert_eq!(again.seal, [scene.group]);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_to_the_repeat() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: AddGroupMembers = proxies.operation();
    let request = |user: &str| AddGroupMembersRequest {
        conversation_id: scene.group.to_string(),
        request_id: user.to_owned(),
        user_ids: vec![user.to_owned()],
    };
    call(&operation, "olga", request("mia")).await.unwrap();
    // The statement is done and nobody hears of it. The store makes the call anew, which does nothing more.
    let cut = proxies
        .postgres
        .cut_before_answer(Filter::operation("add_group_members("));
    let answer = call(&operation, "olga", request("nina")).await.unwrap();
    cut.happened().await;
    assert_eq!(answer.response.conversation.unwrap().group.unwrap().member_count, 5);
    let again = call(&operation, "olga", request("nina")).await.unwrap();
    assert_eq!(again.response.conversation.unwrap().group.unwrap().member_count, 5);
    assert_eq!(scene.timeline().await.len(), 3);
    let change = scene.timeline().await.remove(&3).flatten().unwrap();
    assert_eq!(chat_view::group_change(change).action(), GroupAction::MembersAdded);
}
