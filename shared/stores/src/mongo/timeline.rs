//! Writing and reading the timeline.
//!
//! Writes are journaled by a majority and reads see majority state on the primary. A place, `(conversation, revision)`,
//! is written once: who comes second is told so by the unique index, never overwrites.

use std::collections::BTreeMap;
use std::time::Duration;

use bson::{Document as Bson, RawDocument, RawDocumentBuf, Uuid as BsonUuid, doc};
use chat_domain::{ClientMessageId, ConversationId, MessageId, UserId};
use futures::TryStreamExt;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, FindOptions, IndexOptions, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, IndexModel};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::entry::{Document, Entry, EntryKind, MessageEntry, from_bson_uuid, to_bson_uuid};
use crate::{Settings, SettingsError, StoreError, StoreErrorKind};

const STORE: &str = "MongoDB";
const COLLECTION: &str = "timeline";

const MONGODB_URI: &str = "MONGODB_URI";
const MONGODB_URI_FORM: &str = "a MongoDB URI such as mongodb+srv://user:password@cluster.example.net";
const MONGODB_DATABASE: &str = "MONGODB_DATABASE";
const MONGODB_DATABASE_DEFAULT: &str = "chat";

/// Connections of one environment: an operation makes at most three calls at a time.
const POOL_SIZE_MAX: u32 = 3;
/// How long an unused connection is kept. Shorter reconnects on slow traffic; longer outlives what is between.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to look for a primary: an election fits in.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may work on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Documents that one answer may bring: more than any call reads, so that nothing but their bytes makes a second one.
const BATCH_SIZE: u32 = 100_000;
/// How long closing holes may hold up the sync that does it.
const VOIDS_TIMEOUT: Duration = Duration::from_secs(2);

const DUPLICATE_KEY: i32 = 11_000;
const MAX_TIME_EXPIRED: i32 = 50;

/// A handle to the timeline. The client is made at first use.
#[derive(Debug)]
pub struct Timeline {
    uri: String,
    database: String,
    collection: OnceCell<Collection<RawDocumentBuf>>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Inserted {
    /// It is in its place, by majority.
    Written,
    /// It was not written: its place, its seq or its operation is already there.
    Taken,
}

/// What stands in a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot {
    /// Neither the revision nor the seq is taken.
    Free,
    /// The revision was closed.
    Void,
    /// Another message has the revision or the seq: the sequencer went back.
    Foreign,
}

/// The greatest places that the timeline holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Heads {
    /// The greatest revision, 0 without any.
    pub revision: i64,
    /// The greatest seq, 0 without any.
    pub seq: i64,
}

/// The revisions `after < revision <= through` of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RevisionRange {
    /// The conversation.
    pub conversation: ConversationId,
    /// Where it starts, exclusive.
    pub after: i64,
    /// Where it ends, inclusive.
    pub through: i64,
}

/// Which messages of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HistoryRange {
    /// The greatest seqs below this one.
    Before(i64),
    /// The smallest seqs above this one.
    After(i64),
}

