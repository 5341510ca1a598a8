//! Conversations with a history, for the tests of what writes and reads it.

use chat_contract::v1::{LastMessage, Message, ReadPositionMoved, SendMessageRequest, live_event};
use chat_domain::{ConversationId, MessageId};
use chat_operation::{Code, Failure, FromSettings, Notice};
use chat_sealing::Sealer;
use chat_stores::mongo::{Inserted, MessageEntry, Slot, Timeline};
use chat_stores::postgres::{Append, Outcome, Place};
use chat_testing::{Fixture, call, user};
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use mongodb::Database;

use crate::SendMessage;

/// A conversation of alice and bob whose history was written past the operations.
pub(crate) struct Scene {
    pub(crate) fixture: Fixture,
    pub(crate) conversation: ConversationId,
    pub(crate) timeline: Timeline,
    /// When all its places were handed out.
    handed_out_at: DateTime<Utc>,
}

impl Scene {
    /// A history of one place per letter, each a message's: `m` holds the message, `v` was closed, and `h` is a hole that
    /// its writer has abandoned long ago. So a message's seq, and its revision, is its position in `places`, from 1 on.
    pub(crate) async fn new(places: &str) -> Self {
        Self::handed_out(places, DateTime::UNIX_EPOCH).await
    }

    /// The same, but the writers of its holes may be at work, however long the test takes.
    pub(crate) async fn young(places: &str) -> Self {
        // As after a clock that went back: what is from the future is young.
        Self::handed_out(places, DateTime::from_timestamp(4_000_000_000, 0).unwrap()).await
    }

    async fn handed_out(places: &str, handed_out_at: DateTime<Utc>) -> Self {
        let fixture = Fixture::new().await;
        let conversation = fixture.open_direct("alice", "bob").await;
        let scene = Self {
            timeline: Timeline::from_settings(fixture.settings()).unwrap(),
            conversation,
            fixture,
            handed_out_at,
        };
        let positions = |wanted: char| {
            let places = (1..).zip(places.chars());
            places.filter(move |(_, kind)| *kind == wanted).map(|(place, _)| place)
        };
        // As many at a time as there are connections: who waits for one is timed as if the database were slow.
        let writes = stream::iter(positions('m')).map(|place| scene.write(place));
        writes.buffer_unordered(3).collect::<Vec<_>>().await;
        let voids: Vec<_> = positions('v').map(|place| (conversation, place)).collect();
        scene.timeline.close(&voids).await.unwrap();
        scene.set_head(i64::try_from(places.len()).unwrap()).await;
        scene
    }

    /// Writes a message in its place, whatever the sequencer has handed out.
    pub(crate) async fn write(&self, place: i64) -> MessageEntry {
        let sender = if place % 2 == 0 { "bob" } else { "alice" };
        let entry = MessageEntry {
            message: MessageId::at(self.conversation, place, self.handed_out_at),
            conversation: self.conversation,
            revision: place,
            seq: place,
            sender: user(sender),
            op: format!("op-{place}").parse().unwrap(),
            op_hash: [0; 32],
            text: format!("text {place}"),
            reply_to: None,
            allocated_at: self.handed_out_at,
            state_revision: place,
        };
        assert_eq!(self.timeline.add(&entry).await.unwrap(), Inserted::Written);
        entry
    }

    /// Lets the sequencer have handed out this many places.
    pub(crate) async fn set_head(&self, head: i64) {
        sqlx::query("UPDATE conversations SET revision = $1, message_count = $1, allocated_at = $2")
            .bind(head)
            .bind(self.handed_out_at)
            .execute(&mut self.fixture.connect_postgres().await)
            .await
            .unwrap();
    }

    /// What stands in a place.
    pub(crate) async fn slot(&self, place: i64) -> Slot {
        self.timeline
            .lookup_slot(self.conversation, place, place)
            .await
            .unwrap()
    }

    /// How many messages someone has not read.
    pub(crate) async fn unread(&self, member: &str) -> i64 {
        seen(&self.fixture, self.conversation, member).await.unread
    }

    /// Seals the conversation as far as it can be now.
    pub(crate) async fn seal(&self) {
        let postgres = self.fixture.postgres();
        let sealer = Sealer::new(&postgres, &self.timeline);
        sealer.seal(self.conversation).await.unwrap();
    }

    /// How far the conversation is sealed: (revision, seq, and which seqs count nowhere).
    pub(crate) async fn sealed(&self) -> (i64, i64, Vec<i64>) {
        sealed(&self.fixture, self.conversation).await
    }

