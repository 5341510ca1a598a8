//! How each member sees a conversation, on a real database.

use chat_contract::v1::{Conversation, ConversationKind, ConversationSettings, LastMessage, Member};
use chat_domain::ConversationId;
use chat_operation::Code;
use chat_stores::mongo::EntryKind;
use chat_testing::{Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, assert_not_found, bad_fields, calls, read_positions};

fn request(conversation: &(impl ToString + ?Sized)) -> GetConversationRequest {
    GetConversationRequest {
        conversation_id: conversation.to_string(),
    }
}

async fn get(operation: &GetConversation, caller: &str, conversation: ConversationId) -> Conversation {
    let answer = call(operation, caller, request(&conversation)).await.unwrap();
    assert_eq!(answer.notices, [], "nobody is told");
    answer.response.conversation.unwrap()
}

#[tokio::test]
async fn a_fresh_conversation_is_empty_for_both() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("bob", "alice").await;

    let seen = get(&operation, "alice", conversation).await;

    let member = |id: &str| Member {
        user_id: id.to_owned(),
        read_seq: 0,
        joined_revision: 0,
        ..Member::default()
    };
    let expected = Conversation {
        conversation_id: conversation.to_string(),
        kind: ConversationKind::Direct.into(),
        members: vec![member("alice"), member("bob")],
        revision: 0,
        counted_seq: 0,
        unread_count: 0,
        last_message: None,
        created_at: seen.created_at,
        last_activity_at: seen.created_at,
        group: None,
        settings: Some(ConversationSettings::default()),
        marked_unread: false,
    };
    assert!(seen.created_at.is_some());
    assert_eq!(seen, expected);
    assert_eq!(get(&operation, "bob", conversation).await, expected);
}

#[tokio::test]
async fn messages_are_unread_to_the_other_only_and_the_newest_is_the_preview() {
    let scene = Scene::new().await;
    let operation: GetConversation = scene.fixture.operation();
    scene.say("alice", "a1", "one").await;
    let place = scene.say("alice", "a2", &"two\n".repeat(50)).await;

    let seen = get(&operation, "bob", scene.conversation).await;
    assert_eq!((seen.revision, seen.counted_seq, seen.unread_count), (2, 2, 2));
    let message = scene.stores.history(scene.conversation).await.pop().unwrap();
    let EntryKind::Message(message) = message.kind else {
        panic!("{message:?}")
    };
    let preview = LastMessage {
        seq: 2,
        sender_id: "alice".to_owned(),
        excerpt: "two ".repeat(35),
        sent_at: Some(place.allocated_at.into()),
        message_id: message.message.to_string(),
    };
    assert_eq!(seen.last_message, Some(preview));
    assert_eq!(seen.last_activity_at, Some(place.allocated_at.into()));

    let own = get(&operation, "alice", scene.conversation).await;
    assert_eq!(own.unread_count, 0);
    let rest = Conversation { unread_count: 2, ..own };
    assert_eq!(rest, seen, "all else is the same for both");
}

#[tokio::test]
async fn who_answers_unseen_messages_has_not_read_them() {
    let scene = Scene::new().await;
    let operation: GetConversation = scene.fixture.operation();
    for op in ["b1", "b2", "b3"] {
        scene.say("bob", op, "x").await;
    }
    scene.say("alice", "a1", "hello").await;
    assert_eq!(get(&operation, "alice", scene.conversation).await.unread_count, 3);
    assert_eq!(get(&operation, "bob", scene.conversation).await.unread_count, 1);

    // How far they have read may come with what they say.
    let appended = scene.stores.append(scene.conversation, "alice", "a2", 2).await;
    assert_eq!(
        appended.read.map(|read| (read.read_seq, read.unread_count)),
        Some((2, 1))
    );
    let seen = get(&operation, "alice", scene.conversation).await;
    assert_eq!(seen.unread_count, 1);
    assert_eq!(read_positions(&seen), [("alice", 2), ("bob", 0)]);
}

#[tokio::test]
async fn what_was_never_stored_is_neither_unread_nor_shown() {
    let scene = Scene::new().await;
    let operation: GetConversation = scene.fixture.operation();
    scene.say("alice", "a1", "stored").await;
    let place = scene.place("alice", "a2").await;
    for closed in [false, true] {
        if closed {
            let places = [(scene.conversation, place.revision)];
            scene.stores.timeline.close(&places).await.unwrap();
        }
        let seen = get(&operation, "bob", scene.conversation).await;
        // Counted as far as something is there: who still writes above is counted by whoever hears of it.
        assert_eq!((seen.revision, seen.counted_seq, seen.unread_count), (2, 1, 1));
        assert_eq!(seen.last_message.unwrap().excerpt, "stored");
    }
}

#[tokio::test]
async fn a_preview_is_the_beginning_of_its_text_cut_between_characters() {
    let scene = Scene::new().await;
    let operation: GetConversation = scene.fixture.operation();
    for (op, text, excerpt) in [
        ("1", "\u{e9}".repeat(141), "\u{e9}".repeat(140)),
        ("2", "\u{1f980}".repeat(140), "\u{1f980}".repeat(140)),
        (
            "3",
            format!("{}\u{1f980}b", "a".repeat(139)),
            format!("{}\u{1f980}", "a".repeat(139)),
        ),
        ("4", "one\ntwo".to_owned(), "one two".to_owned()),
    ] {
        scene.say("alice", op, &text).await;
        let seen = get(&operation, "bob", scene.conversation).await;
        assert_eq!(seen.last_message.unwrap().excerpt, excerpt);
    }
}

#[tokio::test]
async fn a_conversation_outlives_the_friendship() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let before = get(&operation, "bob", conversation).await;
    let removed = fixture.postgres().remove_friend(&user("alice"), &user("bob")).await;
    assert!(removed.unwrap().is_ok());
    assert_eq!(get(&operation, "bob", conversation).await, before);
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    // A friend of a member is no member.
    fixture.befriend("alice", "mallory").await;
    let mut failures = Vec::new();
    for conversation in [conversation, ConversationId::generate()] {
        failures.extend(call(&operation, "mallory", request(&conversation)).await.err());
    }
    assert_eq!(failures.len(), 2);
    assert_not_found(failures);
}

#[tokio::test]
async fn a_bad_id_is_named() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let id = ConversationId::generate();
    for bad in [
        String::new(),
        "1".to_owned(),
        id.uuid().simple().to_string(),
        format!("{{{id}}}"),
    ] {
        let failure = call(&operation, "alice", request(&bad)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    for attempt in [request(&conversation), request("x")] {
        let failure = call_without_token(&operation, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn reading_a_conversation_costs_a_round_trip_of_each_store_and_another_where_something_is_missing() {
    let scene = Scene::new().await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: GetConversation = proxies.operation();
    let costs = async || {
        proxies.postgres.reset_counts();
        proxies.mongo.reset_counts();
        get(&operation, "bob", scene.conversation).await;
        (calls(&proxies.postgres), calls(&proxies.mongo))
    };
    costs().await;
    assert_eq!(costs().await, (1, 0), "nothing was said");
    scene.say("alice", "1", "x").await;
    // The preview and what is not sealed are asked for side by side.
    assert_eq!(costs().await, (1, 2));
    scene.place("alice", "2").await;
    assert_eq!(costs().await, (2, 3));
    scene.age(10).await;
    scene.stores.sealer().seal(scene.conversation).await.unwrap();
    assert_eq!(costs().await, (1, 1), "sealed: the preview alone");
}
