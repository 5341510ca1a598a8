//! The data that is measured with: made once, and found again by the next run.

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Uuid as BsonUuid, doc};
use mongodb::options::WriteConcern;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::entry::{Entry, timeline};
use super::{BenchError, CONCURRENCY_MAX, Subject};
use crate::stack::{Endpoints, Progress, Step};

/// What is sent: a line as people write them.
pub(super) const TEXT: &str =
    "Shall we meet at the station at seven? I bring the tickets, and something to read for the way.";

/// Messages that are put into MongoDB with one call.
const BATCH_MESSAGES: usize = 5_000;
/// After how many of them the person is told how far it is.
const TELL_BATCHES: usize = 4;
/// Conversations of a user whose whole list is read: as many as a page can have.
pub(super) const LISTED: usize = 100;
/// Those of a list in which something is unread, and not sealed yet.
const LISTED_UNREAD: i64 = 5;
/// Conversations on a page of a long list.
pub(super) const LISTED_OF_MANY: usize = 50;
/// Conversations of the user with a long list.
pub(super) const MANY: i64 = 5_000;
/// Conversations that a new device starts with: as many as one call may name.
pub(super) const STARTED: i64 = 200;
/// Conversations of the user with a long feed.
pub(super) const FEED: i64 = 10_000;
/// The newest places of a conversation that nobody has sealed, at most: every 128th is sealed by its sender.
pub(super) const OPEN_MAX: i64 = 128;
/// Callers that put messages into MongoDB at the same time.
const FILLERS: usize = 4;

const READER: &str = "bench-reader";
const WRITER: &str = "bench-writer";
const LISTER: &str = "bench-lister";
const COLLECTOR: &str = "bench-collector";
pub(super) const STARTER: &str = "bench-starter";
pub(super) const FEEDER: &str = "bench-feeder";
const HISTORIES: [(Subject, i64); 2] = [(Subject::ListMessages10k, 10_000), (Subject::ListMessages200k, 200_000)];

/// What one caller works with.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) user: String,
    /// The other member.
    pub(super) other: String,
    pub(super) conversation: Uuid,
    /// How many messages it has when it is only read.
    pub(super) messages: i64,
    /// The conversations that a heartbeat names, each with as many messages as this one.
    pub(super) named: Vec<Uuid>,
    /// Which life of the databases it is.
    pub(super) epoch: i64,
}

/// The data that is measured with.
pub(super) struct Scene {
    histories: Vec<(Subject, Part)>,
    epoch: i64,
}

/// A conversation to be opened.
struct Opening {
    part: Part,
    /// How far it is sealed, and how far its user has read.
    closed: i64,
    read: i64,
    /// Its place in the feed of its user.
    place: i64,
}

impl Opening {
    fn idle(part: Part) -> Self {
        let messages = part.messages;
        Self {
            part,
            closed: messages,
            read: messages,
            place: 1,
        }
    }
}