    /// The Mongo database, for what no operation does.
    pub(crate) async fn mongo(&self) -> Database {
        mongo(&self.fixture).await
    }
}

/// A fixture's Mongo database.
pub(crate) async fn mongo(fixture: &Fixture) -> Database {
    let uri = fixture.settings().get("MONGODB_URI").unwrap();
    let client = mongodb::Client::with_uri_str(uri).await.unwrap();
    client.database(fixture.name())
}

/// Changes what a message says, as an edit will.
pub(crate) async fn change_text(fixture: &Fixture, message: &Message, text: &str) {
    let id: MessageId = message.message_id.parse().unwrap();
    let timeline = mongo(fixture).await.collection::<bson::Document>("timeline");
    let id = bson::Uuid::from_bytes(id.uuid().into_bytes());
    let changed = bson::doc! { "$set": { "text": text, "state_revision": 1_000_i64 } };
    let update = timeline.update_one(bson::doc! { "_id": id }, changed).await.unwrap();
    assert_eq!(update.modified_count, 1);
}

/// A request to say something.
pub(crate) fn say(conversation: ConversationId, op: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest {
        conversation_id: conversation.to_string(),
        client_message_id: op.to_owned(),
        text: text.to_owned(),
        ..SendMessageRequest::default()
    }
}

/// Says something, and answers what was said.
pub(crate) async fn sent(send: &SendMessage, sender: &str, request: SendMessageRequest) -> Message {
    let answer = call(send, sender, request).await.expect("the send succeeds");
    answer.response.message.expect("an answer has a message")
}

/// What a list shows a member of a conversation.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) unread: i64,
    pub(crate) last_activity_at: DateTime<Utc>,
    pub(crate) last_message: Option<LastMessage>,
}

/// What a list shows a member of a conversation.
pub(crate) async fn seen(fixture: &Fixture, conversation: ConversationId, member: &str) -> Seen {
    let (postgres, member) = (fixture.postgres(), user(member));
    let row = postgres
        .lookup_conversation(conversation, &member)
        .await
        .unwrap()
        .unwrap();
    let timeline = Timeline::from_settings(fixture.settings()).unwrap();
    let newest = timeline.list_previews(&[row.newest_message()]).await.unwrap().pop();
    Seen {
        unread: row.conversation.unread_count,
        last_activity_at: row.conversation.last_activity_at,
        last_message: newest.map(chat_view::last_message),
    }
}

/// The newest revision that was handed out.
pub(crate) async fn head(fixture: &Fixture, conversation: ConversationId) -> i64 {
    fixture
        .postgres()
        .lookup_seal(conversation)
        .await
        .unwrap()
        .unwrap()
        .revision
}

/// How far a conversation is sealed: (revision, seq, and which seqs count nowhere).
pub(crate) async fn sealed(fixture: &Fixture, conversation: ConversationId) -> (i64, i64, Vec<i64>) {
    let state = fixture.postgres().lookup_seal(conversation).await.unwrap().unwrap();
    let uncounted = sqlx::query_scalar("SELECT uncounted_above($1, 0)").bind(conversation.uuid());
    let uncounted = uncounted
        .fetch_one(&mut fixture.connect_postgres().await)
        .await
        .unwrap();
    (state.closed_revision, state.closed_seq, uncounted)
}

/// Takes a place, and dies.
pub(crate) async fn die_with_a_place(fixture: &Fixture, conversation: ConversationId, sender: &str, op: &str) -> Place {
    let mut hash = [0; 32];
    hash.iter_mut().zip(op.bytes()).for_each(|(to, from)| *to = from);
    let append = Append {
        conversation,
        actor: &user(sender),
        op_id_hash: &hash,
        content_hash: &[0; 32],
        is_message: true,
        after: 0,
        floor_revision: 0,
        floor_seq: 0,
        read_seq: 0,
    };
    match fixture.postgres().append(&append).await.unwrap().outcome {
        Outcome::Placed(place) => place,
        refused => panic!("{sender} cannot send: {refused:?}"),
    }
}

/// Who is told of a read position, where it stands, and how much is unread.
pub(crate) fn read_positions(notices: &[Notice]) -> Vec<(Vec<String>, i64, Option<i64>)> {
    let told = |notice: &Notice| match &notice.event.event {
        Some(live_event::Event::ReadPositionMoved(ReadPositionMoved {
            read_seq, unread_count, ..
        })) => {
            let recipients = notice.recipients.users().iter().map(ToString::to_string).collect();
            Some((recipients, *read_seq, *unread_count))
        }
        _ => None,
    };
    notices.iter().filter_map(told).collect()
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
