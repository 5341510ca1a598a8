//! Callers that die, and others that meet what they left, on real databases.

use chat_contract::FieldMask;
use chat_contract::v1::{
    AddGroupMembersRequest, GroupAction, GroupPermission, GroupRole, MembershipEndReason, UpdateGroupRequest,
};
use chat_domain::MessageId;
use chat_operation::Code;
use chat_sealing::Sealer;
use chat_stores::GroupAction as Action;
use chat_stores::mongo::{Inserted, MessageEntry};
use chat_testing::{Filter, call};
use chrono::DateTime;

use crate::scene::{Scene, Told, settings, to, told};
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

/// What stands at each place: what was done to the group, or nothing of that.
async fn actions(scene: &Scene) -> Vec<(i64, Option<Action>)> {
    let held = scene.timeline().await.into_iter();
    held.map(|(revision, change)| (revision, change.map(|change| change.action)))
        .collect()
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

#[tokio::test]
async fn a_change_whose_place_was_closed_gets_another_one() {
    let scene = Scene::new().await;
    leave_a_hole(&scene).await;
    // As a function does that knows nothing of the outbox.
    scene.mongo().close(&[(scene.group, 3)]).await.unwrap();
    let operation: UpdateGroup = scene.fixture.operation();
    let again = call(&operation, "olga", rename(&scene, "dead", "Boats")).await.unwrap();
    assert_eq!(again.response.conversation.unwrap().revision, 4);
    assert_eq!(actions(&scene).await[2..], [(3, None), (4, Some(Action::Renamed))]);
    scene.seal().await;
    assert_eq!(scene.pending().await, 0);
}

#[tokio::test]
async fn whoever_seals_looks_at_what_stands_in_the_place_of_a_change() {
    let scene = Scene::new().await;
    leave_a_hole(&scene).await;
    scene.mongo().close(&[(scene.group, 3)]).await.unwrap();
    scene.seal().await;
    assert_eq!(actions(&scene).await[2..], [(3, None), (4, Some(Action::Renamed))]);
    scene.seal().await;
    assert_eq!(scene.pending().await, 0);
    assert_eq!(scene.seen_by("mia").await.unwrap().revision, 4);
}

#[tokio::test]
async fn a_change_after_the_sequencer_went_back_stands_above_what_it_had_forgotten() {
    let scene = Scene::new().await;
    // Postgres has forgotten a message, and that history was hidden from who comes now.
    let hidden = settings(&[GroupPermission::SendMessages], &[GroupPermission::AddMembers], false);
    let operation: UpdateGroup = scene.fixture.operation();
    let hide = UpdateGroupRequest {
        settings: Some(hidden),
        update_mask: Some(FieldMask {
            paths: vec!["settings".to_owned()],
        }),
        ..rename(&scene, "hide", "")
    };
    call(&operation, "olga", hide).await.unwrap();
    let forgotten = MessageEntry {
        message: MessageId::generate(),
        conversation: scene.group,
        revision: 4,
        seq: 1,
        sender: chat_testing::user("mia"),
        op: "forgotten".parse().unwrap(),
        op_hash: [0; 32],
        text: "forgotten".to_owned(),
        reply_to: None,
        allocated_at: DateTime::UNIX_EPOCH,
        state_revision: 4,
    };
    assert_eq!(scene.mongo().add(&forgotten).await.unwrap(), Inserted::Written);
    let added = scene.add("olga", &["nina"], "add").await.unwrap();
    assert_eq!(added.response.conversation.unwrap().revision, 5);
    assert_eq!(actions(&scene).await[3..], [(4, None), (5, Some(Action::MembersAdded))]);
    assert_eq!(
        told(&added.notices),
        [
            to(&["adam", "max", "mia", "nina", "olga"], Told::Poked(5)),
            to(&["nina"], Told::Poked(0))
        ]
    );
    let (postgres, nina) = (scene.postgres(), chat_testing::user("nina"));
    let membership = postgres.lookup_membership(scene.group, &nina).await.unwrap();
    let window = membership.unwrap().window;
    assert!(!window.shows(1), "they came after it was said");
    assert!(window.shows(2));
    // What follows stands above that.
    let renamed = call(&operation, "olga", rename(&scene, "later", "Boats"))
        .await
        .unwrap();
    assert_eq!(renamed.response.conversation.unwrap().revision, 6);
}

#[tokio::test]
async fn repeats_tell_everybody_again_whom_the_first_call_may_not_have_told() {
    let scene = Scene::new().await;
    scene.add("olga", &["nina"], "add").await.unwrap();
    let added = scene.add("olga", &["nina"], "add").await.unwrap();
    assert_eq!(
        told(&added.notices),
        [
            to(&["adam", "max", "mia", "nina", "olga"], Told::Poked(3)),
            to(&["nina"], Told::Poked(0))
        ]
    );
    scene.remove("olga", "nina", "remove").await.unwrap();
    let removed = scene.remove("olga", "nina", "remove").await.unwrap();
    assert_eq!(
        told(&removed.notices),
        [
            to(&["adam", "max", "mia", "olga"], Told::Poked(4)),
            to(&["nina"], Told::Ended(MembershipEndReason::Unspecified))
        ]
    );
    scene.leave("max", "leave").await.unwrap();
    let left = scene.leave("max", "leave").await.unwrap();
    assert_eq!(
        told(&left.notices),
        [
            to(&["adam", "mia", "olga"], Told::Poked(5)),
            to(&["max"], Told::Ended(MembershipEndReason::Unspecified))
        ]
    );
    let ended = |reason| ["adam", "mia", "olga"].map(|user| to(&[user], Told::Ended(reason)));
    let deleted = scene.delete("olga", "delete").await.unwrap();
    assert_eq!(told(&deleted.notices), ended(MembershipEndReason::GroupDeleted));
    let deleted = scene.delete("olga", "delete").await.unwrap();
    assert_eq!(
        told(&deleted.notices),
        ended(MembershipEndReason::Unspecified),
        "and not who was no member by then"
    );
}

#[tokio::test]
async fn a_repeat_does_nothing_more_also_when_the_first_call_changed_nothing() {
    let scene = Scene::new().await;
    scene.set_role("olga", "mia", GroupRole::Member, "same").await.unwrap();
    scene.set_role("olga", "mia", GroupRole::Admin, "raise").await.unwrap();
    scene.set_role("olga", "mia", GroupRole::Member, "same").await.unwrap();
    scene.add("olga", &["mia"], "there").await.unwrap();
    scene.remove("olga", "mia", "remove").await.unwrap();
    let again = scene.add("olga", &["mia"], "there").await.unwrap();
    assert_eq!(again.response.not_added_user_ids, ["mia"], "they are no member now");
    assert!(scene.seen_by("mia").await.is_none());
}

#[tokio::test]
async fn who_was_removed_between_a_change_and_the_look_at_the_group_is_not_told_what_it_is() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: UpdateGroup = proxies.operation();
    // The change is made by the first statement; the group is looked at by the second.
    let held = proxies.postgres.hold(Filter::operation("newest_counted("));
    let request = rename(&scene, "rename", "Boats");
    let calling = tokio::spawn(async move { call(&operation, "adam", request).await });
    held.caught().await;
    scene.remove("olga", "mia", "remove").await.unwrap();
    held.release();
    let renamed = calling.await.unwrap().unwrap();
    assert_eq!(
        told(&renamed.notices),
        [to(&["adam", "max", "olga"], Told::Changed(GroupAction::Renamed, 3))]
    );
}

