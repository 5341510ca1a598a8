//! What a group shows and how it works changes, on real databases.

use chat_contract::FieldMask;
use chat_contract::v1::{GroupAction, GroupPermission, live_event};
use chat_domain::ConversationId;
use chat_operation::Code;
use chat_stores::GroupAction as Action;
use chat_testing::{Called, call, call_without_token};

use super::*;
use crate::scene::{Scene, Told, assert_not_found, assert_refused, bad_fields, settings, to, told};

fn request(scene: &Scene, request_id: &str, mask: &[&str]) -> UpdateGroupRequest {
    UpdateGroupRequest {
        conversation_id: scene.group.to_string(),
        request_id: request_id.to_owned(),
        name: "Boats".to_owned(),
        description: "What floats".to_owned(),
        avatar_url: "https://example.com/boat.png".to_owned(),
        settings: Some(settings(
            &[GroupPermission::EditInfo],
            &[GroupPermission::ChangeSettings],
            true,
        )),
        update_mask: Some(FieldMask {
            paths: mask.iter().map(|&path| path.to_owned()).collect(),
        }),
    }
}

async fn update(scene: &Scene, caller: &str, request: UpdateGroupRequest) -> Called<UpdateGroup> {
    call(&scene.fixture.operation::<UpdateGroup>(), caller, request).await
}

#[tokio::test]
async fn the_named_fields_change_and_all_are_told() {
    let scene = Scene::new().await;
    let answer = update(&scene, "adam", request(&scene, "1", &["name"])).await.unwrap();
    let group = answer.response.conversation.unwrap().group.unwrap();
    assert_eq!(
        (group.name.as_str(), group.description.as_str(), group.state_revision),
        ("Boats", "", 3)
    );
    assert_eq!(
        told(&answer.notices),
        [to(
            &["adam", "max", "mia", "olga"],
            Told::Changed(GroupAction::Renamed, 3)
        )]
    );
    let answer = update(
        &scene,
        "olga",
        request(&scene, "2", &["description", "avatar_url", "settings"]),
    )
    .await
    .unwrap();
    let group = answer.response.conversation.unwrap().group.unwrap();
    assert_eq!(
        (group.description.as_str(), group.avatar_url.as_str()),
        ("What floats", "https://example.com/boat.png")
    );
    let expected = settings(
        &[GroupPermission::EditInfo],
        &[GroupPermission::SendMessages, GroupPermission::ChangeSettings],
        true,
    );
    assert_eq!(group.settings, Some(expected), "admins may always send");
    assert_eq!(
        told(&answer.notices),
        [to(
            &["adam", "max", "mia", "olga"],
            Told::Changed(GroupAction::Updated, 4)
        )]
    );
    // As it is already.
    let answer = update(&scene, "olga", request(&scene, "3", &["name", "settings"]))
        .await
        .unwrap();
    assert_eq!(
        (answer.notices.len(), answer.response.conversation.unwrap().revision),
        (0, 4)
    );
}

#[tokio::test]
async fn a_repeat_does_not_undo_what_came_after_it() {
    let scene = Scene::new().await;
    let first = request(&scene, "1", &["name"]);
    update(&scene, "olga", first.clone()).await.unwrap();
    let other = UpdateGroupRequest {
        name: "Planes".to_owned(),
        ..request(&scene, "1", &["name"])
    };
    update(&scene, "adam", other.clone()).await.unwrap();

    let again = update(&scene, "olga", first).await.unwrap();
    assert_eq!(again.response.conversation.unwrap().group.unwrap().name, "Planes");
    assert_eq!(
        told(&again.notices),
        [to(&["adam", "max", "mia", "olga"], Told::Poked(4))]
    );
    assert_refused(
        update(&scene, "olga", other).await,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED",
    );
}

#[tokio::test]
async fn each_field_needs_its_permission() {
    let scene = Scene::new().await;
    for (caller, mask, is_allowed) in [
        ("mia", "name", false),
        ("mia", "settings", false),
        ("adam", "description", true),
        ("adam", "settings", false),
        ("olga", "settings", true),
        // By now members may edit, and admins change settings.
        ("mia", "avatar_url", true),
        ("mia", "settings", false),
        ("adam", "settings", true),
    ] {
        let updated = update(
            &scene,
            caller,
            request(&scene, &format!("{caller} {mask}").replace(' ', "-"), &[mask]),
        )
        .await;
        if is_allowed {
            assert!(updated.is_ok(), "{caller} {mask}");
        } else {
            assert_refused(updated, Code::FailedPrecondition, "NOT_PERMITTED");
        }
    }
    let both = update(&scene, "mia", request(&scene, "both", &["name", "settings"])).await;
    assert_refused(both, Code::FailedPrecondition, "NOT_PERMITTED");
    assert_eq!(
        scene.seen_by("olga").await.unwrap().group.unwrap().name,
        "Trains",
        "nothing of it was done"
    );
}

