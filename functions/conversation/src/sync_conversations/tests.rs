//! What a sync shows, closes and hands out, on real databases.

mod feed;
mod groups;
mod restart;

use chat_contract::v1::{ConversationCursor, ConversationSync, FeedCursor, change};
use chat_domain::{RESTART_PLACES_MAX, SEALED_PER_CALL_MAX, SYNC_BACKLOG_MAX, SYNC_CHANGES_MAX};
use chat_operation::Code;
use chat_stores::mongo::Inserted;
use chat_testing::{Filter, call, call_without_token, user};

use super::*;
use crate::scene::{Scene, age, ago, calls, set_head, uncounted};

fn request(cursors: impl IntoIterator<Item = ConversationCursor>) -> SyncConversationsRequest {
    SyncConversationsRequest {
        cursors: cursors.into_iter().collect(),
        ..SyncConversationsRequest::default()
    }
}

/// A cursor that wants to start.
fn start(conversation: ConversationId) -> ConversationCursor {
    ConversationCursor {
        conversation_id: conversation.to_string(),
        ..ConversationCursor::default()
    }
}

/// Syncs one conversation as bob.
async fn sync_one(operation: &SyncConversations, cursor: ConversationCursor) -> ConversationSync {
    let answer = call(operation, "bob", request([cursor])).await.unwrap();
    assert_eq!((answer.notices, answer.seal), (vec![], vec![]));
    let mut response = answer.response;
    assert_eq!(response.conversations.len(), 1, "{response:?}");
    response.conversations.remove(0)
}

async fn sync_from(scene: &Scene, revision: i64) -> ConversationSync {
    sync_one(&scene.fixture.operation(), scene.cursor(revision)).await
}

/// The changes as (revision, text), with "" for a void.
fn changes(sync: &ConversationSync) -> Vec<(i64, &str)> {
    sync.changes
        .iter()
        .map(|change| match &change.kind {
            Some(change::Kind::MessageSent(message)) => (change.revision, message.text.as_str()),
            _ => (change.revision, ""),
        })
        .collect()
}

fn reached(sync: &ConversationSync) -> i64 {
    sync.cursor.as_ref().unwrap().revision
}

#[tokio::test]
async fn a_sync_answers_what_happened_since_the_cursor() {
    let scene = Scene::new().await;
    for text in ["one", "two", "three"] {
        scene.say("alice", text, text).await;
    }
    let sync = sync_from(&scene, 1).await;

    assert_eq!(changes(&sync), [(2, "two"), (3, "three")]);
    assert_eq!(sync.cursor, Some(scene.cursor(3)));
    assert_eq!(
        (sync.revision, sync.cursor_seq, sync.counted_seq, sync.unread_count),
        (3, 3, 3, 3)
    );
    assert!(!sync.incomplete && !sync.reset && sync.retry_after.is_none());
    let members: Vec<&str> = sync.members.iter().map(|member| member.user_id.as_str()).collect();
    assert_eq!(members, ["alice", "bob"]);

    let again = sync_from(&scene, 3).await;
    assert_eq!((changes(&again), again.incomplete, reached(&again)), (vec![], false, 3));
}

#[tokio::test]
async fn a_young_hole_ends_the_page_and_says_when_to_come_again() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let place = scene.place("alice", "2").await;
    scene.place("bob", "3").await;
    scene.age(-60).await;

    let sync = sync_from(&scene, 0).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(1, "one")], 1, true)
    );
    assert_eq!(sync.cursor_seq, 1);
    let retry_after = sync.retry_after.unwrap();
    assert!((0..=3).contains(&retry_after.seconds) && retry_after != pbjson_types::Duration::default());

    scene.write("alice", "2", "two", &place).await;
    let sync = sync_from(&scene, 1).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(2, "two")], 2, true)
    );
}

