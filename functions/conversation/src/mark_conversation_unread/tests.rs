//! How a conversation is flagged as unread, and what takes the flag off, on real databases.

use chat_contract::v1::{
    Conversation, ConversationSettings, ConversationSettingsChanged, LiveEvent, MarkConversationReadRequest, live_event,
};
use chat_operation::{Code, Notice};
use chat_stores::postgres::{Append, Outcome};
use chat_testing::{Filter, Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, assert_not_found, bad_fields, list};
use crate::{ListConversations, MarkConversationRead};

fn request(conversation: &(impl ToString + ?Sized), seen: i64) -> MarkConversationUnreadRequest {
    MarkConversationUnreadRequest {
        conversation_id: conversation.to_string(),
        settings_revision: seen,
    }
}

/// Flags it, as of its newest settings. Answers their revision.
async fn flag(scene: &Scene, caller: &str, seen: i64) -> i64 {
    let flag: MarkConversationUnread = scene.fixture.operation();
    let answer = call(&flag, caller, request(&scene.conversation, seen)).await.unwrap();
    assert!(answer.response.marked_unread);
    answer.response.settings.unwrap().revision
}

async fn listed(scene: &Scene, caller: &str) -> Conversation {
    let (mut conversations, _) = list(&scene.fixture.operation::<ListConversations>(), caller).await;
    conversations.remove(0)
}

async fn is_flagged(scene: &Scene, caller: &str) -> bool {
    listed(scene, caller).await.marked_unread
}

/// Takes a place, with a read position.
async fn send(scene: &Scene, op: u8, read_seq: i64) -> Option<bool> {
    let append = Append {
        conversation: scene.conversation,
        actor: &user("alice"),
        op_id_hash: &[op; 32],
        content_hash: &[op; 32],
        is_message: true,
        after: 0,
        floor_revision: 0,
        floor_seq: 0,
        read_seq,
    };
    let appended = scene.stores.postgres.append(&append).await.unwrap();
    assert!(matches!(appended.outcome, Outcome::Placed(_)));
    appended.read.map(|position| position.unflagged.is_some())
}

#[tokio::test]
async fn a_flag_is_shown_to_the_caller_alone_and_nothing_else_changes() {
    let scene = Scene::new().await;
    scene.say("bob", "one", "Hello").await;
    let before = (listed(&scene, "alice").await, listed(&scene, "bob").await);
    let flag: MarkConversationUnread = scene.fixture.operation();

    let answer = call(&flag, "alice", request(&scene.conversation, 0)).await.unwrap();

    let settings = ConversationSettings {
        revision: answer.response.settings.unwrap().revision,
        ..ConversationSettings::default()
    };
    assert!(settings.revision > 0);
    assert_eq!(
        answer.response,
        MarkConversationUnreadResponse {
            settings: Some(settings),
            marked_unread: true
        }
    );
    let notice = Notice {
        recipients: vec![user("alice")].into(),
        event: LiveEvent {
            conversation_id: scene.conversation.to_string(),
            event: Some(live_event::Event::ConversationSettingsChanged(
                ConversationSettingsChanged {
                    settings: Some(settings),
                    marked_unread: true,
                },
            )),
            feed_revision: settings.revision,
            ..LiveEvent::default()
        },
        occurred_at: answer.notices[0].occurred_at,
    };
    assert_eq!(answer.notices, [notice]);
    let flagged = Conversation {
        settings: Some(settings),
        marked_unread: true,
        ..before.0
    };
    assert_eq!(
        (listed(&scene, "alice").await, listed(&scene, "bob").await),
        (flagged, before.1)
    );
}

#[tokio::test]
async fn a_repeat_tells_nobody_and_does_not_flag_what_was_read_since() {
    let scene = Scene::new().await;
    scene.say("bob", "one", "Hello").await;
    let operation: MarkConversationUnread = scene.fixture.operation();
    let seen = flag(&scene, "alice", 0).await;
    let again = call(&operation, "alice", request(&scene.conversation, 0))
        .await
        .unwrap();
    assert_eq!(
        (again.notices.len(), again.response.settings.unwrap().revision),
        (0, seen)
    );

    let mark: MarkConversationRead = scene.fixture.operation();
    let read = MarkConversationReadRequest {
        conversation_id: scene.conversation.to_string(),
        read_seq: 1,
    };
    call(&mark, "alice", read).await.unwrap();
    let failure = call(&operation, "alice", request(&scene.conversation, 0))
        .await
        .unwrap_err();
    assert_eq!((failure.code(), failure.reason()), (Code::Aborted, "SETTINGS_CHANGED"));
    assert!(!is_flagged(&scene, "alice").await);
}

