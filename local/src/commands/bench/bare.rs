//! The bare loop: the database calls that the operations make, with the same drivers, statements and guarantees, on held
//! connections, and nothing else.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use chat_operation::Settings;
use chat_stores::aws::{Aws, Patience};
use chat_stores::postgres::{APPEND, LIST_CONVERSATIONS, LOOKUP_MEMBERSHIP};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{DateTime as BsonDateTime, Document, Uuid as BsonUuid, doc};
use mongodb::options::Hint;
use serde::Deserialize;
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::entry::{CALL_TIMEOUT, Entry, message_id, timeline};
use super::scene::{LISTED, LISTED_OF_MANY, Part, TEXT};
use super::{BenchError, Subject};
use crate::stack::Endpoints;

/// Messages on a page of history.
pub(super) const PAGE: i64 = 50;
/// What a call costs of a budget that never ends, in microseconds.
const CALL_US: i64 = 1;
const BURST_US: i64 = 1_000_000_000;
/// Characters of a message that a list reads.
const EXCERPT_CHARS: i64 = 141;

/// The heads of conversations and both read positions, by primary keys: the least that a heartbeat has to read.
const HEADS: &str = "SELECT c.conversation_id, c.revision, c.message_count, c.allocated_at, c.closed_revision,
        l.user_id AS low_id, l.read_seq AS low_read_seq, h.user_id AS high_id, h.read_seq AS high_read_seq
    FROM conversations c
    JOIN members l ON l.conversation_id = c.conversation_id AND l.user_id = c.low_user_id
    JOIN members h ON h.conversation_id = c.conversation_id AND h.user_id = c.high_user_id
    WHERE c.conversation_id = ANY ($1)";
const PATIENCE: Patience = Patience {
    connect: CALL_TIMEOUT,
    attempt: CALL_TIMEOUT,
    operation: CALL_TIMEOUT,
    attempts: 1,
};

#[derive(FromRow)]
struct Place {
    revision: Option<i64>,
    messages_after: Option<i64>,
    allocated_at: Option<DateTime<Utc>>,
    member_ids: Option<Vec<String>>,
}

/// What `LOOKUP_MEMBERSHIP` answers.
type Membership = (i64, i64, i64, i64, Option<Vec<i64>>, DateTime<Utc>, DateTime<Utc>);

#[derive(FromRow)]
#[expect(dead_code, reason = "decoding what the service decodes is part of the work")]
struct Listed {
    wait_us: i64,
    conversation_id: Uuid,
    revision: i64,
    message_count: i64,
    created_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    closed_seq: i64,
    user_id: String,
    read_seq: i64,
    joined_revision: i64,
    visible_from_seq: i64,
    other_id: String,
    other_read_seq: i64,
    other_joined_revision: i64,
    unread_count: i64,
    newest_seq: i64,
}

#[derive(FromRow)]
#[expect(dead_code, reason = "decoding what the service decodes is part of the work")]
struct Head {
    conversation_id: Uuid,
    revision: i64,
    message_count: i64,
    allocated_at: DateTime<Utc>,
    closed_revision: i64,
    low_id: String,
    low_read_seq: i64,
    high_id: String,
    high_read_seq: i64,
}

/// The beginning of a message, as lists show it.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding what the service decodes is part of the work")]
struct Preview {
    #[serde(rename = "_id")]
    id: BsonUuid,
    conversation_id: BsonUuid,
    revision: i64,
    kind: String,
    seq: i64,
    sender: String,
    allocated_at: BsonDateTime,
    state_revision: i64,
    text: String,
}

/// A message without what it says.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "decoding what the service decodes is part of the work")]
struct Present {
    conversation_id: BsonUuid,
    seq: i64,
}

/// What the callers share: the clients that are made to be shared.
pub(super) struct Bare {
    database_url: String,
    timeline: Collection<Entry>,
    registry: aws_sdk_dynamodb::Client,
    table: String,
}

impl Bare {
    pub(super) async fn new(endpoints: &Endpoints, settings: &Settings) -> Result<Self, super::CommandError> {
        let fault = |source| super::CommandError::Settings {
            function: "the bare loop",
            source,
        };
        let aws = Aws::new(settings).map_err(fault)?;
        let config = aws.sdk_config(Some(&endpoints.aws_endpoint_url), PATIENCE);
        Ok(Self {
            // With the rights that the functions have, and what checking those costs.
            database_url: settings
                .require("FUNCTIONS_DATABASE_URL", "a Postgres URL")
                .map_err(fault)?
                .to_owned(),
            timeline: timeline(&endpoints.mongodb_uri).await.map_err(BenchError::Mongo)?,
            registry: aws_sdk_dynamodb::Client::new(&config),
            table: settings.require("LIVE_TABLE", "a table").map_err(fault)?.to_owned(),
        })
    }

