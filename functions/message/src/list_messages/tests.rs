//! Which page of history is answered and what it costs, on real databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use bson::{Document, doc};
use chat_contract::v1::{Message, SendMessageRequest};
use chat_operation::Code;
use chat_stores::mongo::Slot;
use chat_testing::{Filter, Proxies, call, call_without_token, user};
use futures::TryStreamExt;
use tokio::task::JoinSet;

use super::*;
use crate::SendMessage;
use crate::scene::{Scene, assert_not_found, bad_fields, change_text, die_with_a_place, say, sent};

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
        restart_revision: 0,
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
            ..SendMessageRequest::default()
        };
        said.extend(call(&send, sender, request).await.unwrap().response.message);
    }
    // The end of the friendship leaves the history.
    scene
        .fixture
        .postgres()
        .remove_friend(&user("alice"), &user("bob"))
        .await
        .unwrap()
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
            ..ListMessagesResponse::default()
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
    scene.seal().await;
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
    // Each twice, as there are closed places.
    assert_eq!(finds.len(), 10);
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

#[tokio::test]
async fn pages_upwards_end_below_a_place_that_is_being_written() {
    let scene = Scene::young("mmhmm").await;
    assert_pages(
        &scene,
        &[
            (None, 9, &[1, 2], false, true),
            (None, 3, &[2], true, true),
            (None, 2, &[], true, true),
            (None, 1, &[5], true, false),
            (Some(AfterSeq(0)), 9, &[1, 2], false, true),
            (Some(AfterSeq(1)), 1, &[2], true, true),
            (Some(AfterSeq(2)), 1, &[], true, true),
            (Some(AfterSeq(3)), 9, &[4, 5], true, false),
        ],
    )
    .await;
    assert_eq!(scene.slot(3).await, Slot::Free);
    scene.write(3).await;
    assert_pages(
        &scene,
        &[
            (None, 9, &[1, 2, 3, 4, 5], false, false),
            (Some(AfterSeq(2)), 1, &[3], true, true),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_page_looks_again_four_times_before_it_ends_below_a_place() {
    let scene = Scene::young("mhm").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    let page = list(&operation, &scene, None, 9).await;
    assert_eq!((seqs(&page.messages), page.has_more_after), (vec![1], true));
    // The page; then what stands in the places, and the page again, after each wait; and the places for the last time.
    let finds = proxies.mongo.counts().operations.get("find timeline").copied();
    assert_eq!(finds, Some(1 + 2 * 3 + 1));
}

#[tokio::test]
async fn a_message_that_comes_while_a_page_waits_is_shown() {
    for (position, expected) in [
        (None, vec![1, 2, 3]),
        (Some(AfterSeq(1)), vec![2, 3]),
        (Some(BeforeSeq(3)), vec![1, 2]),
        (Some(AroundSeq(2)), vec![1, 2, 3]),
    ] {
        let scene = Scene::young("mhm").await;
        let proxies = scene.fixture.with_proxies().await;
        let operation: ListMessages = proxies.operation();
        let places = proxies.mongo.hold(Filter::operation("find").containing("allocated_at"));
        let conversation = scene.conversation;
        let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, position, 9)).await });
        places.caught().await;
        let page_again = proxies.mongo.hold(Filter::operation("find"));
        places.release();
        // What stands in the places was looked at, and the page has waited.
        page_again.caught().await;
        scene.write(2).await;
        page_again.release();
        let page = reading.await.unwrap().unwrap().response;
        assert_eq!(
            (seqs(&page.messages), page.has_more_after),
            (expected, position == Some(BeforeSeq(3)))
        );
        assert_eq!(scene.unread("bob").await, 3);
    }
}