impl Timeline {
    /// A handle to the timeline in `MONGODB_DATABASE` of `MONGODB_URI`. Does no IO.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let uri = settings.require(MONGODB_URI, MONGODB_URI_FORM)?;
        if !uri.starts_with("mongodb://") && !uri.starts_with("mongodb+srv://") {
            return Err(SettingsError::Invalid {
                name: MONGODB_URI,
                expected: MONGODB_URI_FORM,
                problem: "it starts with neither mongodb:// nor mongodb+srv://".to_owned(),
            });
        }
        Ok(Self {
            uri: uri.to_owned(),
            database: settings
                .get(MONGODB_DATABASE)
                .unwrap_or(MONGODB_DATABASE_DEFAULT)
                .to_owned(),
            collection: OnceCell::new(),
        })
    }

    /// Checks that a primary answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        const ACTION: &str = "answer a ping";
        let collection = self.collection().await?;
        let database = collection.client().database(&self.database);
        database
            .run_command(doc! { "ping": 1 })
            .await
            .map_err(|error| failed(ACTION, error))?;
        Ok(())
    }

    /// Creates the indexes that the protocol rests on. Repeating it changes nothing.
    pub async fn create_indexes(&self) -> Result<(), StoreError> {
        let unique = |keys: Bson, name: &str, present: Option<&str>| {
            let filter = present.map(|field| doc! { field: { "$exists": true } });
            let options = IndexOptions::builder()
                .name(name.to_owned())
                .unique(true)
                .partial_filter_expression(filter)
                .build();
            IndexModel::builder().keys(keys).options(options).build()
        };
        let indexes = [
            unique(doc! { "conversation_id": 1, "revision": 1 }, "revision", None),
            unique(doc! { "conversation_id": 1, "seq": 1 }, "seq", Some("seq")),
            unique(doc! { "conversation_id": 1, "sender": 1, "op": 1 }, "op", Some("op")),
        ];
        let collection = self.collection().await?;
        collection
            .create_indexes(indexes)
            .await
            .map_err(|error| failed("create the timeline's indexes", error))?;
        Ok(())
    }

    /// Writes a message in its place.
    ///
    /// Of `Taken` nothing follows about which index refused, nor about a majority: look before answering. On an error
    /// the message may or may not be there.
    pub async fn add(&self, entry: &MessageEntry) -> Result<Inserted, StoreError> {
        let collection = self.collection().await?;
        let collection = collection.clone_with_type::<Document<'_>>();
        match collection.insert_one(Document::from(entry)).await {
            Ok(_) => Ok(Inserted::Written),
            Err(error) if is_duplicate(&error) => Ok(Inserted::Taken),
            Err(error) => Err(failed("write a message", error)),
        }
    }

    /// Closes places for good. Those that are already taken stay as they are.
    pub async fn close(&self, places: &[(ConversationId, i64)]) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        let collection = self.collection().await?;
        let voids = places
            .iter()
            .map(|(conversation, revision)| Document::void(*conversation, *revision));
        let write_concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(VOIDS_TIMEOUT)
            .build();
        let collection = collection.clone_with_type::<Document<'_>>();
        match collection
            .insert_many(voids)
            .ordered(false)
            .write_concern(write_concern)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(failed("close abandoned places", error)),
        }
    }

    /// Reads the message that an operation wrote, by linearizable read: what it answers is there by majority.
    pub async fn lookup_operation(
        &self,
        conversation: ConversationId,
        sender: &UserId,
        op: &ClientMessageId,
    ) -> Result<Option<MessageEntry>, StoreError> {
        const ACTION: &str = "look up an operation";
        let filter = doc! {
            "conversation_id": to_bson_uuid(conversation.uuid()),
            "sender": sender.as_str(),
            "op": op.as_str(),
        };
        let document = self
            .collection()
            .await?
            .find_one(filter)
            .read_concern(ReadConcern::linearizable())
            .max_time(CALL_TIMEOUT)
            .await
            .map_err(|error| failed(ACTION, error))?;
        Ok(document
            .map(|document| Entry::read(&document).map_err(|error| unreadable(ACTION, error)))
            .transpose()?
            .and_then(message))
    }

    /// Tells what stands where a message was to be written.
    pub async fn lookup_slot(&self, conversation: ConversationId, revision: i64, seq: i64) -> Result<Slot, StoreError> {
        const ACTION: &str = "look up a place";
        let id = to_bson_uuid(conversation.uuid());
        // Two equalities, each on its own unique index: at most two documents.
        let filter = doc! {
            "$or": [{ "conversation_id": id, "revision": revision }, { "conversation_id": id, "seq": seq }],
        };
        let found = self
            .find_all(ACTION, filter, FindOptions::default(), Entry::read)
            .await?;
        Ok(if found.iter().any(|entry| entry.kind != EntryKind::Void) {
            Slot::Foreign
        } else if found.is_empty() {
            Slot::Free
        } else {
            Slot::Void
        })
    }

    /// Reads the greatest places of a conversation.
    pub async fn lookup_heads(&self, conversation: ConversationId) -> Result<Heads, StoreError> {
        const ACTION: &str = "look up the heads of a conversation";
        let collection = self.collection().await?.clone_with_type::<Bson>();
        let id = to_bson_uuid(conversation.uuid());
        let greatest = |filter: Bson, field: &str| {
            collection
                .find_one(filter)
                .sort(doc! { field: -1 })
                .projection(doc! { "_id": 0, field: 1 })
                .max_time(CALL_TIMEOUT)
        };
        let revision = greatest(doc! { "conversation_id": id }, "revision");
        let seq = greatest(doc! { "conversation_id": id, "seq": { "$gt": 0 } }, "seq");
        let (revision, seq) =
            futures::try_join!(revision.into_future(), seq.into_future()).map_err(|error| failed(ACTION, error))?;
        let value = |found: Option<Bson>, field| found.and_then(|found| found.get_i64(field).ok()).unwrap_or_default();
        Ok(Heads {
            revision: value(revision, "revision"),
            seq: value(seq, "seq"),
        })
    }

    /// Reads one message of a conversation.
    pub async fn lookup_message(
        &self,
        conversation: ConversationId,
        message_id: MessageId,
    ) -> Result<Option<MessageEntry>, StoreError> {
        const ACTION: &str = "look up a message";
        let filter = doc! {
            "_id": to_bson_uuid(message_id.uuid()),
            "conversation_id": to_bson_uuid(conversation.uuid()),
        };
        let document = self
            .collection()
            .await?
            .find_one(filter)
            .max_time(CALL_TIMEOUT)
            .await
            .map_err(|error| failed(ACTION, error))?;
        Ok(document
            .map(|document| Entry::read(&document).map_err(|error| unreadable(ACTION, error)))
            .transpose()?
            .and_then(message))
    }

    /// Lists at most `limit` messages next to a seq, by increasing seq.
    pub async fn list_messages(
        &self,
        conversation: ConversationId,
        range: HistoryRange,
        limit: usize,
    ) -> Result<Vec<MessageEntry>, StoreError> {
        const ACTION: &str = "list messages";
        let (bound, direction) = match range {
            HistoryRange::Before(seq) => (doc! { "$gt": 0, "$lt": seq }, -1),
            HistoryRange::After(seq) => (doc! { "$gt": seq.max(0) }, 1),
        };
        let filter = doc! { "conversation_id": to_bson_uuid(conversation.uuid()), "seq": bound };
        let options = FindOptions::builder()
            .sort(doc! { "seq": direction })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .build();
        let entries = self.find_all(ACTION, filter, options, Entry::read).await?;
        let mut messages: Vec<MessageEntry> = entries.into_iter().filter_map(message).collect();
        if direction < 0 {
            messages.reverse();
        }
        Ok(messages)
    }

    /// Reads ranges of revisions in one call, each by increasing revision. Bounding their sum is the caller's business.
    pub async fn list_revisions(
        &self,
        ranges: &[RevisionRange],
    ) -> Result<BTreeMap<ConversationId, Vec<Entry>>, StoreError> {
        const ACTION: &str = "list revisions";
        let mut found: BTreeMap<ConversationId, Vec<Entry>> = BTreeMap::new();
        let Some(filter) = any_of(ranges) else { return Ok(found) };
        let entries = self
            .find_all(ACTION, filter, FindOptions::default(), Entry::read)
            .await?;
        for entry in entries {
            found.entry(entry.conversation).or_default().push(entry);
        }
        for entries in found.values_mut() {
            entries.sort_by_key(|entry| entry.revision);
        }
        Ok(found)
    }

    /// Tells which revisions of the ranges are taken, sorted, from the index alone.
    pub async fn list_present_revisions(
        &self,
        ranges: &[RevisionRange],
    ) -> Result<BTreeMap<ConversationId, Vec<i64>>, StoreError> {
        const ACTION: &str = "list present revisions";
        let mut found: BTreeMap<ConversationId, Vec<i64>> = BTreeMap::new();
        let Some(filter) = any_of(ranges) else { return Ok(found) };
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "conversation_id": 1, "revision": 1 })
            .build();
        let places: Vec<PlaceOnly> = self.find_all(ACTION, filter, options, deserialize).await?;
        for place in places {
            found
                .entry(from_bson_uuid(place.conversation_id).into())
                .or_default()
                .push(place.revision);
        }
        for revisions in found.values_mut() {
            revisions.sort_unstable();
        }
        Ok(found)
    }

    /// Counts how many revisions of each range are taken, from the index alone. A conversation without any is left out.
    pub async fn count_revisions(&self, ranges: &[RevisionRange]) -> Result<BTreeMap<ConversationId, i64>, StoreError> {
        const ACTION: &str = "count revisions";
        let Some(filter) = any_of(ranges) else {
            return Ok(BTreeMap::new());
        };
        let pipeline = vec![
            doc! { "$match": filter },
            doc! { "$group": { "_id": "$conversation_id", "taken": { "$sum": 1_i64 } } },
        ];
        let counted: Vec<Counted> = self.aggregate_all(ACTION, pipeline).await?;
        Ok(counted
            .into_iter()
            .map(|counted| (from_bson_uuid(counted.id).into(), counted.taken))
            .collect())
    }

    /// Lists at most `limit` revisions of a range that are not taken, smallest first.
    pub async fn list_missing_revisions(&self, range: RevisionRange, limit: usize) -> Result<Vec<i64>, StoreError> {
        const ACTION: &str = "list missing revisions";
        let Some(filter) = any_of(&[range]) else {
            return Ok(Vec::new());
        };
        // Each entry beside the one before it; where they are not neighbours, something is missing in between.
        let pipeline = vec![
            doc! { "$match": filter.clone() },
            doc! { "$setWindowFields": { "sortBy": { "revision": 1 }, "output": {
                "previous": { "$shift": { "output": "$revision", "by": -1, "default": range.after } },
            } } },
            doc! { "$match": { "$expr": { "$ne": ["$revision", { "$add": ["$previous", 1] }] } } },
            doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX).max(1) },
            doc! { "$project": { "_id": 0, "previous": 1, "revision": 1 } },
        ];
        let options = FindOptions::builder()
            .sort(doc! { "revision": -1 })
            .limit(1)
            .projection(doc! { "_id": 0, "conversation_id": 1, "revision": 1 })
            .build();
        let gaps: Vec<Gap> = self.aggregate_all(ACTION, pipeline).await?;
        let last: Vec<PlaceOnly> = self.find_all(ACTION, filter, options, deserialize).await?;
        let last = last.first().map_or(range.after, |place| place.revision);
        let inner = gaps.into_iter().flat_map(|gap| gap.previous + 1..gap.revision);
        Ok(inner.chain(last + 1..=range.through).take(limit).collect())
    }

    /// Runs a pipeline whose answer is small.
    async fn aggregate_all<T: DeserializeOwned>(
        &self,
        action: &'static str,
        pipeline: Vec<Bson>,
    ) -> Result<Vec<T>, StoreError> {
        let collection = self.collection().await?;
        let answered: Vec<Bson> = async {
            collection
                .aggregate(pipeline)
                .batch_size(BATCH_SIZE)
                .max_time(CALL_TIMEOUT)
                .await?
                .try_collect()
                .await
        }
        .await
        .map_err(|error| failed(action, error))?;
        let rows = answered.into_iter().map(bson::deserialize_from_document);
        rows.collect::<Result<_, _>>()
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt, STORE, action, error))
    }

    /// Reads all that matches, in one round trip as long as it fits into a batch of the server.
    async fn find_all<T, E>(
        &self,
        action: &'static str,
        filter: Bson,
        mut options: FindOptions,
        read: impl Fn(&RawDocument) -> Result<T, E>,
    ) -> Result<Vec<T>, StoreError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        options.batch_size = Some(BATCH_SIZE);
        options.max_time = Some(CALL_TIMEOUT);
        let found = self.collection().await?.find(filter).with_options(options).await;
        let mut cursor = found.map_err(|error| failed(action, error))?;
        let mut all = Vec::new();
        while cursor.advance().await.map_err(|error| failed(action, error))? {
            all.push(read(cursor.current()).map_err(|error| unreadable(action, error))?);
        }
        Ok(all)
    }

    async fn collection(&self) -> Result<&Collection<RawDocumentBuf>, StoreError> {
        self.collection
            .get_or_try_init(|| async {
                let mut options = ClientOptions::parse(&self.uri)
                    .await
                    .map_err(|error| failed("be found by its URI", error))?;
                options.app_name = Some("chat".to_owned());
                options.max_pool_size = Some(POOL_SIZE_MAX);
                options.min_pool_size = Some(0);
                options.max_idle_time = Some(IDLE_TIMEOUT);
                options.connect_timeout = Some(CONNECT_TIMEOUT);
                options.server_selection_timeout = Some(SERVER_SELECTION_TIMEOUT);
                let client = Client::with_options(options).map_err(|error| failed("be set up by its URI", error))?;
                // Whatever the URI says: an acknowledged write is durable, and decisions read what cannot be undone.
                let write_concern = WriteConcern::builder()
                    .w(Acknowledgment::Majority)
                    .journal(true)
                    .w_timeout(CALL_TIMEOUT)
                    .build();
                let options = CollectionOptions::builder()
                    .read_concern(ReadConcern::majority())
                    .write_concern(write_concern)
                    .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
                    .build();
                Ok(client
                    .database(&self.database)
                    .collection_with_options(COLLECTION, options))
            })
            .await
    }
}

