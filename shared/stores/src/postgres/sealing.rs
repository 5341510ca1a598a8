//! How far conversations are known to be whole.

use chat_domain::ConversationId;
use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::Postgres;
use crate::StoreError;

/// How far a conversation is known to be whole, and how far it goes.
#[derive(Clone, Copy, Debug, Eq, FromRow, PartialEq)]
pub struct SealState {
    /// The newest revision handed out.
    pub revision: i64,
    /// The newest seq handed out.
    pub message_count: i64,
    /// Every place up to this revision is known to be taken.
    pub closed_revision: i64,
    /// Every seq up to this one either is a stored message's or is known to be none's.
    pub closed_seq: i64,
    /// Whether changes of its own may wait in the outbox.
    pub is_group: bool,
    /// When the newest revision was handed out.
    pub allocated_at: DateTime<Utc>,
    /// When something was last said, as lists sort by.
    pub last_activity_at: DateTime<Utc>,
    /// When the conversation was opened.
    pub created_at: DateTime<Utc>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// What was found out about a conversation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sealed {
    /// Every place up to this revision is taken; 0 when that is not known.
    pub closed_revision: i64,
    /// Every seq up to this one either is a stored message's or among those that were ever found to be none's.
    pub closed_seq: i64,
    /// Seqs that no message has, nor ever will.
    pub uncounted: Vec<i64>,
    /// When something was last said, if all places were found taken while this was the newest seq.
    pub last_said: Option<LastSaid>,
    /// The places whose entries of the outbox stand in the timeline, for all that a majority knows.
    pub written: Vec<i64>,
}

/// When something was last said, as long as no newer seq was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LastSaid {
    /// The newest seq when that was found out.
    pub message_count: i64,
    /// When.
    pub at: DateTime<Utc>,
}

impl Postgres {
    /// Reads how far a conversation is known to be whole. None: it is not there.
    pub async fn lookup_seal(&self, conversation: ConversationId) -> Result<Option<SealState>, StoreError> {
        self.fetch_optional("look up a seal", || {
            sqlx::query_as(
                "SELECT revision, message_count, closed_revision, closed_seq, kind = 'group' AS is_group, allocated_at, last_activity_at,
                        created_at, clock_timestamp() AS now
                 FROM conversations WHERE conversation_id = $1",
            )
            .bind(conversation.uuid())
        })
        .await
    }

    /// Keeps what was found out about a conversation. It waits for those who write there: to pass over a conversation that is
    /// busy would starve those that need it most.
    pub async fn seal(&self, conversation: ConversationId, sealed: &Sealed) -> Result<(), StoreError> {
        let ((),) = self
            .fetch_one("keep how far a conversation is whole", || {
                sqlx::query_as("SELECT seal_with_outbox($1, $2, $3, $4, $5, $6, $7)")
                    .bind(conversation.uuid())
                    .bind(sealed.closed_revision)
                    .bind(sealed.closed_seq)
                    .bind(&sealed.uncounted)
                    .bind(sealed.last_said.map(|last| last.message_count))
                    .bind(sealed.last_said.map(|last| last.at))
                    .bind(&sealed.written)
            })
            .await?;
        Ok(())
    }
}
