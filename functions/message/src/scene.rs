//! A conversation with a history, for the tests of what reads it.

use chat_domain::{ConversationId, MessageId};
use chat_rpc::{Code, Failure};
use chat_stores::mongo::{Inserted, MessageEntry, Timeline};
use chat_testing::{Fixture, user};
use futures::future::join_all;
use mongodb::Database;

/// A conversation of alice and bob whose history was written past the operations.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) conversation: ConversationId,
    pub(crate) timeline: Timeline,
}

impl Scene {
    /// A history of one place per letter, each a message's: `m` holds the message, `v` was closed, and `h` is a hole.
    /// So a message's seq, and its revision, is its position in `places`, from 1 on.
    pub(crate) async fn new(places: &str) -> Self {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let scene = Self {
            timeline: Timeline::new(fixture.settings()).unwrap(),
            conversation,
            fixture,
        };
        let positions = |wanted: char| {
            let places = (1..).zip(places.chars());
            places.filter(move |(_, kind)| *kind == wanted).map(|(place, _)| place)
        };
        let writes = positions('m').map(|place| scene.write(place));
        join_all(writes).await;
        let voids: Vec<_> = positions('v').map(|place| (conversation, place)).collect();
        scene.timeline.close(&voids).await.unwrap();
        scene.set_head(i64::try_from(places.len()).unwrap()).await;
        scene
    }

    /// Writes a message in its place, whatever the sequencer has handed out.
    pub(crate) async fn write(&self, place: i64) -> MessageEntry {
        let sender = if place % 2 == 0 { "bob" } else { "alice" };
        let entry = MessageEntry {
            message: MessageId::generate(),
            conversation: self.conversation,
            revision: place,
            seq: place,
            sender: user(sender),
            op: format!("op-{place}").parse().unwrap(),
            op_hash: [0; 32],
            text: format!("text {place}"),
            reply_to: None,
            allocated_at: chrono::DateTime::UNIX_EPOCH,
            state_revision: place,
        };
        assert_eq!(self.timeline.add(&entry).await.unwrap(), Inserted::Written);
        entry
    }

    /// Lets the sequencer have handed out this many places.
    pub(crate) async fn set_head(&self, head: i64) {
        sqlx::query("UPDATE conversations SET revision = $1, message_count = $1")
            .bind(head)
            .execute(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap();
    }

    /// The Mongo database, for what no operation does.
    pub(crate) async fn mongo(&self) -> Database {
        let uri = self.fixture.settings().get("MONGODB_URI").unwrap();
        let client = mongodb::Client::with_uri_str(uri).await.unwrap();
        client.database(self.fixture.name())
    }
}

/// Asserts that all were refused as a call about a conversation that is not there for its caller, to the byte.
pub(crate) fn assert_not_found(failures: &[Failure]) {
    let expected = format!("{:?}", Failure::conversation_not_found());
    assert!(!failures.is_empty());
    for failure in failures {
        assert_eq!(
            (failure.code(), failure.reason()),
            (Code::NotFound, "CONVERSATION_NOT_FOUND")
        );
        assert_eq!(format!("{failure:?}"), expected);
    }
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