impl Scene {
    /// Fills the databases with what is not there yet, and empties the conversations that are sent to, so that each run
    /// meets the same. `places`: of each conversation that a new device starts with.
    pub(super) async fn prepare(
        endpoints: &Endpoints,
        progress: &Progress,
        subjects: &[Subject],
        places: i64,
    ) -> Result<Self, BenchError> {
        let step = progress.step("Data");
        step.say("looking for that of an earlier run");
        let mut postgres = PgConnection::connect(&endpoints.database_url)
            .await
            .map_err(BenchError::FillPostgres)?;
        let entries = timeline(&endpoints.mongodb_uri).await.map_err(BenchError::FillMongo)?;
        let epoch = sqlx::query_scalar("SELECT epoch FROM deployment")
            .fetch_one(&mut postgres)
            .await
            .map_err(BenchError::FillPostgres)?;
        let scene = Self {
            histories: HISTORIES
                .into_iter()
                .map(|(subject, messages)| (subject, history(messages)))
                .collect(),
            epoch,
        };
        let mut groups: Vec<Vec<Opening>> = Vec::new();
        groups.extend(
            scene
                .histories
                .iter()
                .map(|(_, part)| vec![Opening::idle(part.clone())]),
        );
        groups.extend((0..CONCURRENCY_MAX).map(listed));
        groups.push((0..MANY).map(one_of_many).collect());
        if subjects.contains(&Subject::NewDevice) || subjects.contains(&Subject::NewDeviceUnsealed) {
            groups.push((0..STARTED).map(|number| started(number, places)).collect());
        }
        if subjects.contains(&Subject::NewDeviceFeed) {
            groups.push((0..FEED).map(one_of_feed).collect());
        }
        for group in groups {
            // The rows in Postgres come last, all at once: they stand for messages that are all there.
            let Some(first) = group.first() else { continue };
            if !exists(&mut postgres, first.part.conversation).await? {
                fill(&entries, &group, &step).await.map_err(BenchError::FillMongo)?;
                open(&mut postgres, &group).await?;
            }
        }
        for number in 0..CONCURRENCY_MAX {
            let part = sent(number);
            remove(&mut postgres, part.conversation).await?;
            entries
                .delete_many(doc! { "conversation_id": BsonUuid::from_bytes(part.conversation.into_bytes()) })
                .await
                .map_err(BenchError::FillMongo)?;
            open(&mut postgres, &[Opening::idle(part)]).await?;
        }
        // Postgres plans by what it knows of its tables, and forgets what earlier runs left.
        sqlx::raw_sql("VACUUM ANALYZE")
            .execute(&mut postgres)
            .await
            .map_err(BenchError::FillPostgres)?;
        step.done("in place");
        Ok(scene)
    }

    /// What a caller works with.
    pub(super) fn part(&self, subject: Subject, caller: usize) -> Part {
        let mut part = match subject {
            Subject::SendMessage | Subject::SendUndelivered | Subject::SendFunction => sent(caller),
            Subject::ListConversations | Subject::ListConversationsFunction => {
                part(&lister(caller), String::new(), 0, 0)
            }
            Subject::ListMessages10k | Subject::ListMessages200k => {
                let history = self.histories.iter().find(|(history, _)| *history == subject);
                history.map_or_else(|| sent(caller), |(_, part)| part.clone())
            }
            Subject::ListConversations5k
            | Subject::Heartbeat13
            | Subject::Heartbeat200
            | Subject::Heads13
            | Subject::Heads200
            | Subject::NewDevice
            | Subject::NewDeviceUnsealed
            | Subject::NewDeviceFeed
            | Subject::LargeGroup => one_of_many(0).part,
        };
        let named = match subject {
            Subject::Heartbeat13 | Subject::Heads13 => 13,
            Subject::Heartbeat200 | Subject::Heads200 => 200,
            _ => 0,
        };
        part.named = (0..named).map(|number| one_of_many(number).part.conversation).collect();
        part.epoch = self.epoch;
        part
    }

    /// Sets how far the conversations that a new device starts with are sealed: as senders do it, or not at all.
    pub(super) async fn seal(&self, endpoints: &Endpoints, places: i64, sealed: bool) -> Result<(), BenchError> {
        let mut postgres = PgConnection::connect(&endpoints.database_url)
            .await
            .map_err(BenchError::FillPostgres)?;
        let (ids, closed): (Vec<Uuid>, Vec<i64>) = (0..STARTED)
            .map(|number| {
                let opening = started(number, places);
                (opening.part.conversation, if sealed { opening.closed } else { 0 })
            })
            .unzip();
        sqlx::query(
            "UPDATE conversations c SET closed_revision = s.closed, closed_seq = s.closed
             FROM unnest($1::uuid[], $2::bigint[]) s (id, closed) WHERE c.conversation_id = s.id",
        )
        .bind(&ids)
        .bind(&closed)
        .execute(&mut postgres)
        .await
        .map_err(BenchError::FillPostgres)?;
        Ok(())
    }
}

fn part(user: &str, other: String, id: i64, messages: i64) -> Part {
    const FIRST_ID: u128 = 0x0198_0000_0000_7000_8000_0000_0000_0000;
    Part {
        user: user.to_owned(),
        other,
        conversation: Uuid::from_u128(FIRST_ID + u128::from(id.unsigned_abs())),
        messages,
        named: Vec::new(),
        epoch: 0,
    }
}

fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap_or_default()
}

fn history(messages: i64) -> Part {
    part(READER, format!("{WRITER}-{messages}"), messages, messages)
}

fn lister(caller: usize) -> String {
    format!("{LISTER}-{caller}")
}

/// The list of a caller: most of it idle, and read; in a few conversations something is unread, and not sealed yet.
fn listed(caller: usize) -> Vec<Opening> {
    let conversations = number(LISTED);
    let opening = |number_in: i64| {
        let id = 1_000_000 + number(caller) * conversations + number_in;
        let part = part(
            &lister(caller),
            format!("bench-friend-{caller}-{number_in}"),
            id,
            200 + number_in,
        );
        let unread = if number_in < LISTED_UNREAD { 3 + number_in } else { 0 };
        Opening {
            closed: if unread > 0 { part.messages - 20 } else { part.messages },
            read: part.messages - unread,
            place: number_in + 1,
            part,
        }
    };
    (0..conversations).map(opening).collect()
}

fn one_of_many(number: i64) -> Opening {
    let part = part(COLLECTOR, format!("bench-collected-{number}"), 2_000_000 + number, 100);
    Opening {
        place: number + 1,
        ..Opening::idle(part)
    }
}

/// A conversation that a new device starts with, sealed by the sender of a 128th place.
pub(super) fn started_part(number: i64, places: i64) -> Part {
    let id = places * 10_000 + 100_000_000 + number;
    part(
        &format!("{STARTER}-{places}"),
        format!("bench-started-{places}-{number}"),
        id,
        places,
    )
}

fn started(number: i64, places: i64) -> Opening {
    Opening {
        closed: places - number * 37 % OPEN_MAX,
        place: number + 1,
        ..Opening::idle(started_part(number, places))
    }
}

fn one_of_feed(number: i64) -> Opening {
    let part = part(FEEDER, format!("bench-fed-{number}"), 3_000_000 + number, 0);
    Opening {
        place: number + 1,
        ..Opening::idle(part)
    }
}

fn sent(caller: usize) -> Part {
    part(
        &format!("bench-sender-{caller}"),
        format!("bench-receiver-{caller}"),
        1_000 + number(caller),
        0,
    )
}

/// When the message with this seq was sent: a second after the one before.
fn said_at(seq: i64) -> DateTime<Utc> {
    const FIRST_SECOND: i64 = 1_760_000_000;
    DateTime::from_timestamp(FIRST_SECOND + seq, 0).unwrap_or_default()
}

async fn exists(postgres: &mut PgConnection, conversation: Uuid) -> Result<bool, BenchError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM conversations WHERE conversation_id = $1)")
        .bind(conversation)
        .fetch_one(postgres)
        .await
        .map_err(BenchError::FillPostgres)
}

/// Writes the messages of these conversations into the timeline: all of them where they are read, else the newest ones, which
/// are all that is looked at.
async fn fill(entries: &mongodb::Collection<Entry>, group: &[Opening], step: &Step) -> mongodb::error::Result<()> {
    // What an interrupted run left.
    for openings in group.chunks(100) {
        let ids: Vec<BsonUuid> = openings
            .iter()
            .map(|opening| BsonUuid::from_bytes(opening.part.conversation.into_bytes()))
            .collect();
        entries.delete_many(doc! { "conversation_id": { "$in": ids } }).await?;
    }
    let places = group.iter().flat_map(|Opening { part, closed, .. }| {
        let is_short = part.user.starts_with(LISTER) || part.user == COLLECTOR;
        let first = if is_short {
            (closed + 1).min(part.messages).max(1)
        } else {
            1
        };
        (first..=part.messages).map(move |seq| (part, seq))
    });
    let places: Vec<(&Part, i64)> = places.collect();
    let total = places.len();
    let batches = places
        .chunks(BATCH_MESSAGES)
        .enumerate()
        .map(|(number, batch)| async move {
            let is_long = batch.first().is_some_and(|(part, _)| part.user.starts_with(STARTER));
            // The many messages that nobody reads are short, so that they fit.
            let text = if is_long { "Hi!" } else { TEXT };
            let batch = batch.iter().map(|(part, seq)| {
                let sender = if seq % 3 == 0 { &part.user } else { &part.other };
                let op = if is_long {
                    format!("op-{seq}")
                } else {
                    Uuid::now_v7().to_string()
                };
                Entry::message(
                    part.conversation,
                    *seq,
                    *seq,
                    sender.clone(),
                    op,
                    text.to_owned(),
                    said_at(*seq),
                )
            });
            let write_concern = WriteConcern::builder()
                .w(mongodb::options::Acknowledgment::Nodes(1))
                .build();
            entries
                .insert_many(batch)
                .ordered(false)
                .write_concern(write_concern)
                .await?;
            if number % TELL_BATCHES == 0 {
                step.say(format_args!("writing messages, {} of {total}", number * BATCH_MESSAGES));
            }
            mongodb::error::Result::Ok(())
        });
    stream::iter(batches).buffer_unordered(FILLERS).try_collect().await
}

