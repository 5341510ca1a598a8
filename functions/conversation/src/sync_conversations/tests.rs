//! What a sync shows, closes and hands out, on real databases.

use std::time::Duration;

use chat_domain::{MessageId, UserId};
use chat_rpc::Code;
use chat_stores::mongo::{Inserted, MessageEntry};
use chat_stores::postgres::{Append, Appended, Place};
use chat_testing::{Filter, Fixture, call, call_without_token, user};

use super::*;

/// A conversation of alice and bob, with the stores under it.
struct Scene {
    fixture: Fixture,
    postgres: Postgres,
    timeline: Timeline,
    conversation: ConversationId,
    sync: SyncConversations,
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        Self {
            postgres: fixture.postgres(),
            timeline: Timeline::new(fixture.settings()).unwrap(),
            sync: fixture.operation(),
            conversation,
            fixture,
        }
    }

    /// Takes a place, as a send does before its insert.
    async fn place(&self, sender: &UserId, op: &str) -> Place {
        let append = Append {
            conversation: self.conversation,
            actor: sender,
            op: &op.parse().unwrap(),
            excerpt: Some("x"),
            after: 0,
            floor_revision: 0,
            floor_seq: 0,
        };
        match self.postgres.append(&append).await.unwrap() {
            Appended::Placed(place) => place,
            refused => panic!("{refused:?}"),
        }
    }

    async fn write(&self, sender: &UserId, op: &str, text: &str, place: Place) -> Inserted {
        let entry = MessageEntry {
            message: MessageId::generate(),
            conversation: self.conversation,
            revision: place.revision,
            seq: place.messages_after,
            sender: sender.clone(),
            op: op.parse().unwrap(),
            op_hash: [0; 32],
            text: text.to_owned(),
            reply_to: None,
            allocated_at: place.allocated_at,
            state_revision: place.revision,
        };
        self.timeline.add(&entry).await.unwrap()
    }

    async fn send(&self, op: &str, text: &str) {
        let alice = user("alice");
        let place = self.place(&alice, op).await;
        assert_eq!(self.write(&alice, op, text, place).await, Inserted::Written);
    }

    /// Lets the newest places and their messages be as old as if `age` had passed.
    async fn age(&self, age: Duration) {
        let mut connection = self.fixture.connect_postgres().await;
        sqlx::query("UPDATE conversations SET allocated_at = allocated_at - make_interval(secs => $1)")
            .bind(age.as_secs_f64())
            .execute(&mut connection)
            .await
            .unwrap();
    }

    fn cursor(&self, revision: i64) -> ConversationCursor {
        ConversationCursor {
            conversation_id: self.conversation.to_string(),
            joined_revision: 0,
            revision,
        }
    }

    async fn sync_from(&self, revision: i64) -> ConversationSync {
        let request = SyncConversationsRequest {
            cursors: vec![self.cursor(revision)],
            discover: false,
            ..Default::default()
        };
        let mut response = call(&self.sync, "bob", request).await.unwrap().response;
        assert_eq!(response.conversations.len(), 1, "{response:?}");
        response.conversations.remove(0)
    }
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
        scene.send(text, text).await;
    }
    let sync = scene.sync_from(1).await;

    assert_eq!(changes(&sync), [(2, "two"), (3, "three")]);
    assert_eq!(sync.cursor, Some(scene.cursor(3)));
    assert_eq!(
        (sync.revision, sync.cursor_seq, sync.message_count, sync.unread_count),
        (3, 3, 3, 3)
    );
    assert!(!sync.incomplete && !sync.reset && sync.retry_after.is_none());
    let members: Vec<&str> = sync.members.iter().map(|member| member.user_id.as_str()).collect();
    assert_eq!(members, ["alice", "bob"]);

    let again = scene.sync_from(3).await;
    assert_eq!((changes(&again), again.incomplete, reached(&again)), (vec![], false, 3));
}

