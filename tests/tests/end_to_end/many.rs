//! A user with more conversations than one sync names or answers.

use std::collections::BTreeSet;

use chat_client::{FollowOptions, Follower, History};

use crate::harness::{PATIENCE, Stack};

/// More than two syncs' worth.
const CONVERSATIONS: i32 = 450;

#[tokio::test]
async fn a_follower_finds_all_conversations_however_many() {
    let stack = Stack::start().await;
    let mut connection = stack.fixture.connect_postgres().await;
    sqlx::query(
        "WITH opened AS (
             INSERT INTO conversations
                 (conversation_id, kind, low_user_id, high_user_id, created_at, allocated_at, last_activity_at)
             SELECT gen_random_uuid(), 'direct', 'alice', 'friend' || n, now(), now(), now() - n * interval '1 hour'
             FROM generate_series(1, $1) n
             RETURNING conversation_id, high_user_id
         ), head AS (
             INSERT INTO feeds (user_id, revision, conversation_count) VALUES ('alice', $1, $1)
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, visible_from_seq, feed_revision)
         SELECT conversation_id, 'alice', 0, 0, row_number() OVER () FROM opened
         UNION ALL
         SELECT conversation_id, high_user_id, 0, 0, 1 FROM opened",
    )
    .bind(CONVERSATIONS)
    .execute(&mut connection)
    .await
    .unwrap();

    let options = FollowOptions {
        history: History::Newest,
        ..FollowOptions::default()
    };
    let follower = Follower::start(stack.client("alice"), options);
    let state = follower
        .wait_until(PATIENCE, chat_client::State::is_whole)
        .await
        .unwrap();

    let found: BTreeSet<&str> = state
        .conversations()
        .map(chat_client::timeline::Timeline::conversation_id)
        .collect();
    assert_eq!(i32::try_from(found.len()), Ok(CONVERSATIONS));
    follower.stop().await;
}