#[tokio::test]
async fn a_page_that_is_read_again_ends_below_what_is_being_written_by_then() {
    for (position, expected) in [
        (None, vec![1, 2, 3]),
        (Some(AfterSeq(1)), vec![2, 3]),
        // This one leads downwards as well, and so closes what is being written.
        (Some(AroundSeq(2)), vec![1, 2, 3, 5]),
    ] {
        // 2, 4 and 5 are on their way.
        let scene = Scene::young("mhmhh").await;
        let proxies = scene.fixture.with_proxies().await;
        let operation: ListMessages = proxies.operation();
        let places = proxies.mongo.hold(Filter::operation("find").containing("allocated_at"));
        let conversation = scene.conversation;
        let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, position, 9)).await });
        places.caught().await;
        // The first hole is filled before its place is looked at; the page is read again, and meanwhile 5 is faster than 4.
        scene.write(2).await;
        scene.write(5).await;
        places.release();
        let page = reading.await.unwrap().unwrap().response;
        let is_cut = scene.slot(4).await == Slot::Free;
        assert_eq!(
            (seqs(&page.messages), page.has_more_after),
            (expected, is_cut),
            "{position:?}"
        );
        assert_eq!(is_cut, position != Some(AroundSeq(2)));
    }
}

#[tokio::test]
async fn a_page_shows_nothing_above_a_message_that_was_written_after_it_was_read() {
    // 2 and 4 are on their way, and stay there for as long as a page waits.
    let scene = Scene::young("mhmhm").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    let last_look = proxies
        .mongo
        .hold(Filter::operation("find").containing("allocated_at").skip(3));
    let conversation = scene.conversation;
    let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, None, 9)).await });
    last_look.caught().await;
    scene.write(2).await;
    last_look.release();
    let page = reading.await.unwrap().unwrap().response;
    assert_eq!((seqs(&page.messages), page.has_more_after), (vec![1], true));
}

#[tokio::test]
async fn an_abandoned_place_is_closed_and_counts_nowhere_and_the_page_goes_on() {
    for position in [None, Some(AfterSeq(0)), Some(BeforeSeq(9)), Some(AroundSeq(2))] {
        let scene = Scene::new("mmhmm").await;
        assert_eq!((scene.unread("alice").await, scene.unread("bob").await), (5, 5));
        assert_pages(&scene, &[(position, 9, &[1, 2, 4, 5], false, false)]).await;
        assert_eq!(scene.slot(3).await, Slot::Void);
        assert_eq!(scene.sealed().await, (5, 5, vec![3]));
        assert_eq!((scene.unread("alice").await, scene.unread("bob").await), (4, 4));
    }
}

#[tokio::test]
async fn a_closed_place_that_nobody_has_reported_is_reported_by_the_page_that_walks_over_it() {
    let scene = Scene::new("mvmm").await;
    assert_eq!(scene.unread("bob").await, 4);
    assert_pages(&scene, &[(None, 1, &[4], true, false)]).await;
    assert_eq!(scene.unread("bob").await, 4, "who does not walk over it does not know");
    assert_pages(&scene, &[(Some(AfterSeq(0)), 9, &[1, 3, 4], false, false)]).await;
    assert_eq!(scene.unread("bob").await, 3);
    let proxies = scene.fixture.with_proxies().await;
    // It is told once. But who reads a page while it is sealed cannot tell from one look what will never come.
    assert_eq!(round_trips(&scene, &proxies, None).await, (1, vec![2]));
}

#[tokio::test]
async fn pages_downwards_close_a_place_that_they_waited_for() {
    for (position, expected) in [
        (BeforeSeq(5), vec![1, 2, 4]),
        (BeforeSeq(i64::MAX), vec![1, 2, 4, 5]),
        (AroundSeq(4), vec![1, 2, 4, 5]),
        (AroundSeq(2), vec![1, 2, 4, 5]),
    ] {
        let scene = Scene::young("mmhmm").await;
        let operation: ListMessages = scene.fixture.operation();
        let page = list(&operation, &scene, position, 9).await;
        assert_eq!(seqs(&page.messages), expected, "{position:?}");
        assert_eq!(scene.slot(3).await, Slot::Void);
        assert_eq!(scene.unread("bob").await, 4);
    }
}