#[tokio::test]
async fn a_young_hole_ends_the_page_and_says_when_to_come_again() {
    let scene = Scene::new().await;
    scene.send("1", "one").await;
    let alice = user("alice");
    let place = scene.place(&alice, "2").await;
    scene
        .postgres
        .append(&Append {
            conversation: scene.conversation,
            actor: &user("bob"),
            op: &"3".parse().unwrap(),
            excerpt: Some("x"),
            after: 0,
            floor_revision: 0,
            floor_seq: 0,
        })
        .await
        .unwrap();

    let sync = scene.sync_from(0).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(1, "one")], 1, true)
    );
    assert_eq!(sync.cursor_seq, 1);
    let retry_after = sync.retry_after.unwrap();
    assert!((0..=3).contains(&retry_after.seconds) && retry_after != pbjson_types::Duration::default());

    scene.write(&alice, "2", "two", place).await;
    let sync = scene.sync_from(1).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(2, "two")], 2, true)
    );
}

#[tokio::test]
async fn an_abandoned_hole_is_closed_and_its_late_writer_comes_too_late() {
    let scene = Scene::new().await;
    let alice = user("alice");
    let late = scene.place(&alice, "1").await;
    scene.age(Duration::from_secs(4)).await;
    let sync = scene.sync_from(0).await;
    assert_eq!(
        (changes(&sync), reached(&sync), sync.incomplete),
        (vec![(1, "")], 1, false)
    );
    assert_eq!(scene.write(&alice, "1", "late", late).await, Inserted::Taken);
}

#[tokio::test]
async fn a_hole_is_taken_to_be_as_young_as_the_message_above_it() {
    let scene = Scene::new().await;
    scene.place(&user("alice"), "1").await;
    scene.age(Duration::from_secs(4)).await;
    scene.send("2", "two").await;
    let sync = scene.sync_from(0).await;
    assert_eq!(
        (changes(&sync), sync.incomplete, sync.retry_after.is_some()),
        (vec![], true, true)
    );
}

#[tokio::test]
async fn all_abandoned_holes_of_a_page_are_closed_by_one_sync() {
    let scene = Scene::new().await;
    let (alice, bob) = (user("alice"), user("bob"));
    for round in 0..10 {
        scene.place(&alice, &format!("lost-{round}")).await;
        scene.place(&bob, &format!("lost-{round}")).await;
    }
    scene.age(Duration::from_secs(10)).await;
    let sync = scene.sync_from(0).await;
    assert_eq!((sync.changes.len(), reached(&sync), sync.incomplete), (20, 20, false));
    assert_eq!(sync.cursor_seq, 20, "marking all as read leaves no badge behind");
}

#[tokio::test]
async fn more_holes_than_one_sync_closes_are_closed_by_the_next() {
    let scene = Scene::new().await;
    let alice = user("alice");
    for round in 0..SYNC_VOIDS_MAX + 6 {
        scene.place(&alice, &format!("lost-{round}")).await;
    }
    scene.age(Duration::from_secs(10)).await;
    let first = scene.sync_from(0).await;
    assert_eq!((reached(&first), first.incomplete), (64, true));
    assert!(first.retry_after.is_some());
    let second = scene.sync_from(64).await;
    assert_eq!((reached(&second), second.incomplete), (70, false));
}

#[tokio::test]
async fn a_hole_that_is_filled_while_it_is_being_closed_shows_its_message() {
    let scene = Scene::new().await;
    let alice = user("alice");
    let place = scene.place(&alice, "1").await;
    scene.age(Duration::from_secs(4)).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let held = proxies.mongo.hold(Filter::operation("insert"));
    let request = SyncConversationsRequest {
        cursors: vec![scene.cursor(0)],
        discover: false,
        ..Default::default()
    };
    let closing = tokio::spawn(async move { call(&sync, "bob", request).await.unwrap().response });
    held.caught().await;
    assert_eq!(scene.write(&alice, "1", "just in time", place).await, Inserted::Written);
    held.release();

    let response = closing.await.unwrap();
    assert_eq!(changes(&response.conversations[0]), [(1, "just in time")]);
}

