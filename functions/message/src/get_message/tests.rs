//! Who gets which message, on real databases.

use bson::doc;
use chat_contract::v1::{Message, SendMessageRequest};
use chat_domain::{ConversationId, MessageId};
use chat_operation::Code;
use chat_testing::{Filter, call, call_without_token, user};

use super::*;
use crate::SendMessage;
use crate::scene::{Scene, assert_not_found, bad_fields, change_text};

fn request(conversation: &(impl ToString + ?Sized), message: &(impl ToString + ?Sized)) -> GetMessageRequest {
    GetMessageRequest {
        conversation_id: conversation.to_string(),
        message_id: message.to_string(),
    }
}

async fn send(scene: &Scene, sender: &str, op: &str, reply_to: &str) -> Message {
    let send: SendMessage = scene.fixture.operation();
    let request = SendMessageRequest {
        conversation_id: scene.conversation.to_string(),
        client_message_id: op.to_owned(),
        text: format!("{op} ☀\n"),
        reply_to_message_id: reply_to.to_owned(),
        ..SendMessageRequest::default()
    };
    call(&send, sender, request).await.unwrap().response.message.unwrap()
}

fn assert_no_message(failure: &Failure) {
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::NotFound, "MESSAGE_NOT_FOUND")
    );
}

#[tokio::test]
async fn both_members_get_a_message_as_it_was_answered_to_its_sender() {
    let scene = Scene::new("").await;
    let get: GetMessage = scene.fixture.operation();
    let first = send(&scene, "alice", "first", "").await;
    let reply = send(&scene, "bob", "reply", &first.message_id).await;
    // The end of the friendship leaves the history.
    scene
        .fixture
        .postgres()
        .remove_friend(&user("alice"), &user("bob"))
        .await
        .unwrap()
        .unwrap();
    for caller in ["alice", "bob"] {
        for sent in [&first, &reply] {
            let answer = call(&get, caller, request(&scene.conversation, &sent.message_id))
                .await
                .unwrap();
            assert_eq!(answer.response.message.as_ref(), Some(sent));
            assert_eq!(answer.notices, []);
        }
    }
}

#[tokio::test]
async fn a_message_is_found_in_its_own_conversation_only() {
    let scene = Scene::new("m").await;
    let get: GetMessage = scene.fixture.operation();
    let elsewhere = scene.fixture.open_direct("alice", "carol").await;
    let sent = send(&scene, "bob", "here", "").await;
    // Alice is a member of both.
    for missing in [sent.message_id, MessageId::generate().to_string()] {
        let failure = call(&get, "alice", request(&elsewhere, &missing)).await.unwrap_err();
        assert_no_message(&failure);
    }
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new("").await;
    let get: GetMessage = scene.fixture.operation();
    let secret = send(&scene, "alice", "secret", "").await;
    let mut failures = Vec::new();
    for conversation in [scene.conversation, ConversationId::generate()] {
        for message in [secret.message_id.clone(), MessageId::generate().to_string()] {
            failures.extend(call(&get, "mallory", request(&conversation, &message)).await.err());
        }
    }
    assert_eq!(failures.len(), 4);
    assert_not_found(&failures);
}

#[tokio::test]
async fn a_closed_place_is_no_message() {
    let scene = Scene::new("v").await;
    let get: GetMessage = scene.fixture.operation();
    let timeline = scene.mongo().await.collection::<bson::Document>("timeline");
    let void = timeline.find_one(doc! { "kind": "void" }).await.unwrap().unwrap();
    let id = match void.get("_id") {
        Some(bson::Bson::Binary(id)) => id.to_uuid().unwrap().to_string(),
        other => panic!("an id is a UUID, not {other:?}"),
    };
    let failure = call(&get, "alice", request(&scene.conversation, &id))
        .await
        .unwrap_err();
    assert_no_message(&failure);
}

#[tokio::test]
async fn a_message_above_the_head_is_not_shown_before_the_head_has_reached_it() {
    let scene = Scene::new("mm").await;
    let get: GetMessage = scene.fixture.operation();
    let early = scene.write(3).await;
    let failure = call(&get, "alice", request(&scene.conversation, &early.message))
        .await
        .unwrap_err();
    assert_no_message(&failure);

    scene.set_head(3).await;
    let answer = call(&get, "alice", request(&scene.conversation, &early.message))
        .await
        .unwrap();
    assert_eq!(answer.response.message, Some(chat_view::message(early)));
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new("").await;
    let get: GetMessage = scene.fixture.operation();
    for bad in ["", "1", "01890a5dac96774bbcceb302099a8057"] {
        let failure = call(&get, "alice", request(bad, bad)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "message_id"]);
        let failure = call(&get, "alice", request(&scene.conversation, bad))
            .await
            .unwrap_err();
        assert_eq!(bad_fields(&failure), ["message_id"]);
    }
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new("").await;
    let get: GetMessage = scene.fixture.operation();
    for attempt in [request(&scene.conversation, &MessageId::generate()), request("", "")] {
        let failure = call_without_token(&get, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn both_databases_are_asked_once_and_at_the_same_time() {
    let scene = Scene::new("").await;
    let sent = send(&scene, "alice", "counted", "").await;
    let proxies = scene.fixture.with_proxies().await;
    let get: GetMessage = proxies.operation();
    let request = request(&scene.conversation, &sent.message_id);
    call(&get, "bob", request.clone()).await.unwrap();
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();

    let asked_postgres = proxies.postgres.hold(Filter::any());
    let asked_mongo = proxies.mongo.hold(Filter::any());
    let reading = tokio::spawn(async move { call(&get, "bob", request).await });
    // Neither has answered yet.
    tokio::join!(asked_postgres.caught(), asked_mongo.caught());
    asked_postgres.release();
    asked_mongo.release();
    reading.await.unwrap().unwrap();

    assert_eq!(proxies.postgres.counts().round_trips, 1);
    assert_eq!(proxies.mongo.counts().round_trips, 1);
}

#[tokio::test]
async fn a_quote_says_what_its_target_says_now_and_costs_one_round_trip_to_mongo_more() {
    let scene = Scene::new("").await;
    let first = send(&scene, "alice", "first", "").await;
    let reply = send(&scene, "bob", "reply", &first.message_id).await;
    change_text(&scene.fixture, &first, "changed").await;
    let proxies = scene.fixture.with_proxies().await;
    let get: GetMessage = proxies.operation();
    for round in 0..2 {
        proxies.mongo.reset_counts();
        let answer = call(&get, "alice", request(&scene.conversation, &reply.message_id))
            .await
            .unwrap();
        let quote = answer.response.message.unwrap().reply_to.unwrap().quote.unwrap();
        assert_eq!((quote.sender_id.as_str(), quote.excerpt.as_str()), ("alice", "changed"));
        assert_eq!(proxies.mongo.counts().round_trips, 2, "{round}");
    }
}
