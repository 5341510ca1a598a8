//! Clients that start over, in conversations with anything below their heads.

use chat_testing::Held;

use super::*;

/// Syncs from the start until the answer is complete. Answers it, and how many calls it took.
async fn start_over(scene: &Scene, conversation: ConversationId) -> (ConversationSync, usize) {
    let sync: SyncConversations = scene.fixture.operation();
    for calls in 1.. {
        let synced = sync_one(&sync, start(conversation)).await;
        if synced.reset {
            return (synced, calls);
        }
        assert!(synced.incomplete && synced.changes.is_empty());
        assert_eq!(synced.cursor, Some(start(conversation)), "ask again as you did");
        assert!(calls < 100, "it never ends");
    }
    unreachable!()
}

#[tokio::test]
async fn what_a_frozen_writer_left_open_far_below_is_closed_before_a_client_starts_over() {
    let scene = Scene::new().await;
    let frozen = scene.place("alice", "frozen").await;
    close(&scene, 2_500, &[1, 700, 701, 2_400]).await;

    let (synced, calls) = start_over(&scene, scene.conversation).await;

    assert_eq!((synced.cursor, calls), (Some(scene.cursor(2_500)), 1));
    assert_eq!(
        (synced.unread_count, synced.counted_seq),
        (0, 2_500),
        "nothing was ever stored"
    );
    assert_eq!(scene.write("alice", "frozen", "late", &frozen).await, Inserted::Taken);
    let history = scene.stores.history(scene.conversation).await;
    assert!((1..).zip(&history).all(|(revision, entry)| entry.revision == revision));
    assert_eq!(history.len(), 2_500);
    let state = scene.stores.seal_state(scene.conversation).await;
    assert_eq!((state.closed_revision, state.closed_seq), (2_500, 2_500));
}

#[tokio::test]
async fn a_deep_hole_among_a_thousand_messages_is_closed_and_counts_nowhere() {
    let scene = Scene::new().await;
    let stored: Vec<i64> = (1..=1_200).filter(|place| *place != 300).collect();
    scene.stores.write_at(scene.conversation, &stored, ago(60)).await;
    scene.set_head(1_200, 60).await;
    let (synced, calls) = start_over(&scene, scene.conversation).await;
    assert_eq!(
        (synced.cursor, synced.incomplete, calls),
        (Some(scene.cursor(1_200)), false, 1)
    );
    assert_eq!(uncounted(&scene.fixture, scene.conversation).await, [300]);
    let marked = scene
        .stores
        .postgres
        .mark_conversation_read(scene.conversation, &user("bob"), 299)
        .await;
    assert_eq!(marked.unwrap().unwrap().unwrap().unread_count, 900);
    let marked = scene
        .stores
        .postgres
        .mark_conversation_read(scene.conversation, &user("bob"), 700)
        .await;
    assert_eq!(marked.unwrap().unwrap().unwrap().unread_count, 500);
}

#[tokio::test]
async fn a_young_hole_near_the_head_gives_a_cursor_below_it() {
    let scene = Scene::new().await;
    let stored: Vec<i64> = (1..=300).filter(|place| *place != 7).collect();
    scene.stores.write_at(scene.conversation, &stored, ago(60)).await;
    scene.set_head(300, 60).await;
    scene.age(-120).await;
    let slow = scene.place("alice", "slow").await;
    scene.say("alice", "next", "next").await;
    let (synced, _) = start_over(&scene, scene.conversation).await;
    assert_eq!((synced.cursor, synced.cursor_seq), (Some(scene.cursor(300)), 0));
    assert!(synced.incomplete);
    assert_eq!(
        uncounted(&scene.fixture, scene.conversation).await,
        [7],
        "the old one is closed all the same"
    );
    assert_eq!(scene.write("alice", "slow", "slow", &slow).await, Inserted::Written);
    assert_eq!(changes(&sync_from(&scene, 300).await), [(301, "slow"), (302, "next")]);
}

#[tokio::test]
async fn more_open_places_than_one_sync_closes_are_closed_by_repeating_it() {
    let scene = Scene::new().await;
    let open: Vec<i64> = (1..=150).collect();
    close(&scene, 1_000, &open).await;
    let (synced, calls) = start_over(&scene, scene.conversation).await;
    assert_eq!((synced.cursor, calls), (Some(scene.cursor(1_000)), 3));
}