#[tokio::test]
async fn a_part_of_the_settings_is_set_and_the_history_names_what_changed() {
    let scene = Scene::new().await;
    let mask = ["settings.shows_history", "name", "description"];
    let named = UpdateGroupRequest {
        description: String::new(),
        ..request(&scene, "1", &mask)
    };
    let answer = update(&scene, "olga", named).await.unwrap();
    let shown = answer.response.conversation.unwrap().group.unwrap().settings.unwrap();
    assert!(shown.shows_history);
    assert_eq!(shown.member_permissions.len(), 2, "the rest is as it was");
    let updated = ["name", "settings.shows_history"].map(str::to_owned);
    let entry = scene.timeline().await.remove(&3).flatten().unwrap();
    assert_eq!(
        (entry.name.as_str(), entry.updated.as_slice()),
        ("Boats", updated.as_slice())
    );
    let Some(live_event::Event::GroupChanged(told)) = answer.notices[0].event.event.clone() else {
        panic!("{:?}", answer.notices);
    };
    assert_eq!(told.change.unwrap().updated.unwrap().paths, updated);
    update(&scene, "olga", request(&scene, "2", &["settings.admin_permissions"]))
        .await
        .unwrap();
    let entry = scene.timeline().await.remove(&4).flatten().unwrap();
    assert_eq!(
        (entry.action, entry.updated.as_slice()),
        (Action::Updated, ["settings.admin_permissions".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn nobody_but_the_owner_grants_what_they_may_not_do_themselves() {
    let scene = Scene::new().await;
    let grant = |request_id: &str, admins: &[GroupPermission]| UpdateGroupRequest {
        settings: Some(settings(&[], admins, false)),
        ..request(&scene, request_id, &["settings.admin_permissions"])
    };
    let some = [GroupPermission::ChangeSettings, GroupPermission::AddMembers];
    update(&scene, "olga", grant("1", &some)).await.unwrap();
    for (number, more) in [GroupPermission::RemoveMembers, GroupPermission::ManageRoles]
        .iter()
        .enumerate()
    {
        let granted = update(
            &scene,
            "adam",
            grant(&format!("2-{number}"), &[&some[..], &[*more]].concat()),
        )
        .await;
        assert_refused(granted, Code::FailedPrecondition, "NOT_PERMITTED");
    }
    // What they may is given up by them, and then is not theirs to give.
    update(&scene, "adam", grant("3", &[GroupPermission::ChangeSettings]))
        .await
        .unwrap();
    let again = update(&scene, "adam", grant("4", &some)).await;
    assert!(again.is_ok(), "members may add, and so may admins");
}

#[tokio::test]
async fn a_foreign_group_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new().await;
    let missing = UpdateGroupRequest {
        conversation_id: ConversationId::generate().to_string(),
        ..request(&scene, "1", &["name"])
    };
    let direct = UpdateGroupRequest {
        conversation_id: scene.fixture.open_direct("olga", "nina").await.to_string(),
        ..request(&scene, "1", &["name"])
    };
    assert_not_found([
        update(&scene, "sam", request(&scene, "1", &["name"])).await,
        update(&scene, "olga", missing).await,
        update(&scene, "olga", direct).await,
    ]);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new().await;
    let bad = UpdateGroupRequest {
        conversation_id: "x".to_owned(),
        request_id: "a b".to_owned(),
        name: "a\nb".to_owned(),
        description: "\u{0}".to_owned(),
        avatar_url: "ftp://x".to_owned(),
        settings: Some(settings(&[GroupPermission::Unspecified], &[], true)),
        ..request(&scene, "", &["name", "description", "avatar_url", "settings"])
    };
    assert_eq!(
        bad_fields(update(&scene, "olga", bad).await),
        [
            "conversation_id",
            "request_id",
            "name",
            "description",
            "avatar_url",
            "settings.member_permissions"
        ]
    );
    for mask in [&[][..], &["owner"], &["name", "x"]] {
        assert_eq!(
            bad_fields(update(&scene, "olga", request(&scene, "1", mask)).await),
            ["update_mask"]
        );
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let operation: UpdateGroup = scene.fixture.operation();
    let failure = call_without_token(&operation, request(&scene, "1", &["name"]))
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

/// The round trips of Postgres and of Mongo that a call makes.
async fn costs(scene: &Scene) -> (u64, u64) {
    let proxies = scene.fixture.with_proxies().await;
    let operation: UpdateGroup = proxies.operation();
    // The first call makes the connections.
    call(
        &operation,
        "olga",
        UpdateGroupRequest {
            name: "warm".to_owned(),
            ..request(scene, "warm", &["name"])
        },
    )
    .await
    .unwrap();
    let before = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    call(
        &operation,
        "olga",
        UpdateGroupRequest {
            name: "counted".to_owned(),
            ..request(scene, "counted", &["name"])
        },
    )
    .await
    .unwrap();
    let after = (
        proxies.postgres.counts().round_trips,
        proxies.mongo.counts().round_trips,
    );
    (after.0 - before.0, after.1 - before.1)
}

#[tokio::test]
async fn it_costs_2_round_trips_of_postgres_and_1_of_mongo_and_1_more_where_not_all_members_are_named() {
    let scene = Scene::new().await;
    assert_eq!(costs(&scene).await, (2, 1));
    let scene = Scene::new().await;
    scene.count_members_as(101).await;
    assert_eq!(costs(&scene).await, (3, 1));
}