#[tokio::test]
async fn an_abandoned_hole_is_closed_and_its_late_writer_comes_too_late() {
    let scene = Scene::new().await;
    let late = scene.place("alice", "1").await;
    scene.age(4).await;
    let sync = sync_from(&scene, 0).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(1, "")], 1, false)
    );
    assert_eq!(scene.write("alice", "1", "late", &late).await, Inserted::Taken);
}

#[tokio::test]
async fn a_hole_is_taken_to_be_as_young_as_the_message_above_it() {
    let scene = Scene::new().await;
    scene.place("alice", "1").await;
    scene.age(-60).await;
    scene.say("alice", "2", "two").await;
    let sync = sync_from(&scene, 0).await;
    assert_eq!(
        (changes(&sync), sync.incomplete, sync.retry_after.is_some()),
        (vec![], true, true)
    );
}

#[tokio::test]
async fn all_abandoned_holes_of_a_page_are_closed_by_one_sync() {
    let scene = Scene::new().await;
    for round in 0..10 {
        scene.place("alice", &format!("lost-{round}")).await;
        scene.place("bob", &format!("lost-{round}")).await;
    }
    scene.age(10).await;
    let sync = sync_from(&scene, 0).await;
    assert_eq!((sync.changes.len(), reached(&sync), sync.incomplete), (20, 20, false));
    assert_eq!(
        (sync.cursor_seq, sync.unread_count),
        (20, 0),
        "what was never stored is not unread"
    );
}

#[tokio::test]
async fn more_holes_than_one_sync_closes_are_closed_by_the_next() {
    let scene = Scene::new().await;
    for round in 0..VOIDS_MAX + 6 {
        scene.place("alice", &format!("lost-{round}")).await;
    }
    scene.age(10).await;
    let first = sync_from(&scene, 0).await;
    assert_eq!((reached(&first), first.incomplete), (64, true));
    assert!(first.retry_after.is_some());
    let second = sync_from(&scene, 64).await;
    assert_eq!((reached(&second), second.incomplete), (70, false));
}

#[tokio::test]
async fn a_hole_that_is_filled_while_it_is_being_closed_shows_its_message() {
    let scene = Scene::new().await;
    let place = scene.place("alice", "1").await;
    scene.age(4).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let request = request([scene.cursor(0)]);
    let closing = tokio::spawn(async move { call(&sync, "bob", request).await.unwrap().response });
    held.caught().await;
    assert_eq!(
        scene.write("alice", "1", "just in time", &place).await,
        Inserted::Written
    );
    held.release();

    let response = closing.await.unwrap();
    assert_eq!(changes(&response.conversations[0]), [(1, "just in time")]);
}

#[tokio::test]
async fn two_readers_of_one_hole_see_the_same() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    scene.place("alice", "2").await;
    scene.age(4).await;
    let readers: Vec<SyncConversations> = (0..8).map(|_| scene.fixture.operation()).collect();
    let request = request([scene.cursor(0)]);
    let syncs = readers.iter().map(|sync| call(sync, "bob", request.clone()));
    for answer in futures::future::join_all(syncs).await {
        assert_eq!(
            changes(&answer.unwrap().response.conversations[0]),
            [(1, "one"), (2, "")]
        );
    }
}

#[tokio::test]
async fn one_sync_answers_at_most_500_changes_over_all_conversations() {
    let scene = Scene::new().await;
    close(&scene, 510, &[]).await;
    scene.stores.sealer().seal(scene.conversation).await.unwrap();

    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let request = request([scene.cursor(0)]);
    let first = call(&sync, "bob", request)
        .await
        .unwrap()
        .response
        .conversations
        .remove(0);
    assert_eq!(proxies.mongo.counts().operations["find timeline"], 1);
    assert_eq!(
        (first.changes.len(), reached(&first), first.incomplete),
        (500, 500, true)
    );
    assert_eq!(first.retry_after, None, "more is there already");
    let second = sync_from(&scene, 500).await;
    assert_eq!(
        (second.changes.len(), reached(&second), second.incomplete),
        (10, 510, false)
    );
}