#[tokio::test]
async fn what_was_made_sure_of_is_not_looked_at_again() {
    let scene = Scene::new().await;
    let stored: Vec<i64> = (1..=1_050).collect();
    scene.stores.write_at(scene.conversation, &stored, ago(60)).await;
    scene.set_head(1_050, 60).await;
    let proxies = scene.fixture.with_proxies().await;
    let sync: SyncConversations = proxies.operation();
    let mongo = async || {
        proxies.mongo.reset_counts();
        let synced = sync_one(&sync, start(scene.conversation)).await;
        assert_eq!(synced.cursor, Some(scene.cursor(1_050)));
        proxies.mongo.counts().operations.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(mongo().await, ["aggregate timeline"]);
    assert_eq!(mongo().await, Vec::<String>::new());
    const { assert!(RESTART_PLACES_MAX >= 1_050, "what one call counts") };
}

/// What Postgres and the client know of a conversation once a start is done.
async fn end(scene: &Scene, conversation: ConversationId) -> (i64, i64, Vec<i64>, i64, i64) {
    let (synced, _) = start_over(scene, conversation).await;
    let state = scene.stores.seal_state(conversation).await;
    let uncounted = uncounted(&scene.fixture, conversation).await;
    (
        state.closed_revision,
        state.closed_seq,
        uncounted,
        reached(&synced),
        synced.unread_count,
    )
}

/// A conversation of 30 places of alice: one was closed and not reported, two are holes.
async fn damaged(scene: &Scene, other: &str) -> ConversationId {
    let conversation = scene.fixture.open_direct(other, "bob").await;
    let stored: Vec<i64> = (1..=29).filter(|place| ![3, 9, 17].contains(place)).collect();
    scene.stores.write_at(conversation, &stored, ago(60)).await;
    scene.stores.timeline.close(&[(conversation, 9)]).await.unwrap();
    set_head(&scene.fixture, conversation, 30, 60).await;
    conversation
}

#[tokio::test]
async fn a_start_that_dies_at_any_call_of_a_store_ends_as_one_that_did_not() {
    let scene = Scene::new().await;
    let whole = damaged(&scene, "whole").await;
    let expected = end(&scene, whole).await;
    assert_eq!(expected, (30, 30, vec![3, 9, 17, 30], 30, 26));

    let proxies = scene.fixture.with_proxies().await;
    let mut deaths = [0, 0];
    for (store, deaths) in [&proxies.postgres, &proxies.mongo].into_iter().zip(&mut deaths) {
        for call_number in 0..20 {
            let conversation = damaged(&scene, &format!("other-{}-{call_number}", store.address().port())).await;
            let held: Held = store.hold(Filter::any().skip(call_number));
            let sync: SyncConversations = proxies.operation();
            let mut syncing = tokio::spawn(async move { sync_one(&sync, start(conversation)).await });
            let died = tokio::select! {
                () = async { held.caught().await; } => true,
                synced = &mut syncing => {
                    assert!(synced.unwrap().reset);
                    false
                }
            };
            syncing.abort();
            held.drop_connection();
            assert_eq!(
                end(&scene, conversation).await,
                expected,
                "died at call {call_number}: {died}"
            );
            if !died {
                break;
            }
            *deaths += 1;
        }
    }
    assert!(deaths.iter().all(|deaths| (4..20).contains(deaths)), "{deaths:?}");
}

#[tokio::test]
async fn two_hundred_starts_at_once_are_one_call() {
    let scene = Scene::new().await;
    let others = crowd(&scene, 199).await;
    for other in others.iter().take(5) {
        set_head(&scene.fixture, *other, 3, 10).await;
        age(&scene.fixture, *other, 10).await;
    }
    let cursors = others.iter().copied().map(start);
    let synced = call(&scene.fixture.operation::<SyncConversations>(), "bob", request(cursors))
        .await
        .unwrap();
    assert!(
        synced
            .response
            .conversations
            .iter()
            .all(|sync| sync.reset && !sync.incomplete)
    );
    let unread: i64 = synced.response.conversations.iter().map(|sync| sync.unread_count).sum();
    assert_eq!(unread, 0, "the holes were closed");
}
