//! What the tests of several operations on conversations need: messages and places without one, many conversations, and a
//! look at what Postgres is doing.

use std::hash::{DefaultHasher, Hash, Hasher};

use chat_contract::v1::{Conversation, ConversationCursor, ListConversationsRequest};
use chat_domain::{AvatarUrl, ConversationId, GroupDescription, GroupName, GroupSettings, MessageId, UserId};
use chat_operation::Settings;
use chat_operation::{Answer, Code, Failure, FromSettings};
use chat_sealing::Sealer;
use chat_stores::mongo::{Entry, Inserted, MessageEntry, RevisionRange, Timeline};
use chat_stores::postgres::{Append, Appended, GroupCall, GroupChanged, NewGroup, Outcome, Place, Postgres, SealState};
use chat_testing::{FaultProxy, Fixture, WAIT_MAX, call, user};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};

use crate::ListConversations;

/// The stores, for what no operation does. A send is done in its two halves.
pub(crate) struct Stores {
    pub(crate) postgres: Postgres,
    pub(crate) timeline: Timeline,
}

impl Stores {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            postgres: Postgres::from_settings(settings).unwrap(),
            timeline: Timeline::from_settings(settings).unwrap(),
        }
    }

    pub(crate) fn sealer(&self) -> Sealer<'_> {
        Sealer::new(&self.postgres, &self.timeline)
    }

    /// Asks the sequencer for a place.
    pub(crate) async fn append(&self, conversation: ConversationId, sender: &str, op: &str, read_seq: i64) -> Appended {
        let append = Append {
            conversation,
            actor: &user(sender),
            op_id_hash: &hash(op),
            content_hash: &[0; 32],
            is_message: true,
            after: 0,
            floor_revision: 0,
            floor_seq: 0,
            read_seq,
        };
        self.postgres.append(&append).await.unwrap()
    }

    /// Takes a place, as the first half of a send does.
    pub(crate) async fn place(&self, conversation: ConversationId, sender: &str, op: &str) -> Place {
        match self.append(conversation, sender, op, 0).await.outcome {
            Outcome::Placed(place) => place,
            refused => panic!("{sender} cannot send: {refused:?}"),
        }
    }

    /// Writes a message in its place, as the second half of a send does.
    pub(crate) async fn write(
        &self,
        conversation: ConversationId,
        sender: &str,
        op: &str,
        text: &str,
        place: &Place,
    ) -> Inserted {
        let entry = entry(conversation, sender, op, text, place);
        self.timeline.add(&entry).await.unwrap()
    }

    /// Sends a message.
    pub(crate) async fn say(&self, conversation: ConversationId, sender: &str, op: &str, text: &str) -> Place {
        let place = self.place(conversation, sender, op).await;
        assert_eq!(
            self.write(conversation, sender, op, text, &place).await,
            Inserted::Written
        );
        place
    }

    /// Writes messages of alice in these places, whatever the sequencer has handed out: each seq is its revision.
    pub(crate) async fn write_at(&self, conversation: ConversationId, places: &[i64], at: DateTime<Utc>) {
        for some in places.chunks(20) {
            let writes = some.iter().map(|place| {
                let place = Place {
                    revision: *place,
                    messages_after: *place,
                    allocated_at: at,
                    members: Vec::new().into(),
                };
                async move {
                    let op = format!("filled-{}", place.revision);
                    self.write(conversation, "alice", &op, &op, &place).await
                }
            });
            let written = futures::future::join_all(writes).await;
            assert!(written.iter().all(|written| *written == Inserted::Written));
        }
    }

    /// All that the timeline has of a conversation.
    pub(crate) async fn history(&self, conversation: ConversationId) -> Vec<Entry> {
        let all = RevisionRange {
            conversation,
            after: 0,
            through: i64::MAX,
        };
        self.timeline
            .list_revisions(&[all])
            .await
            .unwrap()
            .remove(&conversation)
            .unwrap_or_default()
    }

    /// Makes a group of its owner and their friends, and leaves its entry to whoever closes places.
    pub(crate) async fn make_group(&self, owner: &str, users: &[&str], shows_history: bool) -> ConversationId {
        let users: Vec<UserId> = users.iter().map(|&id| user(id)).collect();
        let group = NewGroup {
            candidate: ConversationId::generate(),
            creator: &user(owner),
            request: &"made".parse().unwrap(),
            request_hash: &[1; 32],
            name: &GroupName::parse("Trains").unwrap(),
            description: &GroupDescription::parse("").unwrap(),
            avatar_url: &AvatarUrl::parse("").unwrap(),
            settings: GroupSettings {
                shows_history,
                ..GroupSettings::default()
            },
            users: &users,
        };
        match self.postgres.create_group(&group).await.unwrap().unwrap() {
            GroupChanged::Done(done) => done.conversation,
            other => panic!("{other:?}"),
        }
    }

    /// Adds a friend of the owner to a group, and leaves its entry to whoever closes places.
    pub(crate) async fn add_to_group(&self, group: ConversationId, owner: &str, added: &str) {
        let call = GroupCall {
            conversation: group,
            actor: &user(owner),
            request_hash: &[2; 32],
            content_hash: &[2; 32],
        };
        let added = self
            .postgres
            .add_group_members(call, &[user(added)])
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(added, GroupChanged::Done(done) if done.entry.is_some()));
    }

    pub(crate) async fn seal_state(&self, conversation: ConversationId) -> SealState {
        self.postgres.lookup_seal(conversation).await.unwrap().unwrap()
    }
}

