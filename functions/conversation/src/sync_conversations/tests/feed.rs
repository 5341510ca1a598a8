//! The caller's own feed: friends, requests and memberships, followed without gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use chat_contract::v1::{FeedSync, FriendState, feed_change};
use chat_stores::postgres::FriendRequested;
use tokio::task::JoinSet;

use super::*;
use crate::scene::{Stores, fill};

async fn follow(sync: &SyncConversations, caller: &str, cursor: FeedCursor) -> FeedSync {
    let request = SyncConversationsRequest {
        feed: Some(cursor),
        ..SyncConversationsRequest::default()
    };
    let feed = call(sync, caller, request).await.unwrap().response.feed.unwrap();
    let revisions: Vec<i64> = feed.changes.iter().map(|change| change.revision).collect();
    assert!(revisions.is_sorted_by(|one, next| one < next) && revisions.len() <= 200);
    feed
}

/// Follows a feed to its end. Answers the last cursor, each thing with where it stood last, and the sizes of the pages.
async fn follow_all(
    sync: &SyncConversations,
    caller: &str,
    cursor: FeedCursor,
) -> (FeedCursor, BTreeMap<String, String>, Vec<usize>) {
    let (mut cursor, mut known, mut sizes) = (cursor, BTreeMap::new(), Vec::new());
    loop {
        let feed = follow(sync, caller, cursor).await;
        sizes.push(feed.changes.len());
        known.extend(told(&feed));
        cursor = feed.cursor.unwrap();
        if !feed.incomplete {
            assert_eq!((cursor.revision, cursor.listing_through), (feed.revision, 0));
            return (cursor, known, sizes);
        }
    }
}

/// What a page tells: each thing and how it stands.
fn told(feed: &FeedSync) -> Vec<(String, String)> {
    let told = feed.changes.iter().map(|change| match change.change.as_ref().unwrap() {
        feed_change::Change::Friend(friend) => (friend.user_id.clone(), format!("{:?}", friend.state())),
        feed_change::Change::Membership(membership) => {
            let conversation = membership.conversation.as_ref().unwrap();
            (conversation.conversation_id.clone(), "member".to_owned())
        }
    });
    told.collect()
}

fn friends(known: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let friends = known.iter().filter(|(_, state)| *state != "member");
    friends.map(|(id, state)| (id.as_str(), state.as_str())).collect()
}

async fn ask(stores: &Stores, one: &str, other: &str) {
    let asked = stores
        .postgres
        .request_friend(&user(one), &user(other))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(asked, FriendRequested::Done(_)), "{asked:?}");
}

async fn remove(stores: &Stores, one: &str, other: &str) {
    assert!(
        stores
            .postgres
            .remove_friend(&user(one), &user(other))
            .await
            .unwrap()
            .is_ok()
    );
}

#[tokio::test]
async fn a_feed_tells_friends_requests_and_memberships_in_the_order_of_their_changes() {
    let scene = Scene::new().await;
    let (stores, sync) = (&scene.stores, scene.fixture.operation::<SyncConversations>());
    ask(stores, "carol", "bob").await;
    ask(stores, "bob", "dave").await;
    let feed = follow(&sync, "bob", FeedCursor::default()).await;
    let state = |state: FriendState| format!("{state:?}");
    let expected = [
        ("alice".to_owned(), state(FriendState::Accepted)),
        (scene.conversation.to_string(), "member".to_owned()),
        ("carol".to_owned(), state(FriendState::RequestReceived)),
        ("dave".to_owned(), state(FriendState::RequestSent)),
    ];
    assert_eq!(told(&feed), expected);
    let revisions: Vec<i64> = feed.changes.iter().map(|change| change.revision).collect();
    assert_eq!(revisions, [2, 3, 4, 5], "the request of alice moved on");
    assert_eq!((feed.reset, feed.incomplete, feed.revision), (false, false, 5));
    let cursor = FeedCursor {
        epoch: scene.epoch,
        revision: 5,
        listing_through: 0,
    };
    assert_eq!(feed.cursor, Some(cursor));
    assert_eq!(told(&follow(&sync, "bob", cursor).await), []);

    // What ends is told to who goes on, and left out for who starts.
    remove(stores, "alice", "bob").await;
    let ended = follow(&sync, "bob", cursor).await;
    assert_eq!(told(&ended), [("alice".to_owned(), state(FriendState::Unspecified))]);
    let (_, known, _) = follow_all(&sync, "bob", FeedCursor::default()).await;
    assert_eq!(
        friends(&known).iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        ["carol", "dave"]
    );
    assert_eq!(known.len(), 3, "the conversation stays");
    // A user whom nobody knows.
    let nothing = follow(&sync, "nobody", FeedCursor::default()).await;
    assert_eq!((nothing.changes.len(), nothing.revision, nothing.reset), (0, 0, false));
}

