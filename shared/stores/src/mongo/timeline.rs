//! Writing and reading the timeline.
//!
//! Writes are journaled by a majority and reads see majority state on the primary. A place, `(conversation, revision)`,
//! is written once: who comes second is told so by the unique index, never overwrites.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use bson::{Document as Bson, RawDocument, RawDocumentBuf, Uuid as BsonUuid, doc};
use chat_domain::{ClientMessageId, ConversationId, EXCERPT_CHARS_READ, MessageId, UserId};
use futures::TryStreamExt;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{
    Acknowledgment, ClientOptions, CollectionOptions, FindOptions, Hint, IndexOptions, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, IndexModel};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::entry::{
    Document, Entry, EntryKind, MessageEntry, PlaceEntry, PreviewEntry, from_bson_uuid, read_seq, to_bson_uuid,
};
use crate::{GroupEntry, StoreError, StoreErrorKind};
use chat_operation::{FromSettings, Settings, SettingsError};

const STORE: &str = "MongoDB";
const COLLECTION: &str = "timeline";
/// The indexes, by name: who reads many ranges at once names the one to use, which spares the server a plan for each.
const REVISION_INDEX: &str = "revision";
const SEQ_INDEX: &str = "seq";
const GROUP_INDEX: &str = "group";
const ID_INDEX: &str = "_id_";

const MONGODB_URI: &str = "MONGODB_URI";
const MONGODB_URI_FORM: &str = "a MongoDB URI such as mongodb+srv://user:password@cluster.example.net";
const MONGODB_DATABASE: &str = "MONGODB_DATABASE";
const MONGODB_DATABASE_DEFAULT: &str = "chat";

/// Connections of one environment: an operation makes at most three calls at a time.
const POOL_SIZE_MAX: u32 = 3;
/// How long an unused connection is kept. Shorter reconnects on slow traffic; longer outlives what is between.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to look for a primary; an election that takes longer is met by the client's repeat.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the server may work on one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one call may take whatever happens. The server gives up before, so only one that does not answer at all meets
/// this: without it, a frozen one would hold the environment until the function's own end.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(4);
/// Documents that one answer may bring: more than any call reads, so that nothing but their bytes makes a second one.
const BATCH_SIZE: u32 = 100_000;
/// How long who closes holes waits for a majority to have that.
const VOIDS_TIMEOUT: Duration = Duration::from_secs(2);

const DUPLICATE_KEY: i32 = 11_000;
const MAX_TIME_EXPIRED: i32 = 50;

/// A handle to the timeline. The client is made at first use.
pub struct Timeline {
    uri: String,
    database: String,
    collection: OnceCell<Collection<RawDocumentBuf>>,
}

/// Never shows how to log in.
impl std::fmt::Debug for Timeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Timeline").finish_non_exhaustive()
    }
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

/// The seqs `after < seq <= through` of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SeqRange {
    /// The conversation.
    pub conversation: ConversationId,
    /// Where it starts, exclusive.
    pub after: i64,
    /// Where it ends, inclusive.
    pub through: i64,
}

/// The changes of a group that belong to a part of its history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupStretch {
    /// The group.
    pub conversation: ConversationId,
    /// The newest seq when they happened, at least.
    pub from_seq: i64,
    /// The newest seq when they happened was below this one.
    pub below_seq: i64,
    /// Where their revisions start, exclusive.
    pub after: i64,
    /// Where they end, inclusive.
    pub through: i64,
}

/// What a page of history is sure to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consistency {
    /// What a majority has, as the server that was asked knows it. One that was deposed and does not know it yet may not
    /// have the newest.
    Majority,
    /// Everything that was acknowledged before it was asked for: a deposed server cannot answer.
    Linearizable,
}

impl Consistency {
    /// What to ask the server for; None is what all reads ask for.
    fn read_concern(self) -> Option<ReadConcern> {
        match self {
            Self::Majority => None,
            Self::Linearizable => Some(ReadConcern::linearizable()),
        }
    }
}

/// Which messages of a conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HistoryRange {
    /// The greatest seqs below this one.
    Before(i64),
    /// The smallest seqs above this one.
    After(i64),
}

/// The timeline in `MONGODB_DATABASE` of `MONGODB_URI`.
impl FromSettings for Timeline {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
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
}

