//! What is left to who clears a conversation, and that nobody else sees it, on real databases.

use chat_contract::v1::{
    Conversation, ConversationCursor, LiveEvent, ReadPositionMoved, SyncConversationsRequest, live_event,
};
use chat_operation::{Code, Notice};
use chat_testing::{Called, Filter, Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, assert_not_found, bad_fields, list};
use crate::{ListConversations, SyncConversations};

fn request(conversation: &(impl ToString + ?Sized), through_seq: i64) -> ClearConversationHistoryRequest {
    ClearConversationHistoryRequest {
        conversation_id: conversation.to_string(),
        through_seq,
    }
}

/// (first seq that is cleared no more, unread count, number of notices)
fn cleared(called: Called<ClearConversationHistory>) -> (i64, i64, usize) {
    let answer = called.expect("it is cleared");
    let settings = answer.response.settings.unwrap();
    (
        settings.visible_from_seq,
        answer.response.unread_count,
        answer.notices.len(),
    )
}

async fn say_many(scene: &Scene, messages: usize) {
    for message in 0..messages {
        scene
            .say("bob", &format!("{message}"), &format!("text {message}"))
            .await;
    }
}

async fn listed(scene: &Scene, caller: &str) -> Conversation {
    let (mut conversations, _) = list(&scene.fixture.operation::<ListConversations>(), caller).await;
    conversations.remove(0)
}

#[tokio::test]
async fn what_is_cleared_is_gone_for_the_caller_alone_and_their_own_devices_hear_of_it() {
    let scene = Scene::new().await;
    let clear: ClearConversationHistory = scene.fixture.operation();
    say_many(&scene, 3).await;
    let before = listed(&scene, "bob").await;

    let answer = call(&clear, "alice", request(&scene.conversation, 3)).await.unwrap();

    let settings = answer.response.settings.unwrap();
    assert_eq!((settings.visible_from_seq, answer.response.unread_count), (3, 0));
    let notice = |event, feed_revision| Notice {
        recipients: vec![user("alice")].into(),
        event: LiveEvent {
            conversation_id: scene.conversation.to_string(),
            event: Some(event),
            feed_revision,
            ..LiveEvent::default()
        },
        occurred_at: answer.notices[0].occurred_at,
    };
    let changed = chat_contract::v1::ConversationSettingsChanged {
        settings: Some(settings),
        marked_unread: false,
    };
    let moved = ReadPositionMoved {
        user_id: "alice".to_owned(),
        read_seq: 0,
        unread_count: Some(0),
        counted_seq: 3,
    };
    let expected = [
        notice(
            live_event::Event::ConversationSettingsChanged(changed),
            settings.revision,
        ),
        notice(live_event::Event::ReadPositionMoved(moved), 0),
    ];
    assert_eq!(answer.notices, expected);
    let after = listed(&scene, "alice").await;
    assert_eq!(
        (after.last_message, after.unread_count, after.settings),
        (None, 0, Some(settings))
    );
    // To the byte, with what is told of the members.
    assert_eq!(listed(&scene, "bob").await, before);
}

#[tokio::test]
async fn what_is_above_stays_and_counts() {
    let scene = Scene::new().await;
    let clear: ClearConversationHistory = scene.fixture.operation();
    say_many(&scene, 5).await;
    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, 2)).await),
        (2, 3, 2)
    );
    let seen = listed(&scene, "alice").await;
    assert_eq!((seen.unread_count, seen.last_message.unwrap().seq), (3, 5));
    scene.say("bob", "more", "more").await;
    assert_eq!(listed(&scene, "alice").await.unread_count, 4);
    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, i64::MAX)).await),
        (6, 0, 2)
    );
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_never_clears_what_was_said_since() {
    let scene = Scene::new().await;
    let clear: ClearConversationHistory = scene.fixture.operation();
    // Nothing was said: there is nothing to clear.
    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, 9)).await),
        (0, 0, 0)
    );
    say_many(&scene, 2).await;
    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, 2)).await),
        (2, 0, 2)
    );
    scene.say("bob", "more", "more").await;
    for through_seq in [2, 1] {
        assert_eq!(
            cleared(call(&clear, "alice", request(&scene.conversation, through_seq)).await),
            (2, 1, 0)
        );
    }
}