#[tokio::test]
async fn who_was_removed_right_after_they_made_a_change_has_the_others_told_of_it() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: UpdateGroup = proxies.operation();
    let held = proxies.postgres.hold(Filter::operation("newest_counted("));
    let request = rename(&scene, "rename", "Boats");
    let calling = tokio::spawn(async move { call(&operation, "adam", request).await });
    held.caught().await;
    scene.remove("olga", "adam", "remove").await.unwrap();
    held.release();
    let failure = calling.await.unwrap().expect_err("they are no member any more");
    assert_eq!(failure.code(), Code::NotFound);
    assert_eq!(
        told(failure.notices()),
        [to(&["adam", "max", "mia", "olga"], Told::Poked(3))]
    );
}

#[tokio::test]
async fn all_who_came_since_the_sequencer_went_back_see_nothing_of_what_it_had_forgotten() {
    let scene = Scene::new().await;
    scene.fixture.befriend("olga", "zoe").await;
    // History is hidden. Two come, and their entries are not written yet.
    let proxies = scene.fixture.with_proxies().await;
    for (user, held) in ["nina", "zoe"].map(|user| (user, proxies.mongo.hold(Filter::operation("insert")))) {
        let operation: AddGroupMembers = proxies.operation();
        let request = AddGroupMembersRequest {
            conversation_id: scene.group.to_string(),
            request_id: user.to_owned(),
            user_ids: vec![user.to_owned()],
        };
        let calling = tokio::spawn(async move { call(&operation, "olga", request).await });
        held.caught().await;
        calling.abort();
        held.drop_connection();
        assert!(calling.await.unwrap_err().is_cancelled());
    }
    // What stands there was said before them.
    for (revision, seq) in [(3, 1), (4, 2), (5, 3)] {
        let forgotten = MessageEntry {
            message: MessageId::generate(),
            conversation: scene.group,
            revision,
            seq,
            sender: chat_testing::user("mia"),
            op: format!("forgotten-{seq}").parse().unwrap(),
            op_hash: [0; 32],
            text: "forgotten".to_owned(),
            reply_to: None,
            allocated_at: DateTime::UNIX_EPOCH,
            state_revision: revision,
        };
        assert_eq!(scene.mongo().add(&forgotten).await.unwrap(), Inserted::Written);
    }
    scene.seal().await;
    assert_eq!(
        actions(&scene).await[5..],
        [(6, Some(Action::MembersAdded)), (7, Some(Action::MembersAdded))]
    );
    for user in ["nina", "zoe"] {
        let (postgres, user) = (scene.postgres(), chat_testing::user(user));
        let membership = postgres.lookup_membership(scene.group, &user).await.unwrap().unwrap();
        assert!(!membership.window.shows(3) && membership.window.shows(4), "{user}");
    }
}

#[tokio::test]
async fn who_is_no_member_wakes_nobody_by_repeating_what_all_have_been_told() {
    let scene = Scene::new().await;
    scene.leave("max", "leave").await.unwrap();
    scene.seal().await;
    let again = scene.leave("max", "leave").await.unwrap();
    assert_eq!(
        told(&again.notices),
        [to(&["max"], Told::Ended(MembershipEndReason::Unspecified))]
    );
}