/// An entry without what it holds.
#[derive(Deserialize)]
struct PlaceOnly {
    conversation_id: BsonUuid,
    revision: i64,
}

/// How many places of a conversation are taken.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    id: BsonUuid,
    taken: i64,
}

/// Two taken places with nothing between them.
#[derive(Deserialize)]
struct Gap {
    previous: i64,
    revision: i64,
}

/// The entries of any of these ranges; None when there can be none.
fn any_of(ranges: &[RevisionRange]) -> Option<Bson> {
    let ranges: Vec<Bson> = ranges
        .iter()
        .filter(|range| range.after < range.through)
        .map(|range| {
            doc! {
                "conversation_id": to_bson_uuid(range.conversation.uuid()),
                "revision": { "$gt": range.after, "$lte": range.through },
            }
        })
        .collect();
    (!ranges.is_empty()).then(|| doc! { "$or": ranges })
}

fn deserialize<T: DeserializeOwned>(document: &RawDocument) -> bson::error::Result<T> {
    bson::deserialize_from_slice(document.as_bytes())
}

fn unreadable(action: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, STORE, action, error)
}

fn message(entry: Entry) -> Option<MessageEntry> {
    match entry.kind {
        EntryKind::Message(message) => Some(*message),
        EntryKind::Void | EntryKind::Unknown => None,
    }
}

/// Whether nothing but unique indexes stood in the way of a write.
fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(error) => {
            error.write_concern_error.is_none()
                && error
                    .write_errors
                    .as_ref()
                    .is_some_and(|errors| !errors.is_empty() && errors.iter().all(|error| error.code == DUPLICATE_KEY))
        }
        _ => false,
    }
}

fn failed(action: &'static str, error: Error) -> StoreError {
    let kind = match &*error.kind {
        ErrorKind::Command(command) if command.code == MAX_TIME_EXPIRED => StoreErrorKind::Timeout,
        // A document of another version; everything else is about reaching a primary that can write, also what comes as
        // an error of a single write, such as a step-down seen through a router.
        ErrorKind::BsonDeserialization(_) | ErrorKind::BsonSerialization(_) | ErrorKind::InvalidArgument { .. } => {
            StoreErrorKind::Corrupt
        }
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, STORE, action, error)
}