#[tokio::test]
async fn a_feed_of_500_things_comes_in_pages_of_200_and_what_changes_meanwhile_is_not_lost() {
    let scene = Scene::new().await;
    let (stores, sync) = (&scene.stores, scene.fixture.operation::<SyncConversations>());
    for friend in 0..50 {
        scene.fixture.befriend("m", &format!("friend-{friend:02}")).await;
    }
    fill(&scene.fixture, "m", 450).await;
    remove(stores, "m", "friend-49").await;
    let (end, known, sizes) = follow_all(&sync, "m", FeedCursor::default()).await;
    assert_eq!(
        (known.len(), friends(&known).len(), sizes),
        (499, 49, vec![200, 200, 99])
    );
    let (_, again, _) = follow_all(&sync, "m", FeedCursor::default()).await;
    assert_eq!(again, known);
    assert_eq!(follow_all(&sync, "m", end).await.2, [0]);

    // Between the pages: what was listed ends, what was not yet listed ends, and something new comes.
    let first = follow(&sync, "m", FeedCursor::default()).await;
    assert!(first.incomplete && told(&first).iter().any(|(id, _)| id == "friend-00"));
    remove(stores, "m", "friend-00").await;
    scene.fixture.open_direct("m", "friend-01").await;
    let last = {
        let mut session = scene.fixture.connect_postgres().await;
        sqlx::query_scalar::<_, String>(
            "SELECT other_id FROM friends WHERE user_id = 'm' ORDER BY feed_revision DESC LIMIT 1",
        )
        .fetch_one(&mut session)
        .await
        .unwrap()
    };
    assert_eq!(last, "friend-00");
    let mut known: BTreeMap<String, String> = told(&first).into_iter().collect();
    let (_, rest, _) = follow_all(&sync, "m", first.cursor.unwrap()).await;
    known.extend(rest);
    known.retain(|_, state| state != "Unspecified");
    let (_, fresh, _) = follow_all(&sync, "m", FeedCursor::default()).await;
    assert_eq!((known.len(), &known), (499, &fresh));
}

#[tokio::test]
async fn a_feed_cursor_that_cannot_be_continued_starts_over() {
    let scene = Scene::new().await;
    let sync: SyncConversations = scene.fixture.operation();
    let cursor = |epoch, revision, listing_through| FeedCursor {
        epoch,
        revision,
        listing_through,
    };
    let of = scene.epoch;
    for bad in [
        cursor(of, 4, 0),
        cursor(of - 1, 3, 0),
        cursor(0, 3, 0),
        cursor(of, 0, 4),
        cursor(of, i64::MAX, 0),
    ] {
        let feed = follow(&sync, "bob", bad).await;
        assert!(feed.reset && feed.changes.len() == 2, "{bad:?}");
        assert_eq!(feed.cursor, Some(cursor(of, 3, 0)));
    }
    assert!(!follow(&sync, "bob", cursor(of, 3, 0)).await.reset);
}

#[tokio::test]
async fn what_ended_30_days_ago_leaves_the_feed_and_who_never_heard_of_it_starts_over() {
    let scene = Scene::new().await;
    let (stores, sync) = (&scene.stores, scene.fixture.operation::<SyncConversations>());
    scene.fixture.befriend("bob", "carol").await;
    let before = follow(&sync, "bob", FeedCursor::default()).await.cursor.unwrap();
    remove(stores, "bob", "carol").await;
    let after = follow(&sync, "bob", before).await.cursor.unwrap();
    sqlx::query("UPDATE friends SET updated_at = updated_at - interval '31 days' WHERE state = 'none'")
        .execute(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap();
    // Nothing leaves before something else changes.
    assert_eq!(follow(&sync, "bob", before).await.changes.len(), 1);
    ask(stores, "bob", "dave").await;

    let knew = follow(&sync, "bob", after).await;
    assert_eq!(
        (knew.reset, told(&knew).len()),
        (false, 1),
        "who knows that it ended goes on"
    );
    let behind = follow(&sync, "bob", before).await;
    assert!(behind.reset);
    let ids: Vec<String> = told(&behind).into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        ids,
        ["alice".to_owned(), scene.conversation.to_string(), "dave".to_owned()]
    );
    // Carol's side leaves when something of hers changes, and a new friendship comes back.
    let carol = follow(&sync, "carol", FeedCursor { revision: 2, ..after }).await;
    assert_eq!((carol.reset, told(&carol).len()), (false, 1));
    scene.fixture.befriend("bob", "carol").await;
    let (_, known, _) = follow_all(&sync, "bob", knew.cursor.unwrap()).await;
    assert_eq!(friends(&known), [("carol", "Accepted")]);
}

#[tokio::test]
async fn racing_changes_of_a_feed_take_revisions_without_gaps_and_a_follower_misses_none() {
    let scene = Arc::new(Scene::new().await);
    let mut changing = JoinSet::new();
    for other in 0..12 {
        let scene = Arc::clone(&scene);
        changing.spawn(async move {
            let other = format!("other-{other:02}");
            let stores = Stores::new(scene.fixture.settings());
            ask(&stores, &other, "bob").await;
            ask(&stores, "bob", &other).await;
            scene.fixture.open_direct("bob", &other).await;
            remove(&stores, &other, "bob").await;
        });
    }
    let sync: SyncConversations = scene.fixture.operation();
    let (mut cursor, mut known, mut seen) = (FeedCursor::default(), BTreeMap::new(), 0);
    let mut is_over = false;
    while !is_over {
        is_over = changing.is_empty();
        let feed = follow(&sync, "bob", cursor).await;
        let head = feed.cursor.unwrap().revision;
        assert!(head >= cursor.revision && !feed.reset);
        seen += feed.changes.len();
        known.extend(told(&feed));
        cursor = feed.cursor.unwrap();
        while changing.try_join_next().is_some() {}
    }
    // A request, its answer, a conversation and an end each, after the three of alice.
    assert_eq!(
        (
            cursor.revision,
            scene
                .stores
                .postgres
                .list_for_sync(&user("bob"), &[])
                .await
                .unwrap()
                .feed
                .revision
        ),
        (51, 51)
    );
    known.retain(|_, state| state != "Unspecified");
    let (_, fresh, _) = follow_all(&sync, "bob", FeedCursor::default()).await;
    assert_eq!(known, fresh, "after {seen} changes");
    assert_eq!(fresh.len(), 14);
}