/// Opens direct conversations of friends, if they are not there.
async fn open(postgres: &mut PgConnection, openings: &[Opening]) -> Result<(), BenchError> {
    fn column<T>(openings: &[Opening], value: impl Fn(&Opening) -> T) -> Vec<T> {
        openings.iter().map(value).collect()
    }
    sqlx::query(
        r#"WITH part AS (
             SELECT id, me COLLATE "C" AS me, other COLLATE "C" AS other, messages, closed, read, place, at
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                 $8::timestamptz[]) p (id, me, other, messages, closed, read, place, at)
         ), made_friends AS (
             INSERT INTO friends (user_id, other_id, state, updated_at)
             SELECT me, other, 'accepted', now() FROM part UNION ALL SELECT other, me, 'accepted', now() FROM part
             ON CONFLICT DO NOTHING
         ), fed AS (
             INSERT INTO feeds (user_id, revision, friend_count, conversation_count)
             SELECT me, max(place), count(*), count(*) FROM part GROUP BY me
             UNION ALL SELECT other, 1, 1, 1 FROM part GROUP BY other
             ON CONFLICT DO NOTHING
         ), opened AS (
             INSERT INTO conversations (conversation_id, kind, low_user_id, high_user_id, created_at, revision, message_count,
                 closed_revision, closed_seq, allocated_at, last_activity_at)
             SELECT id, 'direct', least(me, other), greatest(me, other), $9, messages, messages, closed, closed, at, at FROM part
             ON CONFLICT DO NOTHING
             RETURNING conversation_id
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, visible_from_seq, read_seq, feed_revision)
         SELECT id, me, 0, 0, read, place FROM part WHERE id IN (SELECT conversation_id FROM opened)
         UNION ALL
         SELECT id, other, 0, 0, messages, 1 FROM part WHERE id IN (SELECT conversation_id FROM opened)"#,
    )
    .bind(column(openings, |opening| opening.part.conversation))
    .bind(column(openings, |opening| opening.part.user.clone()))
    .bind(column(openings, |opening| opening.part.other.clone()))
    .bind(column(openings, |opening| opening.part.messages))
    .bind(column(openings, |opening| opening.closed))
    .bind(column(openings, |opening| opening.read))
    .bind(column(openings, |opening| opening.place))
    .bind(column(openings, |opening| said_at(opening.part.messages)))
    .bind(said_at(0))
    .execute(postgres)
    .await
    .map_err(BenchError::FillPostgres)?;
    Ok(())
}

/// Removes a conversation with all that is known of it.
async fn remove(postgres: &mut PgConnection, conversation: Uuid) -> Result<(), BenchError> {
    for statement in [
        "DELETE FROM own_seqs WHERE conversation_id = $1",
        "DELETE FROM uncounted WHERE conversation_id = $1",
        "DELETE FROM members WHERE conversation_id = $1",
        "DELETE FROM conversations WHERE conversation_id = $1",
    ] {
        sqlx::query(statement)
            .bind(conversation)
            .execute(&mut *postgres)
            .await
            .map_err(BenchError::FillPostgres)?;
    }
    Ok(())
}