#[tokio::test]
async fn one_sync_answers_about_two_megabytes_at_most() {
    let scene = Scene::new().await;
    let text = "🦀".repeat(4_000);
    for round in 0..140 {
        scene.say("alice", &format!("{round}"), &text).await;
    }
    let first = sync_from(&scene, 0).await;
    assert!(first.incomplete && first.retry_after.is_none());
    assert_eq!(i64::try_from(first.changes.len()), Ok(reached(&first)));
    assert_eq!(first.cursor_seq, reached(&first));
    assert!((100..140).contains(&reached(&first)), "{}", reached(&first));
    let second = sync_from(&scene, reached(&first)).await;
    assert_eq!((reached(&second), second.incomplete), (140, false));
}

#[tokio::test]
async fn a_page_of_quotes_fits_into_what_a_function_may_answer() {
    let scene = Scene::new().await;
    let text = "\"".repeat(4_000);
    for round in 0..200 {
        scene.say("alice", &format!("{round}"), &text).await;
    }
    let sync = sync_from(&scene, 0).await;
    let in_json = serde_json::to_string(&sync).unwrap();
    let in_the_event = serde_json::to_string(&in_json).unwrap();
    assert!(
        sync.incomplete && in_the_event.len() < 3 * 1024 * 1024,
        "{}",
        in_the_event.len()
    );
}

#[tokio::test]
async fn when_gaps_cannot_be_closed_what_is_below_them_is_shown_all_the_same() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    scene.place("alice", "2").await;
    scene.age(4).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let request = request([scene.cursor(0)]);
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let syncing = tokio::spawn(async move { call(&sync, "bob", request).await.unwrap().response });
    held.caught().await;
    // The driver repeats the write once; that one is cut as well.
    proxies.mongo.refuse();
    held.drop_connection();

    let sync = syncing.await.unwrap().conversations.remove(0);
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(1, "one")], 1, true)
    );
    assert!(sync.retry_after.is_some());
}

#[tokio::test]
async fn a_cursor_that_cannot_be_continued_starts_over() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let sync: SyncConversations = scene.fixture.operation();
    let stale = ConversationCursor {
        joined_revision: 7,
        ..scene.cursor(0)
    };
    let of_another_life = ConversationCursor {
        epoch: scene.epoch - 1,
        ..scene.cursor(1)
    };
    let of_no_life = ConversationCursor {
        epoch: 0,
        ..scene.cursor(1)
    };
    for cursor in [
        scene.cursor(2),
        stale,
        of_another_life,
        of_no_life,
        start(scene.conversation),
    ] {
        let synced = sync_one(&sync, cursor).await;
        assert!(synced.reset && synced.changes.is_empty() && !synced.incomplete);
        assert_eq!((synced.cursor, synced.cursor_seq), (Some(scene.cursor(1)), 1));
    }

    scene.set_head(1 + SYNC_BACKLOG_MAX, -60).await;
    assert!(!sync_from(&scene, 1).await.reset, "1,000 behind is not too far");
    assert!(sync_from(&scene, 0).await.reset, "1,001 behind is");
}

#[tokio::test]
async fn a_new_epoch_starts_all_cursors_over() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let sync: SyncConversations = scene.fixture.operation();
    let feed = FeedCursor::default();
    let all = |cursor, feed| SyncConversationsRequest {
        feed: Some(feed),
        ..request([cursor])
    };
    let before = call(&sync, "bob", all(start(scene.conversation), feed))
        .await
        .unwrap()
        .response;
    let (cursor, feed) = (
        before.conversations[0].cursor.clone().unwrap(),
        before.feed.unwrap().cursor.unwrap(),
    );
    let again = call(&sync, "bob", all(cursor.clone(), feed)).await.unwrap().response;
    assert!(!again.conversations[0].reset && !again.feed.unwrap().reset);

    sqlx::query("UPDATE deployment SET epoch = epoch + 1")
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    let after = call(&sync, "bob", all(cursor, feed)).await.unwrap().response;
    let told = after.feed.unwrap();
    assert!(after.conversations[0].reset && told.reset);
    assert_eq!(told.changes.len(), 2, "alice, and the conversation");
    let epoch = scene.epoch + 1;
    let epochs = (
        after.conversations[0].cursor.as_ref().unwrap().epoch,
        told.cursor.unwrap().epoch,
    );
    assert_eq!(epochs, (epoch, epoch));
}

