//! Syncs of groups, on real databases.

use chat_domain::USER_ID_BYTES_MAX;

use super::*;

#[tokio::test]
async fn who_comes_above_a_place_that_is_being_written_starts_once() {
    let scene = Scene::new().await;
    for friend in ["alice", "nina"] {
        scene.fixture.befriend("olga", friend).await;
    }
    let group = scene.stores.make_group("olga", &["alice"], false).await;
    // Revision 2 is not written yet, and hidden from who comes with revision 3.
    scene.stores.place(group, "alice", "on its way").await;
    scene.stores.add_to_group(group, "olga", "nina").await;
    let operation: SyncConversations = scene.fixture.operation();
    let sync = async |cursor| {
        let answer = call(&operation, "nina", request([cursor])).await.unwrap();
        answer.response.conversations.into_iter().next().unwrap()
    };
    let started = sync(start(group)).await;
    assert!(started.reset);
    assert_eq!(reached(&started), 2, "the edge of what they may see");
    let next = sync(started.cursor.unwrap()).await;
    assert!(!next.reset, "{next:?}");
}

#[tokio::test]
async fn two_hundred_groups_of_a_hundred_with_long_ids_fit_into_answers_that_lead_on() {
    const GROUPS: i64 = 200;
    let scene = Scene::new().await;
    // Past the operations: 99 others with the longest ids, who are in all groups with bob.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE TEMPORARY TABLE made AS
             SELECT n, gen_random_uuid() AS id FROM generate_series(1, {GROUPS}) n;
         CREATE TEMPORARY TABLE others AS
             SELECT lpad(n::text, {USER_ID_BYTES_MAX}, 'u') AS user_id FROM generate_series(1, 99) n UNION ALL SELECT 'bob';
         INSERT INTO conversations (conversation_id, kind, created_at, allocated_at, last_activity_at, member_may, admin_may,
             member_count)
         SELECT id, 'group', now(), now(), now(), 1, 1, 100 FROM made;
         INSERT INTO groups (conversation_id, creator_id, request_id, request_hash, name, description, avatar_url,
             shows_history, state_revision)
         SELECT id, 'bob', n::text, '', 'Trains', '', '', true, 1 FROM made;
         INSERT INTO members (conversation_id, user_id, role, joined_revision, visible_from_seq, visible_from_revision, feed_revision)
         SELECT id, user_id, 'member', 1, 0, 0, n FROM made CROSS JOIN others"
    )))
    .execute(&mut scene.fixture.connect_postgres().await)
    .await
    .unwrap();
    let groups: Vec<ConversationId> = sqlx::query_scalar::<_, uuid::Uuid>("SELECT conversation_id FROM groups")
        .fetch_all(&mut scene.fixture.connect_postgres().await)
        .await
        .unwrap()
        .into_iter()
        .map(Into::into)
        .collect();
    let operation: SyncConversations = scene.fixture.operation();
    let mut asked: Vec<ConversationCursor> = groups.into_iter().map(start).collect();
    let mut calls = 0;
    while !asked.is_empty() {
        let answer = call(&operation, "bob", request(asked)).await.unwrap().response;
        let in_json = serde_json::to_string(&answer).unwrap();
        let in_the_event = serde_json::to_string(&in_json).unwrap();
        assert!(in_the_event.len() < 3 * 1024 * 1024, "{}", in_the_event.len());
        calls += 1;
        let left = answer.conversations.into_iter().filter(|sync| sync.incomplete);
        asked = left.filter_map(|sync| sync.cursor).collect();
        assert!(calls <= 4, "{} are left", asked.len());
    }
    assert!(calls > 1, "one answer cannot name them all");
}