/// A conversation of alice and bob, with the stores under it.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) stores: Stores,
    pub(crate) conversation: ConversationId,
    pub(crate) epoch: i64,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let stores = Stores::new(fixture.settings());
        let state = stores.postgres.list_for_sync(&user("alice"), &[]).await;
        Self {
            conversation,
            epoch: state.unwrap().epoch,
            stores,
            fixture,
        }
    }

    pub(crate) async fn place(&self, sender: &str, op: &str) -> Place {
        self.stores.place(self.conversation, sender, op).await
    }

    pub(crate) async fn write(&self, sender: &str, op: &str, text: &str, place: &Place) -> Inserted {
        self.stores.write(self.conversation, sender, op, text, place).await
    }

    pub(crate) async fn say(&self, sender: &str, op: &str, text: &str) -> Place {
        self.stores.say(self.conversation, sender, op, text).await
    }

    pub(crate) async fn age(&self, seconds: i64) {
        age(&self.fixture, self.conversation, seconds).await;
    }

    pub(crate) async fn set_head(&self, head: i64, seconds: i64) {
        set_head(&self.fixture, self.conversation, head, seconds).await;
    }

    /// Where a client is that has everything up to a revision.
    pub(crate) fn cursor(&self, revision: i64) -> ConversationCursor {
        ConversationCursor {
            conversation_id: self.conversation.to_string(),
            joined_revision: 0,
            revision,
            epoch: self.epoch,
        }
    }
}

/// A message in a place.
fn entry(conversation: ConversationId, sender: &str, op: &str, text: &str, place: &Place) -> MessageEntry {
    MessageEntry {
        message: MessageId::at(conversation, place.messages_after, place.allocated_at),
        conversation,
        revision: place.revision,
        seq: place.messages_after,
        sender: user(sender),
        op: op.parse().unwrap(),
        op_hash: [0; 32],
        text: text.to_owned(),
        reply_to: None,
        allocated_at: place.allocated_at,
        state_revision: place.revision,
    }
}

/// A hash of an operation's id, of which eight bytes count.
fn hash(op: &str) -> [u8; 32] {
    let mut hasher = DefaultHasher::new();
    op.hash(&mut hasher);
    let bytes = hasher.finish().to_be_bytes();
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&bytes);
    hash
}

/// Some seconds ago, in whole milliseconds as places have it.
pub(crate) fn ago(seconds: i64) -> DateTime<Utc> {
    #[expect(
        clippy::disallowed_methods,
        reason = "what is to be old is old by the clock of this machine"
    )]
    let at = Utc::now() - TimeDelta::seconds(seconds);
    DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap()
}

/// Lets the newest place be as old as if so much time had passed: after 10 s its writer has abandoned it, and with -60 it
/// and what follows stay young for as long as any test takes.
pub(crate) async fn age(fixture: &Fixture, conversation: ConversationId, seconds: i64) {
    sqlx::query(
        "UPDATE conversations SET allocated_at = allocated_at - make_interval(secs => $2) WHERE conversation_id = $1",
    )
    .bind(conversation.uuid())
    .bind(f64::from(i32::try_from(seconds).unwrap()))
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
}

/// Lets the sequencer have handed out this many places, each a message's, the newest of them some seconds ago.
pub(crate) async fn set_head(fixture: &Fixture, conversation: ConversationId, head: i64, seconds: i64) {
    sqlx::query(
        "UPDATE conversations SET revision = $2, message_count = $2, allocated_at = $3, last_activity_at = $3
         WHERE conversation_id = $1",
    )
    .bind(conversation.uuid())
    .bind(head)
    .bind(ago(seconds))
    .execute(&mut fixture.connect_postgres().await)
    .await
    .unwrap();
}

/// The seqs of a conversation that count nowhere.
pub(crate) async fn uncounted(fixture: &Fixture, conversation: ConversationId) -> Vec<i64> {
    sqlx::query_scalar("SELECT uncounted_above($1, 0)")
        .bind(conversation.uuid())
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap()
}

/// How many calls a store got, not counting the statements that a connection prepares at first use.
pub(crate) fn calls(proxy: &FaultProxy) -> u64 {
    let operations = proxy.counts().operations.into_iter();
    let calls = operations.filter(|(operation, _)| !operation.starts_with("prepare"));
    calls.map(|(_, times)| times).sum()
}

/// Everything on the first page of a caller's list, and what is to be sealed afterwards.
pub(crate) async fn list(operation: &ListConversations, caller: &str) -> (Vec<Conversation>, Vec<ConversationId>) {
    let request = ListConversationsRequest {
        page_size: 100,
        ..ListConversationsRequest::default()
    };
    let Answer {
        response,
        notices,
        seal,
    } = call(operation, caller, request).await.expect("the page is read");
    assert_eq!(notices, [], "nobody is told");
    (response.conversations, seal)
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
         ), before AS (SELECT coalesce(max(revision), 0) AS revision FROM feeds WHERE user_id = $1),
         counted AS (
             INSERT INTO feeds AS f (user_id, revision, conversation_count) VALUES ($1, $2, $2)
             ON CONFLICT (user_id) DO UPDATE SET
                 revision = f.revision + EXCLUDED.revision,
                 conversation_count = f.conversation_count + EXCLUDED.conversation_count
         ), others AS (
             INSERT INTO feeds (user_id, revision, conversation_count)
             SELECT CASE WHEN low_user_id = $1 THEN high_user_id ELSE low_user_id END, 1, 1 FROM made
             ON CONFLICT DO NOTHING
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, visible_from_seq, feed_revision)
         SELECT conversation_id, member, 0, 0, CASE WHEN member = $1 THEN before.revision + n ELSE 1 END
         FROM (SELECT *, row_number() OVER () AS n FROM made) made, before, unnest(ARRAY[low_user_id, high_user_id]) member",
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