#[tokio::test]
async fn more_abandoned_places_than_one_page_closes_are_closed_by_the_next_ones() {
    let scene = Scene::new(&format!("m{}m", "h".repeat(VOIDS_MAX + 1))).await;
    let operation: ListMessages = scene.fixture.operation();
    let failure = call(&operation, "bob", request(&scene.conversation, BeforeSeq(i64::MAX), 9))
        .await
        .unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::Unavailable, "TIMELINE_REPAIRING")
    );
    let last = i64::try_from(VOIDS_MAX).unwrap() + 3;
    assert_pages(&scene, &[(Some(BeforeSeq(i64::MAX)), 9, &[1, last], false, false)]).await;

    let scene = Scene::new(&format!("m{}m", "h".repeat(VOIDS_MAX + 1))).await;
    assert_pages(
        &scene,
        &[
            (Some(AfterSeq(0)), 9, &[1], false, true),
            (Some(AfterSeq(1)), 9, &[last], true, false),
        ],
    )
    .await;
    assert_eq!(scene.unread("bob").await, 2);
}

#[tokio::test]
async fn messages_above_the_head_displace_nothing_from_a_page_that_is_read_again() {
    let scene = Scene::young("mmhm").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    let places = proxies.mongo.hold(Filter::operation("find").containing("allocated_at"));
    let conversation = scene.conversation;
    let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, None, 2)).await });
    places.caught().await;
    // The writer of 3 is done, and others after it, which the head that authorised the page does not cover.
    for place in [3, 5, 6, 7] {
        scene.write(place).await;
    }
    places.release();
    let page = reading.await.unwrap().unwrap().response;
    assert_eq!((seqs(&page.messages), page.has_more_before), (vec![3, 4], true));
}

#[tokio::test]
async fn who_follows_by_pages_alone_misses_no_acknowledged_message() {
    const WRITERS: i64 = 16;
    const ROUNDS: i64 = 8;
    let scene = Arc::new(Scene::new("").await);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let scene = scene.clone();
        writers.spawn(async move {
            let send: SendMessage = scene.fixture.operation();
            let who = if writer % 2 == 0 { "alice" } else { "bob" };
            let mut acknowledged = Vec::new();
            for round in 0..ROUNDS {
                let op = format!("{writer}-{round}");
                if (writer + round) % 16 == 5 {
                    die_with_a_place(&scene.fixture, scene.conversation, who, &op).await;
                }
                acknowledged.push(sent(&send, who, say(scene.conversation, &op, "x")).await.seq);
            }
            acknowledged
        });
    }
    let operation: ListMessages = scene.fixture.operation();
    let (mut shown, mut acknowledged): (Vec<i64>, BTreeSet<i64>) = (Vec::new(), BTreeSet::new());
    let mut pages = 0;
    loop {
        while let Some(written) = writers.try_join_next() {
            acknowledged.extend(written.unwrap());
        }
        let are_done = writers.is_empty();
        let after = shown.last().copied().unwrap_or_default();
        let page = list(&operation, &scene, AfterSeq(after), 20).await;
        shown.extend(seqs(&page.messages));
        pages += 1;
        if are_done && !page.has_more_after {
            break;
        }
    }
    assert_eq!(acknowledged.len(), usize::try_from(WRITERS * ROUNDS).unwrap());
    assert!(shown.is_sorted() && pages > 3, "{pages}: {shown:?}");
    assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), acknowledged);
}

#[tokio::test]
async fn the_page_of_a_client_that_starts_over_is_read_linearizably() {
    let scene = Scene::new("mmmm").await;
    let mongo = scene.mongo().await;
    mongo.run_command(doc! { "profile": 2 }).await.unwrap();
    let operation: ListMessages = scene.fixture.operation();
    for (restart_revision, position) in [(4, None), (0, None), (4, Some(AroundSeq(3)))] {
        let request = ListMessagesRequest {
            restart_revision,
            ..request(&scene.conversation, position, 1)
        };
        call(&operation, "bob", request).await.unwrap();
    }
    mongo.run_command(doc! { "profile": 0 }).await.unwrap();

    let finds: Vec<Document> = mongo
        .collection("system.profile")
        .find(doc! { "command.find": "timeline", "command.limit": { "$exists": true } })
        .sort(doc! { "ts": 1 })
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let levels: Vec<&str> = finds
        .iter()
        .map(|find| {
            find.get_document("command")
                .unwrap()
                .get_document("readConcern")
                .unwrap()
                .get_str("level")
                .unwrap()
        })
        .collect();
    assert_eq!(levels, ["linearizable", "majority", "linearizable"]);
}