#[tokio::test]
async fn a_mark_takes_the_flag_off_unless_it_is_below_the_position() {
    let scene = Scene::new().await;
    for op in ["one", "two"] {
        scene.say("bob", op, "Hello").await;
    }
    let mark: MarkConversationRead = scene.fixture.operation();
    let read = |read_seq| MarkConversationReadRequest {
        conversation_id: scene.conversation.to_string(),
        read_seq,
    };
    call(&mark, "alice", read(2)).await.unwrap();
    let seen = flag(&scene, "alice", 0).await;

    call(&mark, "alice", read(1)).await.unwrap();
    assert!(is_flagged(&scene, "alice").await);
    let answer = call(&mark, "alice", read(2)).await.unwrap();
    assert!(!is_flagged(&scene, "alice").await);

    assert_eq!(
        answer.response.settings.map(|settings| settings.revision),
        Some(seen + 1)
    );
    let told: Vec<_> = answer
        .notices
        .iter()
        .map(|notice| (notice.recipients.users(), &notice.event))
        .collect();
    assert_eq!(told.len(), 3);
    let (recipients, event) = told[2];
    assert_eq!(recipients, [user("alice")]);
    assert_eq!(event.feed_revision, seen + 1);
    let Some(live_event::Event::ConversationSettingsChanged(changed)) = &event.event else {
        panic!("{event:?}")
    };
    assert_eq!(
        (changed.settings.unwrap().revision, changed.marked_unread),
        (seen + 1, false)
    );
    // There is nothing to take off any more.
    assert_eq!(call(&mark, "alice", read(2)).await.unwrap().notices.len(), 2);
}

#[tokio::test]
async fn the_flag_of_an_empty_conversation_can_be_taken_off() {
    let scene = Scene::new().await;
    flag(&scene, "alice", 0).await;
    let mark: MarkConversationRead = scene.fixture.operation();
    let read = MarkConversationReadRequest {
        conversation_id: scene.conversation.to_string(),
        read_seq: 1,
    };
    let answer = call(&mark, "alice", read).await.unwrap();
    assert_eq!(answer.notices.len(), 1);
    assert_eq!(answer.notices[0].recipients.users(), [user("alice")]);
    assert!(!is_flagged(&scene, "alice").await);
}

#[tokio::test]
async fn a_message_with_a_read_position_takes_the_flag_off_and_its_repeat_does_not() {
    let scene = Scene::new().await;
    scene.say("bob", "one", "Hello").await;
    let seen = flag(&scene, "alice", 0).await;
    assert_eq!(send(&scene, 1, 0).await, None);
    assert!(is_flagged(&scene, "alice").await);
    assert_eq!(send(&scene, 2, 1).await, Some(true));
    assert!(!is_flagged(&scene, "alice").await);

    flag(&scene, "alice", seen + 1).await;
    assert_eq!(send(&scene, 2, 1).await, Some(false));
    assert!(is_flagged(&scene, "alice").await);
    let repeated = scene
        .stores
        .postgres
        .repeat_read_position(scene.conversation, &user("alice"), 1)
        .await;
    assert_eq!(repeated.unwrap().unwrap().unwrap().unflagged, None);
    assert!(is_flagged(&scene, "alice").await);
}

#[tokio::test]
async fn functions_of_the_version_before_take_the_flag_off_as_well() {
    let scene = Scene::new().await;
    scene.say("bob", "one", "Hello").await;
    let mut session = scene.fixture.connect_postgres().await;
    let mut seen = 0;
    for statement in [
        "SELECT count(*) FROM mark_conversation_read($1, 'alice', 1, 1, 1000000000)",
        "SELECT count(*) FROM append($1, 'alice', '\\x01', '\\x01', true, 0, 0, 0, 1, 1, 1000000000)",
    ] {
        seen = flag(&scene, "alice", seen).await + 1;
        let rows: i64 = sqlx::query_scalar(statement)
            .bind(scene.conversation.uuid())
            .fetch_one(&mut session)
            .await
            .unwrap();
        assert_eq!(rows, 1);
        assert!(!is_flagged(&scene, "alice").await);
    }
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let flag: MarkConversationUnread = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&flag, "mallory", request(&conversation, 0)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let flag: MarkConversationUnread = fixture.operation();
    for seen in [-1, i64::MIN] {
        let failure = call(&flag, "alice", request("x", seen)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "settings_revision"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let flag: MarkConversationUnread = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    for attempt in [request(&conversation, 0), request("x", -1)] {
        let failure = call_without_token(&flag, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn a_flag_costs_one_round_trip_and_so_does_taking_it_off() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let (flag, mark): (MarkConversationUnread, MarkConversationRead) = (proxies.operation(), proxies.operation());
    let read = || MarkConversationReadRequest {
        conversation_id: conversation.to_string(),
        read_seq: 1,
    };
    call(&mark, "alice", read()).await.unwrap();
    let first = call(&flag, "bob", request(&conversation, 0)).await.unwrap();
    assert_eq!(first.notices.len(), 1);
    proxies.postgres.reset_counts();

    let flagged = call(&flag, "alice", request(&conversation, 0)).await.unwrap();
    assert_eq!(flagged.notices.len(), 1);
    assert_eq!(proxies.postgres.counts().round_trips, 1);
    let taken_off = call(&mark, "alice", read()).await.unwrap();
    assert_eq!(taken_off.notices.len(), 1);
    assert_eq!(proxies.postgres.counts().round_trips, 2);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_unnoticed() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let flag: MarkConversationUnread = proxies.operation();
    call(&flag, "alice", request(&conversation, 0)).await.unwrap();

    let cut = proxies.postgres.cut_before_answer(Filter::operation("change_own("));
    let answer = call(&flag, "bob", request(&conversation, 0)).await.unwrap();
    cut.happened().await;
    assert!(answer.response.marked_unread);
}