#[tokio::test]
async fn who_starts_over_is_not_sent_past_a_hole() {
    let scene = Scene::new().await;
    for text in ["one", "two"] {
        scene.say("alice", text, text).await;
    }
    scene.age(-60).await;
    let place = scene.place("alice", "3").await;
    scene.say("bob", "4", "four").await;

    let synced = sync_one(&scene.fixture.operation(), start(scene.conversation)).await;
    assert_eq!((synced.cursor, synced.reset), (Some(scene.cursor(2)), true));
    assert_eq!((synced.revision, synced.incomplete), (4, true));

    scene.write("alice", "3", "three", &place).await;
    let synced = sync_from(&scene, 2).await;
    assert_eq!(changes(&synced), [(3, "three"), (4, "four")]);
}

#[tokio::test]
async fn conversations_are_named_one_by_one_and_those_named_in_vain_are_lost() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let second = fixture.open_direct("bob", "carol").await;
    let foreign = fixture.open_direct("alice", "carol").await;
    let missing = ConversationId::generate();
    let named = |id: ConversationId| ConversationCursor {
        conversation_id: id.to_string(),
        ..scene.cursor(0)
    };
    let shouted = missing.to_string().to_uppercase();
    let as_named = ConversationCursor {
        conversation_id: shouted.clone(),
        ..scene.cursor(0)
    };
    let sync: SyncConversations = fixture.operation();
    let cursors = [named(foreign), named(second), as_named, named(scene.conversation)];
    let response = call(&sync, "bob", request(cursors)).await.unwrap().response;

    let synced: Vec<String> = response
        .conversations
        .iter()
        .map(|sync| sync.cursor.clone().unwrap().conversation_id)
        .collect();
    assert_eq!(synced, [second.to_string(), scene.conversation.to_string()]);
    assert_eq!(response.lost_conversation_ids, [foreign.to_string(), shouted]);
    assert_eq!(response.feed, None, "nobody asked");
    let nothing = call(&sync, "bob", request([])).await.unwrap().response;
    assert_eq!(nothing, SyncConversationsResponse::default());
}