impl Timeline {
    /// Checks that a primary answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        const ACTION: &str = "answer a ping";
        let collection = self.collection().await?;
        let database = collection.client().database(&self.database);
        within(ACTION, database.run_command(doc! { "ping": 1 }).into_future()).await?;
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
            unique(doc! { "conversation_id": 1, "revision": 1 }, REVISION_INDEX, None),
            unique(doc! { "conversation_id": 1, "seq": 1 }, SEQ_INDEX, Some("seq")),
            unique(doc! { "conversation_id": 1, "sender": 1, "op": 1 }, "op", Some("op")),
            IndexModel::builder()
                .keys(doc! { "conversation_id": 1, "group.after_seq": 1, "revision": 1 })
                .options(
                    IndexOptions::builder()
                        .name(GROUP_INDEX.to_owned())
                        .partial_filter_expression(doc! { "group.after_seq": { "$exists": true } })
                        .build(),
                )
                .build(),
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
        let written = async {
            match collection.insert_one(Document::from(entry)).await {
                Ok(_) => Ok(Inserted::Written),
                Err(error) if is_duplicate(&error) => Ok(Inserted::Taken),
                Err(error) => Err(error),
            }
        };
        within("write a message", written).await
    }

    /// Closes places for good. Those that are already taken stay as they are. Only for places of messages: whoever does not
    /// know what belongs there asks the sealer.
    pub async fn close(&self, places: &[(ConversationId, i64)]) -> Result<(), StoreError> {
        self.fill(&[], places).await?;
        Ok(())
    }

    /// Writes changes of groups where they belong, and closes other places for good. What is already taken stays as it is.
    /// Answers the changes in whose places something else stands.
    pub async fn fill(
        &self,
        changes: &[GroupEntry],
        voids: &[(ConversationId, i64)],
    ) -> Result<Vec<GroupEntry>, StoreError> {
        if changes.is_empty() && voids.is_empty() {
            return Ok(Vec::new());
        }
        let collection = self.collection().await?;
        let voids = voids
            .iter()
            .map(|(conversation, revision)| Document::void(*conversation, *revision));
        let documents: Vec<Document<'_>> = changes.iter().map(Document::from).chain(voids).collect();
        let write_concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(VOIDS_TIMEOUT)
            .build();
        let collection = collection.clone_with_type::<Document<'_>>();
        let closed = async {
            let written = collection
                .insert_many(documents)
                .ordered(false)
                .write_concern(write_concern);
            match written.await {
                Ok(_) => Ok(Inserted::Written),
                Err(error) if is_duplicate(&error) => Ok(Inserted::Taken),
                Err(error) => Err(error),
            }
        };
        match within("fill places", closed).await? {
            Inserted::Written => Ok(Vec::new()),
            Inserted::Taken => self.displaced(changes).await,
        }
    }

    /// Those of these changes in whose places something else stands. One that is not there yet as far as a majority knows is
    /// on its way: its place was taken by another writer of the same.
    async fn displaced(&self, changes: &[GroupEntry]) -> Result<Vec<GroupEntry>, StoreError> {
        let places = changes.iter().map(|change| RevisionRange {
            conversation: change.conversation,
            after: change.revision - 1,
            through: change.revision,
        });
        let standing = self.list_revisions(&places.collect::<Vec<_>>()).await?;
        let is_displaced = |change: &&GroupEntry| {
            let there = standing.get(&change.conversation).into_iter().flatten();
            there
                .filter(|entry| entry.revision == change.revision)
                .any(|entry| !matches!(&entry.kind, EntryKind::Group(there) if is_same(there, change)))
        };
        Ok(changes.iter().filter(is_displaced).cloned().collect())
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
        let collection = self.collection().await?;
        let read = collection
            .find_one(filter)
            .read_concern(ReadConcern::linearizable())
            .max_time(CALL_TIMEOUT);
        let document = within(ACTION, read.into_future()).await?;
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
        let both = async { futures::try_join!(revision.into_future(), seq.into_future()) };
        let (revision, seq) = within(ACTION, both).await?;
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
        let read = self.collection().await?.find_one(filter).max_time(CALL_TIMEOUT);
        let document = within(ACTION, read.into_future()).await?;
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
        consistency: Consistency,
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
            .read_concern(consistency.read_concern())
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
        let options = FindOptions::builder().hint(by_name(REVISION_INDEX)).build();
        let entries = self.find_all(ACTION, filter, options, Entry::read).await?;
        for entry in entries {
            found.entry(entry.conversation).or_default().push(entry);
        }
        for entries in found.values_mut() {
            entries.sort_by_key(|entry| entry.revision);
        }
        Ok(found)
    }

    /// Reads how a group changed while its newest seq was in a range, by increasing revision: the newest ones, at most so many.
    pub async fn list_group_changes(
        &self,
        stretch: GroupStretch,
        limit: usize,
        consistency: Consistency,
    ) -> Result<Vec<GroupEntry>, StoreError> {
        const ACTION: &str = "list changes of a group";
        let filter = doc! {
            "conversation_id": to_bson_uuid(stretch.conversation.uuid()),
            "group.after_seq": { "$gte": stretch.from_seq, "$lt": stretch.below_seq },
            "revision": { "$gt": stretch.after, "$lte": stretch.through },
        };
        let options = FindOptions::builder()
            .sort(doc! { "group.after_seq": -1, "revision": -1 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .read_concern(consistency.read_concern())
            .hint(by_name(GROUP_INDEX))
            .build();
        let found = self.find_all(ACTION, filter, options, Entry::read).await?;
        let changes = found.into_iter().rev().filter_map(|entry| match entry.kind {
            EntryKind::Group(change) => Some(*change),
            EntryKind::Message(_) | EntryKind::Void | EntryKind::Unknown => None,
        });
        Ok(changes.collect())
    }

    /// Reads what the places of a range are, by increasing revision.
    pub async fn list_places(&self, range: RevisionRange) -> Result<Vec<PlaceEntry>, StoreError> {
        const ACTION: &str = "list places";
        let Some(filter) = any_of(&[range]) else {
            return Ok(Vec::new());
        };
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "revision": 1, "seq": 1, "allocated_at": 1 })
            .sort(doc! { "revision": 1 })
            .build();
        self.find_all(ACTION, filter, options, PlaceEntry::read).await
    }

    /// Tells which seqs of the ranges messages have, sorted, from the index alone.
    pub async fn list_present_seqs(
        &self,
        ranges: &[SeqRange],
    ) -> Result<BTreeMap<ConversationId, Vec<i64>>, StoreError> {
        const ACTION: &str = "list present seqs";
        let mut found: BTreeMap<ConversationId, Vec<i64>> = BTreeMap::new();
        let Some(filter) = any_of_seqs(ranges) else {
            return Ok(found);
        };
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "conversation_id": 1, "seq": 1 })
            .hint(by_name(SEQ_INDEX))
            .build();
        for (conversation, seq) in self.find_all(ACTION, filter, options, read_seq).await? {
            found.entry(conversation).or_default().push(seq);
        }
        for seqs in found.values_mut() {
            seqs.sort_unstable();
        }
        Ok(found)
    }

    /// Counts how many messages have a seq of each range, from the index alone. A conversation without any is left out.
    pub async fn count_messages(&self, ranges: &[SeqRange]) -> Result<BTreeMap<ConversationId, i64>, StoreError> {
        const ACTION: &str = "count messages";
        let Some(filter) = any_of_seqs(ranges) else {
            return Ok(BTreeMap::new());
        };
        let pipeline = vec![
            doc! { "$match": filter },
            doc! { "$group": { "_id": "$conversation_id", "messages": { "$sum": 1_i64 } } },
        ];
        let counted: Vec<Counted> = self.aggregate_all(ACTION, pipeline, by_name(SEQ_INDEX)).await?;
        Ok(counted
            .into_iter()
            .map(|counted| (from_bson_uuid(counted.id).into(), counted.messages))
            .collect())
    }

    /// Reads the beginnings of messages by their ids, in no order. Those that are not there are left out.
    pub async fn list_previews(&self, messages: &[MessageId]) -> Result<Vec<PreviewEntry>, StoreError> {
        const ACTION: &str = "list previews";
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<BsonUuid> = messages.iter().map(|message| to_bson_uuid(message.uuid())).collect();
        self.find_previews(ACTION, doc! { "_id": { "$in": ids } }, ID_INDEX)
            .await
    }

    /// Reads the beginning of the newest message in each range, in no order. Ranges without a message are left out.
    pub async fn list_newest_previews(&self, ranges: &[SeqRange]) -> Result<Vec<PreviewEntry>, StoreError> {
        const ACTION: &str = "list the newest previews";
        let Some(filter) = any_of_seqs(ranges) else {
            return Ok(Vec::new());
        };
        let mut newest: BTreeMap<ConversationId, PreviewEntry> = BTreeMap::new();
        for preview in self.find_previews(ACTION, filter, SEQ_INDEX).await? {
            let at_hand = newest.entry(preview.conversation).or_insert_with(|| preview.clone());
            if preview.seq > at_hand.seq {
                *at_hand = preview;
            }
        }
        Ok(newest.into_values().collect())
    }

    /// Reads when the newest message of a conversation got its place, and its seq. None: nothing was ever said.
    pub async fn lookup_newest(&self, conversation: ConversationId) -> Result<Option<PlaceEntry>, StoreError> {
        const ACTION: &str = "look up the newest message";
        let filter = doc! { "conversation_id": to_bson_uuid(conversation.uuid()), "seq": { "$gt": 0 } };
        let options = FindOptions::builder()
            .projection(doc! { "_id": 0, "revision": 1, "seq": 1, "allocated_at": 1 })
            .sort(doc! { "seq": -1 })
            .limit(1)
            .build();
        Ok(self.find_all(ACTION, filter, options, PlaceEntry::read).await?.pop())
    }

    async fn find_previews(
        &self,
        action: &'static str,
        filter: Bson,
        index: &str,
    ) -> Result<Vec<PreviewEntry>, StoreError> {
        let options = FindOptions::builder()
            .projection(doc! {
                "conversation_id": 1, "revision": 1, "kind": 1, "seq": 1, "sender": 1, "allocated_at": 1,
                "state_revision": 1, "text": { "$substrCP": ["$text", 0, i64::try_from(EXCERPT_CHARS_READ).unwrap_or(0)] },
            })
            .hint(by_name(index))
            .build();
        let found = self.find_all(action, filter, options, PreviewEntry::read).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Runs a pipeline whose answer is small.
    async fn aggregate_all<T: DeserializeOwned>(
        &self,
        action: &'static str,
        pipeline: Vec<Bson>,
        index: Hint,
    ) -> Result<Vec<T>, StoreError> {
        let collection = self.collection().await?;
        let answered = async {
            collection
                .aggregate(pipeline)
                .batch_size(BATCH_SIZE)
                .max_time(CALL_TIMEOUT)
                .hint(index)
                .await?
                .try_collect()
                .await
        };
        let answered: Vec<Bson> = within(action, answered).await?;
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
        let collection = self.collection().await?;
        let found = async {
            // By the batch, since a cursor copies each document before it shows it. The driver does not box this call, as it
            // does others, and it is large.
            let mut batches = Box::pin(collection.find(filter).with_options(options).batch()).await?;
            let mut all = Vec::new();
            while let Some(batch) = batches.try_next().await? {
                for document in batch.doc_slices()? {
                    all.push(document?.as_document().map(&read));
                }
            }
            Ok(all)
        };
        let found = within(action, found).await?.into_iter();
        let no_document = || unreadable(action, Error::custom("a batch holds what is no document"));
        found
            .map(|entry| {
                entry
                    .ok_or_else(no_document)?
                    .map_err(|error| unreadable(action, error))
            })
            .collect()
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

/// How many messages of a conversation were found.
#[derive(Deserialize)]
struct Counted {
    #[serde(rename = "_id")]
    id: BsonUuid,
    messages: i64,
}

/// Runs a call that must have ended in time, whatever the server does.
async fn within<T>(
    action: &'static str,
    call: impl Future<Output = mongodb::error::Result<T>>,
) -> Result<T, StoreError> {
    match timeout(ATTEMPT_TIMEOUT, call).await {
        Ok(answered) => answered.map_err(|error| failed(action, error)),
        Err(elapsed) => Err(StoreError::new(StoreErrorKind::Unavailable, STORE, action, elapsed)),
    }
}

fn by_name(index: &str) -> Hint {
    Hint::Name(index.to_owned())
}

/// The entries of any of these ranges; None when there can be none.
fn any_of(ranges: &[RevisionRange]) -> Option<Bson> {
    let ranges = ranges
        .iter()
        .map(|range| (range.conversation, range.after, range.through));
    any_between("revision", ranges)
}

/// The messages of any of these ranges; None when there can be none.
fn any_of_seqs(ranges: &[SeqRange]) -> Option<Bson> {
    let ranges = ranges
        .iter()
        .map(|range| (range.conversation, range.after, range.through));
    any_between("seq", ranges)
}

fn any_between(field: &str, ranges: impl Iterator<Item = (ConversationId, i64, i64)>) -> Option<Bson> {
    let ranges = ranges.filter(|(_, after, through)| after < through);
    let filters = ranges.map(|(conversation, after, through)| {
        doc! {
            "conversation_id": to_bson_uuid(conversation.uuid()),
            field: { "$gt": after, "$lte": through },
        }
    });
    any_filter(filters.collect())
}

/// What fulfils any of these filters; None when there is none.
fn any_filter(mut filters: Vec<Bson>) -> Option<Bson> {
    if filters.len() < 2 {
        return filters.pop();
    }
    Some(doc! { "$or": filters })
}

/// Whether two entries are of one change. Another version of this service may have kept less of it.
fn is_same(one: &GroupEntry, other: &GroupEntry) -> bool {
    (&one.actor, one.action, one.allocated_at, &one.users)
        == (&other.actor, other.action, other.allocated_at, &other.users)
}

fn unreadable(action: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, STORE, action, error)
}

fn message(entry: Entry) -> Option<MessageEntry> {
    match entry.kind {
        EntryKind::Message(message) => Some(*message),
        EntryKind::Group(_) | EntryKind::Void | EntryKind::Unknown => None,
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