#[tokio::test]
async fn a_quote_says_what_its_target_says_now_and_costs_a_read_only_when_that_is_elsewhere() {
    let scene = Scene::new("").await;
    let send: SendMessage = scene.fixture.operation();
    let first = sent(&send, "alice", say(scene.conversation, "a1", "first")).await;
    let reply = SendMessageRequest {
        reply_to_message_id: first.message_id.clone(),
        ..say(scene.conversation, "b1", "reply")
    };
    sent(&send, "bob", reply).await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    for text in ["first", "changed ☀\n"] {
        if text != first.text {
            change_text(&scene.fixture, &first, text).await;
        }
        // On the page, and elsewhere.
        for (page_size, round_trips) in [(2, 1), (1, 2), (2, 1)] {
            list(&operation, &scene, None, page_size).await;
            proxies.mongo.reset_counts();
            let page = list(&operation, &scene, None, page_size).await;
            assert_eq!(proxies.mongo.counts().round_trips, round_trips, "{page_size}");
            let reply = page.messages.last().unwrap().reply_to.clone().unwrap();
            assert_eq!(
                (reply.message_id, reply.seq, reply.unavailable),
                (first.message_id.clone(), 1, false)
            );
            let quote = reply.quote.unwrap();
            assert_eq!(
                (quote.sender_id.as_str(), quote.excerpt),
                ("alice", text.replace('\n', " "))
            );
        }
    }
}

#[tokio::test]
async fn what_lies_below_a_members_window_is_neither_listed_nor_quoted() {
    let scene = Scene::new("mmmm").await;
    let send: SendMessage = scene.fixture.operation();
    let operation: ListMessages = scene.fixture.operation();
    let all = list(&operation, &scene, None, 9).await.messages;
    let reply = SendMessageRequest {
        reply_to_message_id: all[1].message_id.clone(),
        ..say(scene.conversation, "a1", "reply")
    };
    sent(&send, "alice", reply.clone()).await;
    sqlx::query("UPDATE members SET visible_from_seq = 2 WHERE user_id = 'bob'")
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();

    assert_pages(
        &scene,
        &[
            (None, 9, &[3, 4, 5], false, false),
            (None, 3, &[3, 4, 5], false, false),
            (Some(AfterSeq(0)), 2, &[3, 4], false, true),
            (Some(BeforeSeq(3)), 2, &[], false, true),
            (Some(AroundSeq(3)), 4, &[3, 4], false, true),
            (Some(AroundSeq(1)), 2, &[3], false, true),
        ],
    )
    .await;
    let page = list(&operation, &scene, None, 9).await;
    let shown = page.messages.last().unwrap().reply_to.as_ref().unwrap();
    assert_eq!((shown.seq, shown.unavailable, &shown.quote), (2, true, &None));
    let refused = SendMessageRequest {
        client_message_id: "b1".to_owned(),
        ..reply
    };
    let failure = call(&send, "bob", refused).await.unwrap_err();
    assert_eq!(failure.reason(), "REPLY_TARGET_NOT_FOUND");
}

#[tokio::test]
async fn a_page_that_was_read_before_its_last_message_was_written_and_sealed_is_read_again() {
    let scene = Scene::young("mhm").await;
    let proxies = scene.fixture.with_proxies().await;
    let operation: ListMessages = proxies.operation();
    list(&operation, &scene, AfterSeq(2), 9).await;
    proxies.mongo.reset_counts();
    let membership = proxies.postgres.hold(Filter::any());
    let conversation = scene.conversation;
    let reading = tokio::spawn(async move { call(&operation, "bob", request(&conversation, AfterSeq(0), 9)).await });
    membership.caught().await;
    while proxies.mongo.counts().requests == 0 {
        tokio::task::yield_now().await;
    }
    // The page has been read; now its gap is filled, and all is sealed.
    scene.write(2).await;
    scene.seal().await;
    assert_eq!(scene.sealed().await, (3, 3, vec![]));
    membership.release();
    assert_eq!(seqs(&reading.await.unwrap().unwrap().response.messages), [1, 2, 3]);
}
