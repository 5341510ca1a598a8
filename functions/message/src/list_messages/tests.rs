//! Which page of history is answered and what it costs, on real databases.

use bson::{Document, doc};
use chat_contract::v1::{Message, SendMessageRequest};
use chat_rpc::Code;
use chat_testing::{Filter, Proxies, call, call_without_token, user};
use futures::TryStreamExt;

use super::*;
use crate::SendMessage;
use crate::scene::{Scene, assert_not_found, bad_fields};

use Position::{AfterSeq, AroundSeq, BeforeSeq};

fn request(
    conversation: &(impl ToString + ?Sized),
    position: impl Into<Option<Position>>,
    page_size: i32,
) -> ListMessagesRequest {
    ListMessagesRequest {
        conversation_id: conversation.to_string(),
        position: position.into(),
        page_size,
    }
}

async fn list(
    operation: &ListMessages,
    scene: &Scene,
    position: impl Into<Option<Position>>,
    page_size: i32,
) -> ListMessagesResponse {
    let request = request(&scene.conversation, position, page_size);
    let answer = call(operation, "bob", request).await.expect("the page is read");
    assert_eq!(answer.notices, [], "nobody is told");
    answer.response
}

fn seqs(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.seq).collect()
}

/// A page and what it holds: (position, page size, seqs, whether there may be more before, and after).
type Expected<'a> = (Option<Position>, i32, &'a [i64], bool, bool);