#[tokio::test]
async fn bad_cursors_are_refused_and_named() {
    let scene = Scene::new().await;
    let sync: SyncConversations = scene.fixture.operation();
    let bad = [
        (
            vec![ConversationCursor {
                conversation_id: "x".into(),
                ..scene.cursor(0)
            }],
            "cursors.conversation_id",
        ),
        (vec![scene.cursor(0), scene.cursor(1)], "cursors.conversation_id"),
        (vec![scene.cursor(-1)], "cursors.revision"),
        (
            vec![ConversationCursor {
                joined_revision: -1,
                ..scene.cursor(0)
            }],
            "cursors.joined_revision",
        ),
        (
            vec![ConversationCursor {
                epoch: -1,
                ..scene.cursor(0)
            }],
            "cursors.epoch",
        ),
        (vec![scene.cursor(0); SYNC_CURSORS_MAX + 1], "cursors"),
    ];
    for (cursors, field) in bad {
        let failure = call(&sync, "bob", request(cursors)).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.violations()[0].field.as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let bad_feed = SyncConversationsRequest {
        feed: Some(FeedCursor {
            epoch: -1,
            revision: -1,
            listing_through: -1,
        }),
        ..request([])
    };
    let failure = call(&sync, "bob", bad_feed).await.unwrap_err();
    assert_eq!(
        crate::scene::bad_fields(&failure),
        ["feed.epoch", "feed.revision", "feed.listing_through"]
    );
    assert!(sync_from(&scene, i64::MAX).await.reset);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let failure = call_without_token(
        &scene.fixture.operation::<SyncConversations>(),
        SyncConversationsRequest::default(),
    )
    .await
    .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

/// What a sync costs: calls of Postgres, and of MongoDB.
async fn costs(
    proxies: &chat_testing::Proxies,
    sync: &SyncConversations,
    request: SyncConversationsRequest,
) -> (u64, u64) {
    proxies.postgres.reset_counts();
    proxies.mongo.reset_counts();
    let response = call(sync, "bob", request).await.unwrap().response;
    assert!(response.conversations.iter().all(|sync| !sync.incomplete));
    (calls(&proxies.postgres), calls(&proxies.mongo))
}

#[tokio::test]
async fn a_sync_costs_a_round_trip_of_each_store_three_more_to_close_and_three_to_report() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let from_start = || request([scene.cursor(0)]);
    costs(&proxies, &sync, from_start()).await;
    assert_eq!(costs(&proxies, &sync, from_start()).await, (1, 1));
    scene.place("alice", "lost").await;
    scene.age(4).await;
    // Read, ask what belongs there, close, read again; then look at the seal, look at the places, tell Postgres, and count again.
    assert_eq!(costs(&proxies, &sync, from_start()).await, (5, 4));
    assert_eq!(costs(&proxies, &sync, from_start()).await, (1, 1), "once");
    assert_eq!(
        costs(&proxies, &sync, request([start(scene.conversation)])).await,
        (2, 0),
        "all is sealed"
    );
}

#[tokio::test]
async fn a_heartbeat_with_nothing_new_is_one_call_of_postgres_and_none_of_mongo() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let conversations = crowd(&scene, 199).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let feed = Some(FeedCursor::default());
    let started = SyncConversationsRequest { feed, ..request([]) };
    let mut feed = call(&sync, "bob", started).await.unwrap().response.feed.unwrap();
    while feed.incomplete {
        let more = SyncConversationsRequest {
            feed: feed.cursor,
            ..request([])
        };
        feed = call(&sync, "bob", more).await.unwrap().response.feed.unwrap();
    }
    let others = conversations.iter().map(|id| ConversationCursor {
        conversation_id: id.to_string(),
        ..scene.cursor(0)
    });
    let all: Vec<_> = others.chain([scene.cursor(1)]).collect();
    for named in [1, 200] {
        let heartbeat = SyncConversationsRequest {
            feed: feed.cursor,
            ..request(all.iter().rev().take(named).cloned())
        };
        assert_eq!(costs(&proxies, &sync, heartbeat).await, (1, 0), "{named}");
    }
}

/// Gives bob so many more conversations. Answers them.
async fn crowd(scene: &Scene, conversations: i64) -> Vec<ConversationId> {
    crate::scene::fill(&scene.fixture, "bob", conversations).await;
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT conversation_id FROM conversations WHERE conversation_id <> $1")
            .bind(scene.conversation.uuid())
            .fetch_all(&mut scene.fixture.connect_postgres().await)
            .await
            .unwrap();
    ids.into_iter().map(Into::into).collect()
}

