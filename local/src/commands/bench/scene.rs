//! The data that is measured with: made once, and found again by the next run.

use chrono::Utc;
use mongodb::bson::{Uuid as BsonUuid, doc};
use mongodb::options::WriteConcern;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::bare::{Entry, timeline};
use super::{BenchError, CONCURRENCY_MAX, Subject};
use crate::stack::{Endpoints, Progress, Step};

/// What is sent: a line as people write them.
pub(super) const TEXT: &str =
    "Shall we meet at the station at seven? I bring the tickets, and something to read for the way.";

/// Messages that are put into MongoDB with one call.
const BATCH_MESSAGES: i64 = 1_000;
/// After how many messages the person is told how far it is.
const TELL_MESSAGES: i64 = 20_000;
/// Conversations of the user whose list is read: as many as a page can have.
pub(super) const LISTED: usize = 100;

const READER: &str = "bench-reader";
const WRITER: &str = "bench-writer";
const LISTER: &str = "bench-lister";
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
}

/// The data that is measured with.
pub(super) struct Scene {
    histories: Vec<(Subject, Part)>,
}

impl Scene {
    /// Fills the databases with what is not there yet, and empties the conversations that are sent to, so that each run
    /// meets the same.
    pub(super) async fn prepare(endpoints: &Endpoints, progress: &Progress) -> Result<Self, BenchError> {
        let step = progress.step("Data");
        step.say("looking for that of an earlier run");
        let mut postgres = PgConnection::connect(&endpoints.database_url)
            .await
            .map_err(BenchError::FillPostgres)?;
        let entries = timeline(&endpoints.mongodb_uri).await.map_err(BenchError::FillMongo)?;
        let scene = Self {
            histories: HISTORIES
                .into_iter()
                .map(|(subject, messages)| (subject, history(messages)))
                .collect(),
        };
        for (_, part) in &scene.histories {
            // The row in Postgres comes last: it stands for a history that is whole.
            if !exists(&mut postgres, part.conversation).await? {
                fill(&entries, part, &step).await.map_err(BenchError::FillMongo)?;
                open(&mut postgres, part).await?;
            }
        }
        for number in 0..LISTED {
            open(&mut postgres, &listed(number)).await?;
        }
        for number in 0..CONCURRENCY_MAX {
            let part = sent(number);
            remove(&mut postgres, part.conversation).await?;
            entries
                .delete_many(doc! { "conversation_id": BsonUuid::from_bytes(part.conversation.into_bytes()) })
                .await
                .map_err(BenchError::FillMongo)?;
            open(&mut postgres, &part).await?;
        }
        step.done("in place");
        Ok(scene)
    }

    /// What a caller works with.
    pub(super) fn part(&self, subject: Subject, caller: usize) -> Part {
        match subject {
            Subject::SendMessage | Subject::SendUndelivered => sent(caller),
            Subject::ListConversations => listed(caller % LISTED),
            Subject::ListMessages10k | Subject::ListMessages200k => {
                let history = self.histories.iter().find(|(history, _)| *history == subject);
                history.map_or_else(|| listed(0), |(_, part)| part.clone())
            }
        }
    }
}

fn part(user: &str, other: String, id: i64, messages: i64) -> Part {
    const FIRST_ID: u128 = 0x0198_0000_0000_7000_8000_0000_0000_0000;
    Part {
        user: user.to_owned(),
        other,
        conversation: Uuid::from_u128(FIRST_ID + u128::from(id.unsigned_abs())),
        messages,
    }
}

fn history(messages: i64) -> Part {
    part(READER, format!("{WRITER}-{messages}"), messages, messages)
}

fn listed(number: usize) -> Part {
    let id = i64::try_from(number).unwrap_or_default();
    part(LISTER, format!("bench-friend-{number}"), 2_000 + id, 100 + id)
}

fn sent(number: usize) -> Part {
    let id = i64::try_from(number).unwrap_or_default();
    part(
        &format!("bench-sender-{number}"),
        format!("bench-receiver-{number}"),
        1_000 + id,
        0,
    )
}

async fn exists(postgres: &mut PgConnection, conversation: Uuid) -> Result<bool, BenchError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM conversations WHERE conversation_id = $1)")
        .bind(conversation)
        .fetch_one(postgres)
        .await
        .map_err(BenchError::FillPostgres)
}

/// Writes a history into the timeline.
async fn fill(entries: &mongodb::Collection<Entry>, part: &Part, step: &Step) -> mongodb::error::Result<()> {
    // What an interrupted run left.
    entries
        .delete_many(doc! { "conversation_id": BsonUuid::from_bytes(part.conversation.into_bytes()) })
        .await?;
    let mut first = 1;
    while first <= part.messages {
        let last = (first + BATCH_MESSAGES - 1).min(part.messages);
        let batch = (first..=last).map(|seq| {
            let sender = if seq % 3 == 0 { &part.user } else { &part.other };
            let op = Uuid::now_v7().to_string();
            Entry::message(
                part.conversation,
                seq,
                seq,
                sender.clone(),
                op,
                TEXT.to_owned(),
                Utc::now(),
            )
        });
        entries
            .insert_many(batch)
            .ordered(false)
            .write_concern(
                WriteConcern::builder()
                    .w(mongodb::options::Acknowledgment::Nodes(1))
                    .build(),
            )
            .await?;
        if last % TELL_MESSAGES == 0 || last == part.messages {
            step.say(format_args!("writing a history, {last} of {} messages", part.messages));
        }
        first = last + 1;
    }
    Ok(())
}

/// Opens a direct conversation of two friends, if it is not there.
async fn open(postgres: &mut PgConnection, part: &Part) -> Result<(), BenchError> {
    let (low, high) = if part.user < part.other {
        (&part.user, &part.other)
    } else {
        (&part.other, &part.user)
    };
    sqlx::query(
        "WITH friends AS (
             INSERT INTO friendships (low_user_id, high_user_id, requested_by, accepted, updated_at)
             VALUES ($2, $3, $2, true, now()) ON CONFLICT DO NOTHING
         ), opened AS (
             INSERT INTO conversations (conversation_id, kind, low_user_id, high_user_id, created_at, revision, message_count,
                 allocated_at, last_activity_at, last_message_seq, last_message_sender, last_message_excerpt, last_message_at)
             VALUES ($1, 'direct', $2, $3, now(), $4, $4, now(), now(), $4, $2, $5, now()) ON CONFLICT DO NOTHING
             RETURNING conversation_id
         )
         INSERT INTO members (conversation_id, user_id, joined_revision, joined_seq)
         SELECT conversation_id, user_id, 0, 0 FROM opened CROSS JOIN (VALUES ($2), ($3)) AS users (user_id)",
    )
    .bind(part.conversation)
    .bind(low)
    .bind(high)
    .bind(part.messages)
    .bind(TEXT)
    .execute(postgres)
    .await
    .map_err(BenchError::FillPostgres)?;
    Ok(())
}

/// Removes a conversation with all that is known of it.
async fn remove(postgres: &mut PgConnection, conversation: Uuid) -> Result<(), BenchError> {
    for statement in [
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