#[tokio::test]
async fn two_readers_of_one_hole_see_the_same() {
    let scene = Scene::new().await;
    scene.send("1", "one").await;
    let alice = user("alice");
    scene.place(&alice, "2").await;
    scene.age(Duration::from_secs(4)).await;
    let readers: Vec<SyncConversations> = (0..8).map(|_| scene.fixture.operation()).collect();
    let request = SyncConversationsRequest {
        cursors: vec![scene.cursor(0)],
        discover: false,
        ..Default::default()
    };
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
    let other = scene.fixture.open_direct("alice", "bob").await;
    assert_eq!(other, scene.conversation);
    let alice = user("alice");
    for round in 0..SYNC_CHANGES_MAX + 10 {
        scene.place(&alice, &format!("{round}")).await;
    }
    let voids: Vec<_> = (1..=510).map(|revision| (scene.conversation, revision)).collect();
    scene.timeline.close(&voids).await.unwrap();

    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let request = SyncConversationsRequest {
        cursors: vec![scene.cursor(0)],
        discover: false,
        ..Default::default()
    };
    let first = call(&sync, "bob", request)
        .await
        .unwrap()
        .response
        .conversations
        .remove(0);
    assert_eq!(proxies.mongo.counts().round_trips, 1);
    assert_eq!(
        (first.changes.len(), reached(&first), first.incomplete),
        (500, 500, true)
    );
    assert_eq!(first.retry_after, None, "more is there already");
    let second = scene.sync_from(500).await;
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
        scene.send(&format!("{round}"), &text).await;
    }
    let first = scene.sync_from(0).await;
    assert!(first.incomplete && first.retry_after.is_none());
    assert_eq!(i64::try_from(first.changes.len()), Ok(reached(&first)));
    assert_eq!(first.cursor_seq, reached(&first));
    assert!((100..140).contains(&reached(&first)), "{}", reached(&first));
    let second = scene.sync_from(reached(&first)).await;
    assert_eq!((reached(&second), second.incomplete), (140, false));
}

#[tokio::test]
async fn a_page_of_quotes_fits_into_what_a_function_may_answer() {
    let scene = Scene::new().await;
    let text = "\"".repeat(4_000);
    for round in 0..200 {
        scene.send(&format!("{round}"), &text).await;
    }
    let sync = scene.sync_from(0).await;
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
    scene.send("1", "one").await;
    scene.place(&user("alice"), "2").await;
    scene.age(Duration::from_secs(4)).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let request = SyncConversationsRequest {
        cursors: vec![scene.cursor(0)],
        discover: false,
        ..Default::default()
    };
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
    scene.send("1", "one").await;
    let stale = ConversationCursor {
        joined_revision: 7,
        ..scene.cursor(0)
    };
    for cursor in [scene.cursor(2), stale] {
        let request = SyncConversationsRequest {
            cursors: vec![cursor],
            discover: false,
            ..Default::default()
        };
        let sync = call(&scene.sync, "bob", request)
            .await
            .unwrap()
            .response
            .conversations
            .remove(0);
        assert!(sync.reset && sync.changes.is_empty() && !sync.incomplete);
        assert_eq!((sync.cursor.clone(), sync.cursor_seq), (Some(scene.cursor(1)), 1));
    }

    let alice = user("alice");
    for round in 0..SYNC_BACKLOG_MAX {
        scene.place(&alice, &format!("far-{round}")).await;
    }
    assert!(!scene.sync_from(1).await.reset, "1,000 behind is not too far");
    assert!(scene.sync_from(0).await.reset, "1,001 behind is");
}

#[tokio::test]
async fn who_starts_over_is_not_sent_past_a_hole() {
    let scene = Scene::new().await;
    for text in ["one", "two"] {
        scene.send(text, text).await;
    }
    let alice = user("alice");
    let place = scene.place(&alice, "3").await;
    let bobs = scene.place(&user("bob"), "4").await;
    scene.write(&user("bob"), "4", "four", bobs).await;

    let request = SyncConversationsRequest {
        cursors: vec![],
        discover: true,
        ..Default::default()
    };
    let gained = call(&scene.sync, "bob", request)
        .await
        .unwrap()
        .response
        .gained
        .remove(0);
    assert_eq!(gained.cursor, Some(scene.cursor(2)));
    assert_eq!(gained.conversation.unwrap().revision, 4);

    scene.write(&alice, "3", "three", place).await;
    let sync = scene.sync_from(2).await;
    assert_eq!(changes(&sync), [(3, "three"), (4, "four")]);
}