#[tokio::test]
async fn a_stuck_conversation_keeps_no_other_one_and_500_changes_are_shared() {
    let scene = Scene::new().await;
    let others = crowd(&scene, 199).await;
    // One waits for a writer; of the others, one has much to tell and 198 have a message each.
    scene.place("alice", "slow").await;
    scene.age(-60).await;
    // Their places are reported as taken, so that nothing but the walk is left to do.
    sqlx::query(
        "UPDATE conversations SET revision = 1, message_count = 1, closed_revision = 1, allocated_at = now() - interval '10 s'
         WHERE conversation_id <> $1",
    )
    .bind(scene.conversation.uuid())
    .execute(&mut scene.fixture.connect_postgres().await)
    .await
    .unwrap();
    set_head(&scene.fixture, others[7], 400, 10).await;
    let voids: Vec<_> = others.iter().map(|other| (*other, 1)).collect();
    scene.stores.timeline.close(&voids).await.unwrap();
    let many: Vec<i64> = (2..=400).collect();
    scene.stores.write_at(others[7], &many, ago(10)).await;
    let sync: SyncConversations = scene.fixture.operation();
    let cursor = |id: &ConversationId, revision| ConversationCursor {
        conversation_id: id.to_string(),
        ..scene.cursor(revision)
    };
    let all = others.iter().map(|other| cursor(other, 0));
    let synced = call(&sync, "bob", request([scene.cursor(0)].into_iter().chain(all)))
        .await
        .unwrap();
    let synced = synced.response.conversations;
    assert_eq!(synced.len(), 200);
    assert_eq!((reached(&synced[0]), synced[0].incomplete), (0, true));
    assert!(synced[0].retry_after.is_some());
    for (position, other) in synced[1..].iter().enumerate() {
        assert_eq!(other.retry_after, None, "{position}");
        let share = if position == 7 { 301 } else { 1 };
        assert_eq!((reached(other), other.incomplete), (share, position == 7), "{position}");
    }
    let told: usize = synced.iter().map(|sync| sync.changes.len()).sum();
    assert_eq!(told, 499, "one of 500 was for the one that is stuck");
    let next = call(&sync, "bob", request([scene.cursor(0), cursor(&others[7], 301)]))
        .await
        .unwrap()
        .response;
    assert_eq!(
        (reached(&next.conversations[1]), next.conversations[1].incomplete),
        (400, false)
    );
}

#[tokio::test]
async fn those_that_want_much_share_alike() {
    let scene = Scene::new().await;
    let others = crowd(&scene, 9).await;
    for other in &others {
        set_head(&scene.fixture, *other, 300, 10).await;
        let voids: Vec<_> = (1..=300).map(|place| (*other, place)).collect();
        scene.stores.timeline.close(&voids).await.unwrap();
    }
    let cursors = others.iter().map(|other| ConversationCursor {
        conversation_id: other.to_string(),
        ..scene.cursor(0)
    });
    let synced = call(&scene.fixture.operation::<SyncConversations>(), "bob", request(cursors))
        .await
        .unwrap();
    let shares: Vec<usize> = synced
        .response
        .conversations
        .iter()
        .map(|sync| sync.changes.len())
        .collect();
    assert_eq!(shares.iter().sum::<usize>(), SYNC_CHANGES_MAX);
    assert!(shares.iter().all(|share| (55..=56).contains(share)), "{shares:?}");
}

#[tokio::test]
async fn a_void_that_nobody_reported_is_reported_by_who_walks_over_it() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let lost = scene.place("alice", "2").await;
    scene.say("alice", "3", "three").await;
    // Whoever closed it has died since.
    scene
        .stores
        .timeline
        .close(&[(scene.conversation, lost.revision)])
        .await
        .unwrap();
    let synced = sync_from(&scene, 0).await;
    assert_eq!(changes(&synced), [(1, "one"), (2, ""), (3, "three")]);
    assert_eq!((synced.unread_count, synced.counted_seq, synced.cursor_seq), (2, 3, 3));
    assert_eq!(uncounted(&scene.fixture, scene.conversation).await, [2]);
    assert_eq!(scene.stores.seal_state(scene.conversation).await.closed_revision, 3);
}