    /// A caller with a connection of its own to Postgres.
    pub(super) async fn caller(&self, subject: Subject, part: Part) -> Result<BareCaller, BenchError> {
        let options: sqlx::postgres::PgConnectOptions = self.database_url.parse().map_err(BenchError::Postgres)?;
        let postgres = PgConnection::connect_with(&options.disable_statement_logging())
            .await
            .map_err(BenchError::Postgres)?;
        Ok(BareCaller {
            subject,
            part,
            postgres,
            timeline: self.timeline.clone(),
            registry: self.registry.clone(),
            table: self.table.clone(),
            following: None,
        })
    }
}

/// Makes one call after the other.
pub(super) struct BareCaller {
    subject: Subject,
    part: Part,
    postgres: PgConnection,
    timeline: Collection<Entry>,
    registry: aws_sdk_dynamodb::Client,
    table: String,
    /// What follows the last answer.
    following: Option<JoinHandle<Result<(), BenchError>>>,
}

impl BareCaller {
    /// Makes one call and tells how long its answer took. What follows the answer may go on beside the next call, as it does
    /// in the service, but no further.
    pub(super) async fn call(&mut self) -> Result<Duration, BenchError> {
        let start = Instant::now();
        match self.subject {
            Subject::SendMessage | Subject::SendFunction => {
                let members = self.send().await?;
                let duration = start.elapsed();
                self.follow(members).await?;
                Ok(duration)
            }
            Subject::SendUndelivered => self.send().await.map(|_| start.elapsed()),
            Subject::ListMessages10k | Subject::ListMessages200k => {
                self.list_messages().await?;
                Ok(start.elapsed())
            }
            Subject::ListConversations | Subject::ListConversationsFunction => {
                self.list_conversations(LISTED).await?;
                Ok(start.elapsed())
            }
            Subject::ListConversations5k => {
                self.list_conversations(LISTED_OF_MANY).await?;
                Ok(start.elapsed())
            }
            Subject::Heartbeat13 | Subject::Heartbeat200 | Subject::Heads13 | Subject::Heads200 => {
                self.read_heads().await?;
                Ok(start.elapsed())
            }
            // These are not measured side by side.
            Subject::NewDevice | Subject::NewDeviceUnsealed | Subject::NewDeviceFeed | Subject::LargeGroup => {
                Ok(Duration::ZERO)
            }
        }
    }

    async fn send(&mut self) -> Result<Vec<String>, BenchError> {
        let op = Uuid::now_v7().to_string();
        // Eight bytes of a hash each; what hashing costs is the service's.
        let hashes: [[u8; 8]; 2] = rand::random();
        let place: Place = sqlx::query_as(APPEND)
            .bind(self.part.conversation)
            .bind(&self.part.user)
            .bind(&hashes[0][..])
            .bind(&hashes[1][..])
            .bind(true)
            .bind(0_i64)
            .bind(0_i64)
            .bind(0_i64)
            .bind(0_i64)
            .bind(CALL_US)
            .bind(BURST_US)
            .fetch_one(&mut self.postgres)
            .await
            .map_err(BenchError::Postgres)?;
        let (Some(revision), Some(seq), Some(allocated_at)) =
            (place.revision, place.messages_after, place.allocated_at)
        else {
            return Err(BenchError::Entries { expected: 1, actual: 0 });
        };
        let (conversation, sender, text) = (self.part.conversation, self.part.user.clone(), TEXT.to_owned());
        let entry = Entry::message(conversation, revision, seq, sender, op, text, allocated_at);
        self.timeline.insert_one(entry).await.map_err(BenchError::Mongo)?;
        Ok(place.member_ids.unwrap_or_default())
    }