#[tokio::test]
async fn conversations_that_the_request_does_not_name_are_gained_and_those_it_names_in_vain_are_lost() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let second = fixture.open_direct("bob", "carol").await;
    let foreign = fixture.open_direct("alice", "carol").await;
    let missing = ConversationId::generate();
    let named = |id: ConversationId| ConversationCursor {
        conversation_id: id.to_string(),
        ..scene.cursor(0)
    };
    let request = SyncConversationsRequest {
        cursors: vec![named(foreign), named(scene.conversation), named(missing)],
        discover: true,
        ..Default::default()
    };
    let response = call(&scene.sync, "bob", request.clone()).await.unwrap().response;

    let synced: Vec<&str> = response
        .conversations
        .iter()
        .map(|sync| sync.cursor.as_ref().unwrap().conversation_id.as_str())
        .collect();
    assert_eq!(synced, [scene.conversation.to_string()]);
    let gained: Vec<String> = response
        .gained
        .iter()
        .map(|gained| gained.conversation.clone().unwrap().conversation_id)
        .collect();
    assert_eq!(gained, [second.to_string()]);
    assert_eq!(
        response.lost_conversation_ids,
        [foreign.to_string(), missing.to_string()]
    );
    assert_eq!(response.next_gained_page_token, "");

    let without = SyncConversationsRequest {
        discover: false,
        ..request
    };
    assert_eq!(call(&scene.sync, "bob", without).await.unwrap().response.gained, []);
}

#[tokio::test]
async fn at_most_200_gained_conversations_are_answered_newest_activity_first() {
    let scene = Scene::new().await;
    let mut connection = scene.fixture.connect_postgres().await;
    sqlx::raw_sql(
        "WITH added AS (
             INSERT INTO conversations (conversation_id, kind, low_user_id, high_user_id, created_at, allocated_at, last_activity_at)
             SELECT gen_random_uuid(), 'direct', 'bob', 'friend' || n, now(), now(), now() - n * interval '1 hour'
             FROM generate_series(1, 205) n
             RETURNING conversation_id
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, joined_seq)
         SELECT conversation_id, 'bob', 0, 0 FROM added",
    )
    .execute(&mut connection)
    .await
    .unwrap();

    let request = SyncConversationsRequest {
        discover: true,
        ..Default::default()
    };
    let response = call(&scene.sync, "bob", request.clone()).await.unwrap().response;
    assert_eq!(response.gained.len(), 200);
    let rest = SyncConversationsRequest {
        gained_page_token: response.next_gained_page_token.clone(),
        ..request.clone()
    };
    let rest = call(&scene.sync, "bob", rest).await.unwrap().response;
    assert_eq!((rest.gained.len(), rest.next_gained_page_token.as_str()), (6, ""));
    let id = |gained: &ConversationGained| gained.cursor.as_ref().unwrap().conversation_id.clone();
    let all: HashSet<String> = response.gained.iter().chain(&rest.gained).map(id).collect();
    assert_eq!(all.len(), 206);
    let forged = SyncConversationsRequest {
        gained_page_token: "x".to_owned(),
        ..request
    };
    let failure = call(&scene.sync, "bob", forged).await.unwrap_err();
    assert_eq!(failure.violations()[0].field, "gained_page_token");
    let activity = |gained: &ConversationGained| {
        gained
            .conversation
            .as_ref()
            .and_then(|conversation| conversation.last_activity_at)
            .map(|at| at.seconds)
    };
    assert!(response.gained.iter().map(activity).rev().is_sorted());
}