#[tokio::test]
async fn one_sync_reports_voids_of_so_many_conversations_and_the_next_ones_the_others() {
    let scene = Scene::new().await;
    let conversations = crowd(&scene, 40).await;
    for conversation in &conversations {
        set_head(&scene.fixture, *conversation, 2, 10).await;
        scene.stores.write_at(*conversation, &[1], ago(10)).await;
    }
    let voids: Vec<_> = conversations.iter().map(|conversation| (*conversation, 2)).collect();
    scene.stores.timeline.close(&voids).await.unwrap();
    let sync: SyncConversations = scene.fixture.operation();
    let mut cursors: Vec<_> = conversations
        .iter()
        .map(|conversation| ConversationCursor {
            conversation_id: conversation.to_string(),
            ..scene.cursor(0)
        })
        .collect();
    for (left, whole_now) in [(24, SEALED_PER_CALL_MAX), (8, SEALED_PER_CALL_MAX), (0, 8)] {
        let synced = call(&sync, "bob", request(cursors)).await.unwrap().response;
        let (open, whole): (Vec<_>, Vec<_>) = synced.conversations.into_iter().partition(|sync| sync.incomplete);
        assert_eq!((open.len(), whole.len()), (left, whole_now));
        for sync in &whole {
            assert_eq!((reached(sync), sync.unread_count, sync.counted_seq), (2, 1, 2));
        }
        for sync in &open {
            assert_eq!((reached(sync), sync.retry_after), (1, None), "the message is shown");
        }
        cursors = open.into_iter().filter_map(|sync| sync.cursor).collect();
    }
}

#[tokio::test]
async fn what_is_sent_while_a_sync_counts_again_is_counted_but_not_called_known() {
    let scene = Scene::new().await;
    scene.say("alice", "1", "one").await;
    let lost = scene.place("alice", "2").await;
    scene
        .stores
        .timeline
        .close(&[(scene.conversation, lost.revision)])
        .await
        .unwrap();
    for cursor in [scene.cursor(0), start(scene.conversation)] {
        // Nobody reported it yet.
        sqlx::raw_sql(
            "DELETE FROM uncounted; UPDATE conversations SET closed_revision = 0, closed_seq = 0, uncounted_seq = 0",
        )
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
        let head = scene.stores.seal_state(scene.conversation).await.message_count;
        let proxies = scene.fixture.with_proxies().await;
        let caught_read = proxies.postgres.hold(Filter::operation("FROM deployment").skip(1));
        let sync: SyncConversations = proxies.operation();
        let syncing = tokio::spawn(async move { sync_one(&sync, cursor).await });
        caught_read.caught().await;
        scene.say("alice", &format!("later-{head}"), "later").await;
        caught_read.release();

        let synced = syncing.await.unwrap();
        assert_eq!((reached(&synced), synced.cursor_seq), (head, head), "what was shown");
        assert_eq!((synced.counted_seq, synced.unread_count), (head + 1, head));
    }
}

#[tokio::test]
async fn who_starts_over_too_often_is_told_when_to_come_again_and_heartbeats_are_free() {
    let scene = Scene::new().await;
    let settings = scene.fixture.settings().clone().with("USER_BUDGET_FACTOR", "0.001");
    let sync = SyncConversations::from_settings(&settings).unwrap();
    for _ in 0..6 {
        assert!(sync_one(&sync, start(scene.conversation)).await.reset);
    }
    let feed = SyncConversationsRequest {
        feed: Some(FeedCursor::default()),
        ..request([])
    };
    for attempt in [request([start(scene.conversation)]), feed] {
        let failure = call(&sync, "bob", attempt).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::ResourceExhausted, "RATE_LIMITED")
        );
        assert!(failure.retry_after().is_some_and(|wait| !wait.is_zero()));
    }
    for _ in 0..10 {
        assert!(!sync_one(&sync, scene.cursor(0)).await.reset);
    }
}

/// Hands out places, of which all but `open` were closed long ago.
async fn close(scene: &Scene, places: i64, open: &[i64]) {
    scene.set_head(places, 10).await;
    let closed: Vec<_> = (1..=places)
        .filter(|place| !open.contains(place))
        .map(|place| (scene.conversation, place))
        .collect();
    scene.stores.timeline.close(&closed).await.unwrap();
}