async fn assert_pages(scene: &Scene, pages: &[Expected<'_>]) {
    let operation: ListMessages = scene.fixture.operation();
    for (position, page_size, expected, before, after) in pages {
        let page = list(&operation, scene, *position, *page_size).await;
        assert_eq!(
            (seqs(&page.messages), page.has_more_before, page.has_more_after),
            (expected.to_vec(), *before, *after),
            "{position:?} by {page_size}"
        );
    }
}

#[tokio::test]
async fn messages_are_listed_as_they_were_answered_to_their_senders() {
    let scene = Scene::new("").await;
    let send: SendMessage = scene.fixture.operation();
    let mut said: Vec<Message> = Vec::new();
    for (sender, text) in [("alice", "one"), ("bob", "two ☀\n"), ("alice", "three")] {
        let request = SendMessageRequest {
            conversation_id: scene.conversation.to_string(),
            client_message_id: text[..3].to_owned(),
            text: text.to_owned(),
            reply_to_message_id: said.first().map(|first| first.message_id.clone()).unwrap_or_default(),
        };
        said.extend(call(&send, sender, request).await.unwrap().response.message);
    }
    // The end of the friendship leaves the history.
    scene
        .fixture
        .postgres()
        .remove_friend(&user("alice"), &user("bob"))
        .await
        .unwrap();
    let operation: ListMessages = scene.fixture.operation();
    for caller in ["alice", "bob"] {
        let answer = call(&operation, caller, request(&scene.conversation, None, 0))
            .await
            .unwrap();
        let expected = ListMessagesResponse {
            messages: said.clone(),
            has_more_before: false,
            has_more_after: false,
        };
        assert_eq!(answer.response, expected);
    }
}

#[tokio::test]
async fn pages_end_where_the_history_does() {
    let all: Vec<i64> = (1..=10).collect();
    let scene = Scene::new("mmmmmmmmmm").await;
    assert_pages(
        &scene,
        &[
            (None, 3, &[8, 9, 10], true, false),
            (None, 9, &all[1..], true, false),
            (None, 10, &all, false, false),
            (None, 11, &all, false, false),
            (Some(BeforeSeq(1)), 3, &[], false, true),
            (Some(BeforeSeq(2)), 3, &[1], false, true),
            (Some(BeforeSeq(4)), 3, &[1, 2, 3], false, true),
            (Some(BeforeSeq(5)), 3, &[2, 3, 4], true, true),
            (Some(BeforeSeq(10)), 1, &[9], true, true),
            (Some(BeforeSeq(11)), 3, &[8, 9, 10], true, false),
            (Some(BeforeSeq(i64::MAX)), 3, &[8, 9, 10], true, false),
            (Some(AfterSeq(0)), 3, &[1, 2, 3], false, true),
            (Some(AfterSeq(0)), 10, &all, false, false),
            (Some(AfterSeq(1)), 3, &[2, 3, 4], true, true),
            (Some(AfterSeq(6)), 3, &[7, 8, 9], true, true),
            (Some(AfterSeq(7)), 3, &[8, 9, 10], true, false),
            (Some(AfterSeq(9)), 3, &[10], true, false),
            (Some(AfterSeq(10)), 3, &[], true, false),
            (Some(AfterSeq(i64::MAX)), 3, &[], true, false),
            (Some(AroundSeq(5)), 4, &[3, 4, 5, 6], true, true),
            (Some(AroundSeq(5)), 5, &[3, 4, 5, 6, 7], true, true),
            (Some(AroundSeq(5)), 100, &all, false, false),
            (Some(AroundSeq(5)), 1, &[5], true, true),
            (Some(AroundSeq(1)), 1, &[1], false, true),
            (Some(AroundSeq(10)), 1, &[10], true, false),
            (Some(AroundSeq(1)), 4, &[1, 2], false, true),
            (Some(AroundSeq(3)), 4, &[1, 2, 3, 4], false, true),
            (Some(AroundSeq(9)), 4, &[7, 8, 9, 10], true, false),
            (Some(AroundSeq(10)), 4, &[8, 9, 10], true, false),
            (Some(AroundSeq(99)), 4, &[9, 10], true, false),
            (Some(AroundSeq(i64::MAX)), 4, &[9, 10], true, false),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_empty_history_has_nothing_anywhere() {
    let scene = Scene::new("").await;
    for position in [
        None,
        Some(BeforeSeq(1)),
        Some(BeforeSeq(9)),
        Some(AfterSeq(0)),
        Some(AfterSeq(9)),
        Some(AroundSeq(1)),
        Some(AroundSeq(9)),
    ] {
        assert_pages(
            &scene,
            &[(position, 5, &[], false, false), (position, 1, &[], false, false)],
        )
        .await;
    }
}

#[tokio::test]
async fn closed_places_and_holes_are_stepped_over_and_take_no_room() {
    let scene = Scene::new("mvhmmvm").await;
    assert_pages(
        &scene,
        &[
            (None, 2, &[5, 7], true, false),
            (None, 4, &[1, 4, 5, 7], false, false),
            (Some(BeforeSeq(7)), 2, &[4, 5], true, true),
            (Some(BeforeSeq(4)), 2, &[1], false, true),
            (Some(AfterSeq(1)), 2, &[4, 5], true, true),
            (Some(AfterSeq(2)), 3, &[4, 5, 7], true, false),
            (Some(AfterSeq(5)), 1, &[7], true, false),
            (Some(AroundSeq(2)), 4, &[1, 4, 5], false, true),
            (Some(AroundSeq(6)), 2, &[5, 7], true, false),
        ],
    )
    .await;
}

#[tokio::test]
async fn closed_places_at_the_ends_may_promise_more_but_never_hide_any() {
    let scene = Scene::new("vmmv").await;
    assert_pages(
        &scene,
        &[
            (None, 2, &[2, 3], false, false),
            (None, 1, &[3], true, false),
            (Some(AfterSeq(3)), 2, &[], true, false),
            // There may be something at or below 1, and at or above 4: a closed place is told from none by reading it.
            (Some(AfterSeq(1)), 2, &[2, 3], true, false),
            (Some(BeforeSeq(4)), 2, &[2, 3], false, true),
            (Some(BeforeSeq(2)), 2, &[], false, true),
        ],
    )
    .await;
}

#[tokio::test]
async fn paging_through_everything_loses_and_doubles_nothing_in_either_direction() {
    let places: String = (0..130).map(|place| if place % 7 == 3 { 'v' } else { 'm' }).collect();
    let expected: Vec<i64> = (1..)
        .zip(places.chars())
        .filter(|(_, kind)| *kind == 'm')
        .map(|(seq, _)| seq)
        .collect();
    let scene = Scene::new(&places).await;
    let operation: ListMessages = scene.fixture.operation();
    for page_size in [3, 50, 100] {
        let mut page = list(&operation, &scene, None, page_size).await;
        let mut backwards = seqs(&page.messages);
        while page.has_more_before {
            page = list(&operation, &scene, BeforeSeq(backwards[0]), page_size).await;
            assert!(!page.messages.is_empty() && page.has_more_after);
            backwards.splice(0..0, seqs(&page.messages));
        }
        assert_eq!(backwards, expected, "{page_size}");

        let mut page = list(&operation, &scene, AfterSeq(0), page_size).await;
        let mut forwards = seqs(&page.messages);
        while page.has_more_after {
            page = list(&operation, &scene, AfterSeq(*forwards.last().unwrap()), page_size).await;
            assert!(!page.messages.is_empty() && page.has_more_before);
            forwards.extend(seqs(&page.messages));
        }
        assert_eq!(forwards, expected, "{page_size}");
    }
    for (asked, length) in [(0, 50), (100, 100), (101, 100), (i32::MAX, 100)] {
        assert_eq!(list(&operation, &scene, None, asked).await.messages.len(), length);
        assert_eq!(
            list(&operation, &scene, AroundSeq(65), asked).await.messages.len(),
            length
        );
    }
}

#[tokio::test]
async fn what_lies_above_the_head_is_not_shown_and_hides_nothing_below_it() {
    let scene = Scene::new("mmmmm").await;
    // As when sends got in between the two reads.
    for place in 6..=9 {
        scene.write(place).await;
    }
    assert_pages(
        &scene,
        &[
            (None, 2, &[4, 5], true, false),
            (None, 4, &[2, 3, 4, 5], true, false),
            (None, 5, &[1, 2, 3, 4, 5], false, false),
            (None, 100, &[1, 2, 3, 4, 5], false, false),
            (Some(BeforeSeq(8)), 1, &[5], true, false),
            (Some(AfterSeq(3)), 2, &[4, 5], true, false),
            (Some(AfterSeq(3)), 3, &[4, 5], true, false),
            (Some(AfterSeq(5)), 2, &[], true, false),
            (Some(AroundSeq(5)), 4, &[3, 4, 5], true, false),
            (Some(AroundSeq(9)), 4, &[4, 5], true, false),
        ],
    )
    .await;
    scene.set_head(9).await;
    assert_pages(&scene, &[(None, 2, &[8, 9], true, false)]).await;
}

#[tokio::test]
async fn a_foreign_conversation_and_a_missing_one_are_refused_alike() {
    let scene = Scene::new("mmm").await;
    let operation: ListMessages = scene.fixture.operation();
    let mut failures = Vec::new();
    for conversation in [scene.conversation, ConversationId::generate()] {
        for position in [None, Some(BeforeSeq(3)), Some(AfterSeq(0)), Some(AroundSeq(2))] {
            failures.extend(
                call(&operation, "mallory", request(&conversation, position, 0))
                    .await
                    .err(),
            );
        }
    }
    assert_eq!(failures.len(), 8);
    assert_not_found(&failures);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let scene = Scene::new("").await;
    let operation: ListMessages = scene.fixture.operation();
    for (position, field) in [
        (BeforeSeq(0), "before_seq"),
        (BeforeSeq(i64::MIN), "before_seq"),
        (AfterSeq(-1), "after_seq"),
        (AroundSeq(0), "around_seq"),
        (AroundSeq(i64::MIN), "around_seq"),
    ] {
        let failure = call(&operation, "alice", request("x", position, -1)).await.unwrap_err();
        assert_eq!(bad_fields(&failure), ["conversation_id", "page_size", field]);
        let failure = call(&operation, "alice", request(&scene.conversation, position, 1))
            .await
            .unwrap_err();
        assert_eq!(bad_fields(&failure), [field]);
    }
    let failure = call(&operation, "alice", request(&scene.conversation, None, i32::MIN))
        .await
        .unwrap_err();
    assert_eq!(bad_fields(&failure), ["page_size"]);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new("m").await;
    let operation: ListMessages = scene.fixture.operation();
    for attempt in [request(&scene.conversation, None, 0), request("x", BeforeSeq(0), -1)] {
        let failure = call_without_token(&operation, attempt).await.unwrap_err();
        assert_eq!(failure.code(), Code::Unauthenticated);
    }
}

/// Round trips of one call, in steady state: (to Postgres, to each connection of Mongo).
async fn round_trips(scene: &Scene, proxies: &Proxies, position: Option<Position>) -> (u64, Vec<u64>) {
    let operation: ListMessages = proxies.operation();
    list(&operation, scene, position, 3).await;
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();
    list(&operation, scene, position, 3).await;
    let by_connection = proxies.mongo.counts().round_trips_by_connection;
    (
        proxies.postgres.counts().round_trips,
        by_connection.into_values().collect(),
    )
}

#[tokio::test]
async fn a_page_costs_one_round_trip_to_each_database() {
    let scene = Scene::new("mmmmmm").await;
    let proxies = scene.fixture.with_proxies().await;
    for position in [None, Some(BeforeSeq(5)), Some(AfterSeq(2))] {
        assert_eq!(round_trips(&scene, &proxies, position).await, (1, vec![1]));
    }
    // Both halves at once, so on a connection each.
    let around = Some(AroundSeq(3));
    assert_eq!(round_trips(&scene, &proxies, around).await, (1, vec![1, 1]));
}

#[tokio::test]
async fn everything_that_a_page_needs_is_asked_for_at_the_same_time() {
    let scene = Scene::new("mmmmmm").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    list(&operation, &scene, AroundSeq(3), 4).await;

    let membership = proxies.postgres.hold(Filter::any());
    let below = proxies.mongo.hold(Filter::operation("find"));
    let above = proxies.mongo.hold(Filter::operation("find"));
    let conversation = scene.conversation;
    let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, AroundSeq(3), 4)).await });
    // None has been answered yet.
    tokio::join!(membership.caught(), below.caught(), above.caught());
    for held in [membership, below, above] {
        held.release();
    }
    let page = reading.await.unwrap().unwrap().response;
    assert_eq!(seqs(&page.messages), [1, 2, 3, 4]);
}