#[tokio::test]
async fn bad_cursors_are_refused_and_named() {
    let scene = Scene::new().await;
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
        (vec![scene.cursor(0); SYNC_CURSORS_MAX + 1], "cursors"),
    ];
    for (cursors, field) in bad {
        let failure = call(
            &scene.sync,
            "bob",
            SyncConversationsRequest {
                cursors,
                discover: false,
                ..Default::default()
            },
        )
        .await
        .unwrap_err();
        assert_eq!(
            (failure.code(), failure.violations()[0].field.as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let extreme = SyncConversationsRequest {
        cursors: vec![scene.cursor(i64::MAX)],
        discover: false,
        ..Default::default()
    };
    assert!(call(&scene.sync, "bob", extreme).await.unwrap().response.conversations[0].reset);
}

#[tokio::test]
async fn a_call_without_a_token_is_refused() {
    let scene = Scene::new().await;
    let failure = call_without_token(&scene.sync, SyncConversationsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(failure.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_sync_costs_one_postgres_and_one_mongo_round_trip_and_two_more_to_fill_holes() {
    let scene = Scene::new().await;
    scene.send("1", "one").await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let request = SyncConversationsRequest {
        cursors: vec![scene.cursor(0)],
        discover: true,
        ..Default::default()
    };
    call(&sync, "bob", request.clone()).await.unwrap();
    for (holes, mongo) in [(0, 1), (1, 3)] {
        for hole in 0..holes {
            scene.place(&user("alice"), &format!("lost-{hole}")).await;
            scene.age(Duration::from_secs(4)).await;
        }
        proxies.postgres.reset_counts();
        proxies.mongo.reset_counts();
        let response = call(&sync, "bob", request.clone()).await.unwrap().response;
        assert!(!response.conversations[0].incomplete);
        assert_eq!(
            (
                proxies.postgres.counts().round_trips,
                proxies.mongo.counts().round_trips
            ),
            (1, mongo)
        );
    }
}

/// Hands out places and closes all but `open` of them.
async fn fill(scene: &Scene, places: i64, open: &[i64]) {
    let mut connection = scene.fixture.connect_postgres().await;
    sqlx::query("UPDATE conversations SET revision = $1, message_count = $1")
        .bind(places)
        .execute(&mut connection)
        .await
        .unwrap();
    let closed: Vec<_> = (1..=places)
        .filter(|place| !open.contains(place))
        .map(|place| (scene.conversation, place))
        .collect();
    scene.timeline.close(&closed).await.unwrap();
}

#[tokio::test]
async fn what_a_frozen_writer_left_open_far_below_is_closed_before_a_client_starts_over() {
    let scene = Scene::new().await;
    let alice = user("alice");
    let frozen = scene.place(&alice, "frozen").await;
    fill(&scene, 2_500, &[1, 700, 701, 2_400]).await;

    let request = SyncConversationsRequest {
        cursors: vec![],
        discover: true,
        ..Default::default()
    };
    let gained = call(&scene.sync, "bob", request.clone())
        .await
        .unwrap()
        .response
        .gained
        .remove(0);

    assert_eq!(gained.cursor, Some(scene.cursor(2_500)));
    assert_eq!(scene.write(&alice, "frozen", "late", frozen).await, Inserted::Taken);
    let all = RevisionRange {
        conversation: scene.conversation,
        after: 0,
        through: 2_500,
    };
    assert_eq!(
        scene.timeline.list_missing_revisions(all, 10).await.unwrap(),
        Vec::<i64>::new()
    );

    // What was made sure of is kept: the next one counts only what came since.
    let rows = scene
        .postgres
        .list_for_sync(&user("bob"), &[], Some(&Discover::default()))
        .await
        .unwrap();
    assert_eq!(rows[0].closed_revision, 2_400);
    assert_eq!(
        call(&scene.sync, "bob", request).await.unwrap().response.gained[0],
        gained
    );
}

#[tokio::test]
async fn more_open_places_than_one_sync_closes_are_closed_by_repeating_it() {
    let scene = Scene::new().await;
    fill(&scene, 1_300, &(1..=1_300).collect::<Vec<_>>()).await;
    let request = SyncConversationsRequest {
        cursors: vec![],
        discover: true,
        ..Default::default()
    };
    let failure = call(&scene.sync, "bob", request.clone()).await.unwrap_err();
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::Unavailable, "TIMELINE_REPAIRING")
    );
    let gained = call(&scene.sync, "bob", request)
        .await
        .unwrap()
        .response
        .gained
        .remove(0);
    assert_eq!(
        gained.cursor,
        Some(scene.cursor(1_200)),
        "the newest 100 may still be being written"
    );
}

#[tokio::test]
async fn missing_revisions_are_found_wherever_they_are() {
    let scene = Scene::new().await;
    fill(&scene, 20, &[1, 2, 7, 19, 20]).await;
    let missing = async |after, through, limit| {
        let range = RevisionRange {
            conversation: scene.conversation,
            after,
            through,
        };
        scene.timeline.list_missing_revisions(range, limit).await.unwrap()
    };
    assert_eq!(missing(0, 20, 10).await, [1, 2, 7, 19, 20]);
    assert_eq!(missing(0, 20, 4).await, [1, 2, 7, 19]);
    assert_eq!(missing(1, 19, 10).await, [2, 7, 19]);
    assert_eq!(missing(2, 6, 10).await, Vec::<i64>::new());
    assert_eq!(missing(18, 20, 10).await, [19, 20]);
    assert_eq!(missing(5, 5, 10).await, Vec::<i64>::new());
}
