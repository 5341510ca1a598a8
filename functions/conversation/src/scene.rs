//! What the tests of several operations on conversations need: messages with a place, many conversations, and a look at
//! what Postgres is doing.

use chat_contract::v1::Conversation;
use chat_domain::{ConversationId, excerpt};
use chat_rpc::{Code, Failure};
use chat_stores::postgres::{Append, Appended, Place, Postgres};
use chat_testing::{Fixture, WAIT_MAX, user};
use sqlx::{Connection, PgConnection};

/// Gives a message its place, as the first half of a send does.
pub(crate) async fn say(
    postgres: &Postgres,
    conversation: ConversationId,
    sender: &str,
    op: &str,
    text: &str,
) -> Place {
    let append = Append {
        conversation,
        actor: &user(sender),
        op: &op.parse().unwrap(),
        excerpt: Some(&excerpt(text)),
        after: 0,
        floor_revision: 0,
        floor_seq: 0,
    };
    match postgres.append(&append).await.unwrap() {
        Appended::Placed(place) => place,
        refused => panic!("{sender} cannot send: {refused:?}"),
    }
}

/// Gives a user so many direct conversations, past the operations. Seven at a time were last active at the same moment.
pub(crate) async fn fill(fixture: &Fixture, of: &str, conversations: i64) {
    let mut session = fixture.connect_postgres().await;
    sqlx::query(
        "WITH made AS (
             INSERT INTO conversations
                 (conversation_id, kind, low_user_id, high_user_id, created_at, allocated_at, last_activity_at)
             SELECT gen_random_uuid(), 'direct', least($1, other COLLATE \"C\"), greatest($1, other COLLATE \"C\"), at, at, at
             FROM (
                 SELECT CASE WHEN n % 2 = 0 THEN 'a-' ELSE 'z-' END || n AS other,
                        timestamptz '2026-01-01' + n / 7 * interval '1 millisecond' AS at
                 FROM generate_series(1, $2) n
             ) others
             RETURNING conversation_id, low_user_id, high_user_id
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, joined_seq)
         SELECT conversation_id, unnest(ARRAY[low_user_id, high_user_id]), 0, 0 FROM made",
    )
    .bind(of)
    .bind(conversations)
    .execute(&mut session)
    .await
    .unwrap();
    sqlx::raw_sql("ANALYZE conversations, members")
        .execute(&mut session)
        .await
        .unwrap();
    session.close().await.unwrap();
}

/// Waits until a condition over Postgres' own views holds. Each look is a round trip, so that others get their turn.
async fn until(watch: &mut PgConnection, condition: &'static str) {
    let held = tokio::time::timeout(WAIT_MAX, async {
        while !sqlx::query_scalar::<_, bool>(condition)
            .fetch_one(&mut *watch)
            .await
            .unwrap()
        {}
    });
    assert!(held.await.is_ok(), "it did not become true in time: {condition}");
}

/// Waits until a session of this database waits for another one's lock.
pub(crate) async fn until_one_waits(watch: &mut PgConnection) {
    until(
        watch,
        "SELECT EXISTS (
             SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
    )
    .await;
}

/// Waits until all other sessions of this database have ended, which is when their statistics are there to be read.
pub(crate) async fn until_alone(watch: &mut PgConnection) {
    until(
        watch,
        "SELECT NOT EXISTS (
             SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')",
    )
    .await;
}

/// How many deadlocks Postgres had to break in this database. The stores repeat what was broken, so nobody else tells.
pub(crate) async fn deadlocks(watch: &mut PgConnection) -> i64 {
    until_alone(watch).await;
    sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(watch)
        .await
        .unwrap()
}

/// How every call about a conversation that is not there for its caller is refused, to the byte.
pub(crate) fn assert_not_found(failures: impl IntoIterator<Item = Failure>) {
    let expected = format!("{:?}", Failure::conversation_not_found());
    let mut refused = 0;
    for failure in failures {
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::NotFound, "CONVERSATION_NOT_FOUND")
        );
        assert_eq!(format!("{failure:?}"), expected);
        refused += 1;
    }
    assert!(refused > 0);
}

/// The fields for which a call was refused.
pub(crate) fn bad_fields(failure: &Failure) -> Vec<&str> {
    assert_eq!(
        (failure.code(), failure.reason()),
        (Code::InvalidArgument, "INVALID_FIELDS")
    );
    let violations = failure.violations().iter();
    violations.map(|violation| violation.field.as_str()).collect()
}

/// (user, read position) of all members.
pub(crate) fn read_positions(conversation: &Conversation) -> Vec<(&str, i64)> {
    let members = conversation.members.iter();
    members
        .map(|member| (member.user_id.as_str(), member.read_seq))
        .collect()
}
