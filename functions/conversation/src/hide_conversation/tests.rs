//! How a conversation is hidden, and what brings it back, on real databases.

use chat_contract::v1::{ArchivedFilter, ListConversationsRequest, live_event};
use chat_operation::Code;
use chat_stores::postgres::OwnUpdate;
use chat_testing::{Called, Fixture, call, call_without_token, user};

use super::*;
use crate::ListConversations;
use crate::scene::{Scene, assert_not_found, bad_fields};

fn request(conversation: &(impl ToString + ?Sized), through_seq: i64) -> HideConversationRequest {
    HideConversationRequest {
        conversation_id: conversation.to_string(),
        through_seq,
    }
}

/// (seq through which it is hidden, number of notices)
fn hidden(called: Called<HideConversation>) -> (Option<i64>, usize) {
    let answer = called.expect("it is hidden");
    (
        answer.response.settings.unwrap().hidden_through_seq,
        answer.notices.len(),
    )
}

/// Whether a conversation is in somebody's list of all.
async fn is_listed(scene: &Scene, conversation: ConversationId, caller: &str) -> bool {
    let list: ListConversations = scene.fixture.operation();
    let mut found = Vec::new();
    for archived in [
        ArchivedFilter::Included,
        ArchivedFilter::Unspecified,
        ArchivedFilter::Only,
    ] {
        let asked = ListConversationsRequest {
            archived: archived.into(),
            ..ListConversationsRequest::default()
        };
        let conversations = call(&list, caller, asked).await.unwrap().response.conversations;
        found.push(
            conversations
                .iter()
                .filter(|it| it.conversation_id == conversation.to_string())
                .count(),
        );
    }
    // Once, if at all, and either among the archived or among the others.
    assert_eq!(found[0], found[1] + found[2]);
    found[0] == 1
}

#[tokio::test]
async fn it_is_hidden_from_the_caller_alone_until_something_is_said() {
    let scene = Scene::new().await;
    let hide: HideConversation = scene.fixture.operation();
    scene.say("bob", "1", "one").await;

    let answer = call(&hide, "alice", request(&scene.conversation, 1)).await.unwrap();

    let settings = answer.response.settings.unwrap();
    assert_eq!(settings.hidden_through_seq, Some(1));
    assert!(
        answer
            .notices
            .iter()
            .all(|notice| notice.recipients.users() == [user("alice")])
    );
    let event = &answer.notices[0].event;
    assert_eq!(event.feed_revision, settings.revision);
    let Some(live_event::Event::ConversationSettingsChanged(changed)) = &event.event else {
        panic!("{event:?}")
    };
    assert_eq!(changed.settings, Some(settings));
    assert!(!is_listed(&scene, scene.conversation, "alice").await);
    assert!(is_listed(&scene, scene.conversation, "bob").await);

    scene.say("alice", "2", "two").await;
    assert!(is_listed(&scene, scene.conversation, "alice").await);
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_does_not_hide_what_was_said_since() {
    let scene = Scene::new().await;
    let hide: HideConversation = scene.fixture.operation();
    assert_eq!(
        hidden(call(&hide, "alice", request(&scene.conversation, 0)).await),
        (Some(0), 2)
    );
    assert_eq!(
        hidden(call(&hide, "alice", request(&scene.conversation, 0)).await),
        (Some(0), 0)
    );
    scene.say("bob", "1", "one").await;
    assert_eq!(
        hidden(call(&hide, "alice", request(&scene.conversation, 0)).await),
        (Some(0), 0)
    );
    assert!(is_listed(&scene, scene.conversation, "alice").await);
    // What is above the newest message stands for that.
    assert_eq!(
        hidden(call(&hide, "alice", request(&scene.conversation, i64::MAX)).await),
        (Some(1), 2)
    );
    assert!(!is_listed(&scene, scene.conversation, "alice").await);
}

#[tokio::test]
async fn pinned_and_archived_ones_are_hidden_as_well_and_come_back_where_they_were() {
    let scene = Scene::new().await;
    let hide: HideConversation = scene.fixture.operation();
    let mut seen = 0;
    for (seq, update) in [(true, false), (false, true), (true, true), (false, false)]
        .into_iter()
        .enumerate()
    {
        let update = OwnUpdate {
            pinned: Some(update.0),
            archived: Some(update.1),
            ..OwnUpdate::default()
        };
        let updated = scene
            .stores
            .postgres
            .update_own(scene.conversation, &user("alice"), seen, &update)
            .await;
        assert!(updated.unwrap().is_ok());
        let seq = i64::try_from(seq).unwrap();
        let answer = call(&hide, "alice", request(&scene.conversation, seq)).await.unwrap();
        seen = answer.response.settings.unwrap().revision;
        assert!(!is_listed(&scene, scene.conversation, "alice").await);
        scene.say("bob", &seq.to_string(), "hello").await;
        assert!(is_listed(&scene, scene.conversation, "alice").await);
    }
}

#[tokio::test]
async fn what_was_never_stored_brings_nothing_back() {
    let scene = Scene::new().await;
    let hide: HideConversation = scene.fixture.operation();
    scene.say("bob", "1", "one").await;
    hidden(call(&hide, "alice", request(&scene.conversation, 1)).await);
    scene.place("bob", "2").await;
    scene.age(10).await;
    scene.stores.sealer().seal(scene.conversation).await.unwrap();
    assert!(!is_listed(&scene, scene.conversation, "alice").await);
}

#[tokio::test]
async fn who_comes_again_to_a_group_has_not_hidden_it() {
    let scene = Scene::new().await;
    let group = scene.stores.make_group("alice", &["bob"], true).await;
    let hide: HideConversation = scene.fixture.operation();
    assert_eq!(hidden(call(&hide, "bob", request(&group, 0)).await).0, Some(0));
    assert!(!is_listed(&scene, group, "bob").await);
    sqlx::query("UPDATE members SET ended_at = now() WHERE conversation_id = $1 AND user_id = 'bob'")
        .bind(group.uuid())
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    scene.stores.add_to_group(group, "alice", "bob").await;
    assert!(is_listed(&scene, group, "bob").await);
}

#[tokio::test]
async fn who_hides_too_often_is_told_when_to_come_again() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let settings = fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let hide = HideConversation::from_settings(&settings).unwrap();
    for _ in 0..2 {
        hidden(call(&hide, "alice", request(&conversation, 0)).await);
    }
    let failure = call(&hide, "alice", request(&conversation, 0)).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let hide: HideConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&hide, "mallory", request(&conversation, 0)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let hide: HideConversation = fixture.operation();
    for seq in [-1, i64::MIN] {
        let failure = call(&hide, "alice", request("x", seq)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "through_seq"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let hide: HideConversation = fixture.operation();
    let failure = call_without_token(&hide, request("x", -1)).await.unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn hiding_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let hide: HideConversation = proxies.operation();
    hidden(call(&hide, "alice", request(&conversation, 0)).await);
    proxies.postgres.reset_counts();

    assert_eq!(
        hidden(call(&hide, "bob", request(&conversation, 0)).await),
        (Some(0), 2)
    );

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
