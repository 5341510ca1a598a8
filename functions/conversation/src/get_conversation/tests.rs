//! How each member sees a conversation, on a real database.

use chat_contract::v1::{Conversation, ConversationKind, LastMessage, Member};
use chat_domain::ConversationId;
use chat_rpc::Code;
use chat_stores::mongo::Timeline;
use chat_testing::{Fixture, call, call_without_token, user};

use super::*;
use crate::scene::{assert_not_found, bad_fields, read_positions, say};

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
    };
    let expected = Conversation {
        conversation_id: conversation.to_string(),
        kind: ConversationKind::Direct.into(),
        members: vec![member("alice"), member("bob")],
        revision: 0,
        message_count: 0,
        unread_count: 0,
        last_message: None,
        created_at: seen.created_at,
        last_activity_at: seen.created_at,
    };
    assert!(seen.created_at.is_some());
    assert_eq!(seen, expected);
    assert_eq!(get(&operation, "bob", conversation).await, expected);
}

#[tokio::test]
async fn messages_are_unread_to_the_other_only_and_the_newest_is_the_preview() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let postgres = fixture.postgres();
    say(&postgres, conversation, "alice", "a1", "one").await;
    let place = say(&postgres, conversation, "alice", "a2", &"two\n".repeat(50)).await;

    let seen = get(&operation, "bob", conversation).await;
    assert_eq!((seen.revision, seen.message_count, seen.unread_count), (2, 2, 2));
    let preview = LastMessage {
        seq: 2,
        sender_id: "alice".to_owned(),
        excerpt: "two ".repeat(35),
        sent_at: Some(place.allocated_at.into()),
    };
    assert_eq!(seen.last_message, Some(preview));
    assert_eq!(seen.last_activity_at, Some(place.allocated_at.into()));

    let own = get(&operation, "alice", conversation).await;
    assert_eq!(own.unread_count, 0);
    let rest = Conversation { unread_count: 2, ..own };
    assert_eq!(rest, seen, "all else is the same for both");
}

#[tokio::test]
async fn who_answers_has_seen_what_came_before_without_having_marked_it() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let postgres = fixture.postgres();
    say(&postgres, conversation, "alice", "a1", "one").await;
    say(&postgres, conversation, "bob", "b1", "two").await;
    assert_eq!(get(&operation, "alice", conversation).await.unread_count, 1);
    assert_eq!(get(&operation, "bob", conversation).await.unread_count, 0);

    postgres
        .mark_conversation_read(conversation, &user("alice"), 2)
        .await
        .unwrap();
    say(&postgres, conversation, "bob", "b2", "three").await;
    let seen = get(&operation, "alice", conversation).await;
    assert_eq!(seen.unread_count, 1);
    assert_eq!(read_positions(&seen), [("alice", 2), ("bob", 0)]);
}

#[tokio::test]
async fn a_place_that_was_closed_counts_until_it_is_read_past() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let postgres = fixture.postgres();
    let place = say(&postgres, conversation, "alice", "a1", "never written").await;
    let timeline = Timeline::new(fixture.settings()).unwrap();
    timeline.close(&[(conversation, place.revision)]).await.unwrap();

    let seen = get(&operation, "bob", conversation).await;
    assert_eq!((seen.message_count, seen.unread_count), (1, 1));
    let read = postgres
        .mark_conversation_read(conversation, &user("bob"), seen.message_count)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read.unread_count, 0);
    assert_eq!(get(&operation, "bob", conversation).await.unread_count, 0);
}

#[tokio::test]
async fn a_conversation_outlives_the_friendship() {
    let fixture = Fixture::new().await;
    let operation: GetConversation = fixture.operation();
    let conversation = fixture.open_direct("alice", "bob").await;
    let before = get(&operation, "bob", conversation).await;
    fixture
        .postgres()
        .remove_friend(&user("alice"), &user("bob"))
        .await
        .unwrap();
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
async fn reading_a_conversation_costs_one_round_trip() {
    let fixture = Fixture::new().await;
    let conversation = fixture.open_direct("alice", "bob").await;
    let proxies = fixture.with_proxies().await;
    let operation: GetConversation = proxies.operation();
    get(&operation, "alice", conversation).await;
    proxies.postgres.reset_counts();

    get(&operation, "alice", conversation).await;

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().connections_opened, 0);
}