#[tokio::test]
async fn history_is_read_by_the_index_of_seqs_and_no_further_than_the_page() {
    let places: String = (0..300).map(|place| if place % 10 == 3 { 'v' } else { 'm' }).collect();
    let scene = Scene::new(&places).await;
    let mongo = scene.mongo().await;
    // The database keeps a profile of every call that it gets.
    mongo.run_command(doc! { "profile": 2 }).await.unwrap();
    let operation: ListMessages = scene.fixture.operation();
    for position in [None, Some(BeforeSeq(150)), Some(AfterSeq(150)), Some(AroundSeq(150))] {
        list(&operation, &scene, position, 50).await;
    }
    mongo.run_command(doc! { "profile": 0 }).await.unwrap();

    let finds: Vec<Document> = mongo
        .collection("system.profile")
        .find(doc! { "command.find": "timeline" })
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(finds.len(), 5);
    for find in finds {
        assert_eq!(
            find.get_str("planSummary").unwrap(),
            "IXSCAN { conversation_id: 1, seq: 1 }",
            "{find}"
        );
        let limit = find.get_document("command").unwrap().get_i64("limit").unwrap();
        // The one beyond the page tells whether there are more.
        assert!(limit == 51 || limit == 26, "{find}");
        for counted in ["docsExamined", "keysExamined", "nreturned"] {
            assert_eq!(i64::from(find.get_i32(counted).unwrap()), limit, "{counted}: {find}");
        }
        assert!(!find.contains_key("hasSortStage"), "{find}");
    }
}

#[tokio::test]
async fn a_dead_database_is_unavailable() {
    let scene = Scene::new("m").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    list(&operation, &scene, None, 0).await;
    proxies.postgres.refuse();
    proxies.postgres.cut_all();
    let failure = call(&operation, "bob", request(&scene.conversation, None, 0))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );
    proxies.postgres.accept();
    assert_eq!(list(&operation, &scene, None, 0).await.messages.len(), 1);
}