    /// Starts what follows the answer: the read of the registry that delivery makes.
    async fn follow(&mut self, members: Vec<String>) -> Result<(), BenchError> {
        if let Some(last) = self.following.take() {
            match last.await {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic.into_panic()),
            }
        }
        let read = read_registry(self.registry.clone(), self.table.clone(), members);
        self.following = Some(tokio::spawn(read));
        Ok(())
    }

    async fn list_messages(&mut self) -> Result<(), BenchError> {
        let before = before(&self.part);
        let membership = async {
            let membership: Membership = sqlx::query_as(LOOKUP_MEMBERSHIP)
                .bind(self.part.conversation)
                .bind(&self.part.user)
                .fetch_one(&mut self.postgres)
                .await
                .map_err(BenchError::Postgres)?;
            Ok(membership)
        };
        let messages = async {
            let filter = doc! {
                "conversation_id": BsonUuid::from_bytes(self.part.conversation.into_bytes()),
                "seq": { "$gt": 0, "$lt": before },
            };
            let found = self
                .timeline
                .find(filter)
                .sort(doc! { "seq": -1 })
                .limit(PAGE + 1)
                .max_time(CALL_TIMEOUT)
                .await
                .map_err(BenchError::Mongo)?;
            found.try_collect::<Vec<Entry>>().await.map_err(BenchError::Mongo)
        };
        let (_, messages) = tokio::try_join!(membership, messages)?;
        demand(usize::try_from(PAGE).unwrap_or_default() + 1, messages.len())
    }

    async fn list_conversations(&mut self, page: usize) -> Result<(), BenchError> {
        let more = i64::from(self.subject == Subject::ListConversations5k);
        let mut rows: Vec<Listed> = sqlx::query_as(LIST_CONVERSATIONS)
            .bind(&self.part.user)
            .bind(None::<DateTime<Utc>>)
            .bind(None::<Uuid>)
            .bind(i64::try_from(page).unwrap_or_default() + 1)
            .bind(CALL_US)
            .bind(BURST_US)
            .bind(false)
            .bind(false)
            .bind(None::<&str>)
            .bind(false)
            .fetch_all(&mut self.postgres)
            .await
            .map_err(BenchError::Postgres)?;
        demand(page + usize::try_from(more).unwrap_or_default(), rows.len())?;
        rows.truncate(page);
        let id = |row: &Listed| BsonUuid::from_bytes(row.conversation_id.into_bytes());
        let newest: Vec<BsonUuid> = rows
            .iter()
            .map(|row| message_id(row.conversation_id, row.newest_seq, row.last_activity_at))
            .collect();
        let unsettled: Vec<Document> = rows
            .iter()
            .filter(|row| row.unread_count > 0 && row.closed_seq < row.message_count)
            .map(|row| {
                doc! { "conversation_id": id(row), "seq": { "$gt": row.closed_seq, "$lte": row.message_count } }
            })
            .collect();
        let previews = async {
            let found = self
                .timeline
                .clone_with_type::<Preview>()
                .find(doc! { "_id": { "$in": newest } })
                .projection(doc! {
                    "conversation_id": 1, "revision": 1, "kind": 1, "seq": 1, "sender": 1, "allocated_at": 1,
                    "state_revision": 1, "text": { "$substrCP": ["$text", 0, EXCERPT_CHARS] },
                })
                .hint(Hint::Name("_id_".to_owned()))
                .batch_size(100_000)
                .max_time(CALL_TIMEOUT)
                .await
                .map_err(BenchError::Mongo)?;
            found.try_collect::<Vec<Preview>>().await.map_err(BenchError::Mongo)
        };
        let present = async {
            if unsettled.is_empty() {
                return Ok(Vec::new());
            }
            let found = self
                .timeline
                .clone_with_type::<Present>()
                .find(doc! { "$or": unsettled })
                .projection(doc! { "_id": 0, "conversation_id": 1, "seq": 1 })
                .hint(Hint::Name("seq".to_owned()))
                .batch_size(100_000)
                .max_time(CALL_TIMEOUT)
                .await
                .map_err(BenchError::Mongo)?;
            found.try_collect::<Vec<Present>>().await.map_err(BenchError::Mongo)
        };
        let (previews, _) = tokio::try_join!(previews, present)?;
        demand(page, previews.len())
    }

    async fn read_heads(&mut self) -> Result<(), BenchError> {
        let heads: Vec<Head> = sqlx::query_as(HEADS)
            .bind(&self.part.named)
            .fetch_all(&mut self.postgres)
            .await
            .map_err(BenchError::Postgres)?;
        demand(self.part.named.len(), heads.len())
    }
}

async fn read_registry(
    registry: aws_sdk_dynamodb::Client,
    table: String,
    members: Vec<String>,
) -> Result<(), BenchError> {
    let keys = members
        .into_iter()
        .map(|member| HashMap::from([("user_id".to_owned(), AttributeValue::S(member))]))
        .collect();
    let request = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .projection_expression("#user_id, #open")
        .expression_attribute_names("#user_id", "user_id")
        .expression_attribute_names("#open", "open")
        .build()
        .map_err(|error| BenchError::Dynamo(error.into()))?;
    registry
        .batch_get_item()
        .request_items(table, request)
        .send()
        .await
        .map_err(|error| BenchError::Dynamo(error.into()))?;
    Ok(())
}

/// Where a page of history ends: anywhere but on the last pages of it, so that every page is full.
pub(super) fn before(part: &Part) -> i64 {
    rand::random_range(PAGE + 2..=part.messages)
}

/// Fails unless an answer has what it must have.
pub(super) fn demand(expected: usize, actual: usize) -> Result<(), BenchError> {
    if actual == expected {
        Ok(())
    } else {
        Err(BenchError::Entries { expected, actual })
    }
}