#[tokio::test]
async fn cursors_from_before_start_over_each_time_and_nothing_cleared_comes_again() {
    let scene = Scene::new().await;
    let clear: ClearConversationHistory = scene.fixture.operation();
    let sync: SyncConversations = scene.fixture.operation();
    say_many(&scene, 4).await;
    let ask = async |cursor: ConversationCursor| {
        let asked = SyncConversationsRequest {
            cursors: vec![cursor],
            feed: None,
        };
        let mut answer = call(&sync, "alice", asked).await.unwrap().response;
        answer.conversations.remove(0)
    };
    let mut cursor = scene.cursor(4);
    // Also twice at the same head.
    for through_seq in [2, 3] {
        cleared(call(&clear, "alice", request(&scene.conversation, through_seq)).await);
        let answer = ask(cursor.clone()).await;
        assert!(answer.reset && answer.changes.is_empty());
        let restarted = answer.cursor.unwrap();
        assert_ne!(restarted.joined_revision, cursor.joined_revision);
        assert_eq!(restarted.revision, 4);
        assert!(!ask(restarted.clone()).await.reset);
        cursor = restarted;
    }
    // Whatever a client says of where it is.
    let below = ask(ConversationCursor {
        revision: 1,
        ..cursor.clone()
    })
    .await;
    assert!(below.reset);
    scene.say("bob", "more", "more").await;
    let answer = ask(cursor).await;
    assert_eq!((answer.reset, answer.changes.len(), answer.unread_count), (false, 1, 2));
}

#[tokio::test]
async fn in_a_group_the_members_are_told_nothing_and_changes_from_before_are_gone() {
    let scene = Scene::new().await;
    scene.fixture.befriend("alice", "carol").await;
    let group = scene.stores.make_group("alice", &["bob"], true).await;
    scene.stores.say(group, "alice", "1", "one").await;
    scene.stores.add_to_group(group, "alice", "carol").await;
    scene.stores.say(group, "alice", "2", "two").await;
    let members = async |caller: &str| {
        let row = scene.stores.postgres.lookup_conversation(group, &user(caller)).await;
        row.unwrap().unwrap().conversation
    };
    let before = members("carol").await;
    let clear: ClearConversationHistory = scene.fixture.operation();
    assert_eq!(cleared(call(&clear, "bob", request(&group, 2)).await).0, 2);
    assert_eq!(members("carol").await, before);
    let own = members("bob").await;
    assert_eq!((own.window.edge(), own.window.edge_revision()), (2, own.revision));
}

#[tokio::test]
async fn who_clears_too_often_is_told_when_to_come_again() {
    let scene = Scene::new().await;
    say_many(&scene, 3).await;
    let settings = scene.fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let clear = ClearConversationHistory::from_settings(&settings).unwrap();
    for through_seq in [1, 2] {
        assert_eq!(
            cleared(call(&clear, "alice", request(&scene.conversation, through_seq)).await).0,
            through_seq
        );
    }
    let failure = call(&clear, "alice", request(&scene.conversation, 3))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    assert_not_found([call(&clear, "mallory", request(&scene.conversation, 3))
        .await
        .unwrap_err()]);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let clear: ClearConversationHistory = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&clear, "mallory", request(&conversation, 1)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let fixture = Fixture::new().await;
    let clear: ClearConversationHistory = fixture.operation();
    for seq in [0, -1, i64::MIN] {
        let failure = call(&clear, "alice", request("x", seq)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "through_seq"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let clear: ClearConversationHistory = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    for attempt in [request(&conversation, 1), request("x", 0)] {
        let failure = call_without_token(&clear, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn clearing_costs_one_round_trip_and_a_lost_answer_is_asked_for_again() {
    let scene = Scene::new().await;
    say_many(&scene, 3).await;
    let proxies = scene.fixture.with_proxies().await;
    let clear: ClearConversationHistory = proxies.operation();
    cleared(call(&clear, "alice", request(&scene.conversation, 1)).await);
    proxies.postgres.reset_counts();

    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, 2)).await),
        (2, 1, 2)
    );

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
    let cut = proxies.postgres.cut_before_answer(Filter::operation("withdraw("));
    assert_eq!(
        cleared(call(&clear, "alice", request(&scene.conversation, 3)).await).0,
        3
    );
    cut.happened().await;
}
