//! Conversations, members, read positions, and the sequencer.

use std::num::TryFromIntError;

use chat_domain::{
    ClientMessageId, ConversationId, DELIVERY_MEMBERS_MAX, PageSize, PageToken, SYNC_CURSORS_MAX, UserId,
};
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Postgres, STORE};
use crate::{StoreError, StoreErrorKind};

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConversationRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its members by user id.
    pub members: Vec<MemberRow>,
    /// The newest revision handed out.
    pub revision: i64,
    /// The newest seq handed out.
    pub message_count: i64,
    /// How many messages the member has not read.
    pub unread_count: i64,
    /// The revision at which the member joined.
    pub joined_revision: i64,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When something was last said, or when it was opened.
    pub last_activity_at: DateTime<Utc>,
    /// A hint of the newest message.
    pub last_message: Option<LastMessage>,
}

/// A member of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemberRow {
    /// The member.
    pub user_id: String,
    /// What they said they have read.
    pub read_seq: i64,
    /// The conversation's revision when they joined.
    pub joined_revision: i64,
}

/// A hint of the newest message of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastMessage {
    /// Its seq.
    pub seq: i64,
    /// Who sent it.
    pub sender: String,
    /// Its first characters.
    pub excerpt: String,
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
}

/// What a member may read of a conversation.
#[derive(Clone, Copy, Debug, Eq, FromRow, PartialEq)]
pub struct Membership {
    /// The newest revision handed out; nothing above it is to be shown.
    pub revision: i64,
    /// The newest seq handed out.
    pub message_count: i64,
}

/// The direct conversation of two users.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedDirect {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether this call created it.
    pub created: bool,
}

/// Asks the sequencer for a place.
#[derive(Clone, Debug)]
pub struct Append<'a> {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub actor: &'a UserId,
    /// The operation's id. Each of the actor's newest operations gets the same place when repeated.
    pub op: &'a ClientMessageId,
    /// The preview when the change is a message; None otherwise.
    pub excerpt: Option<&'a str>,
    /// Places up to this revision are of no use any more: someone else closed them.
    pub after: i64,
    /// The greatest revision that the timeline was found to hold, when that is above what the sequencer knew; else 0.
    pub floor_revision: i64,
    /// The same for seqs.
    pub floor_seq: i64,
}

/// The sequencer's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Appended {
    /// The change has a place.
    Placed(Place),
    /// The conversation is not there, or the actor is not a member.
    NotFound,
    /// The actor may not send in this conversation now.
    CannotSend {
        /// The place that the operation got when it was still allowed. Its holder closes it.
        held: Option<Place>,
    },
}

/// The place of a change in a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Its revision.
    pub revision: i64,
    /// The message count after it; a message's seq.
    pub messages_after: i64,
    /// When it was handed out; never decreases along the revisions. Whole milliseconds.
    pub allocated_at: DateTime<Utc>,
    /// Who is to be told: the members, unless they are more than a write notifies itself.
    pub members: Vec<String>,
}

/// Where a member stands after marking as read.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct ReadPosition {
    /// What they said they have read.
    pub read_seq: i64,
    /// How many messages are unread.
    pub unread_count: i64,
    /// Whether this call moved it.
    pub changed: bool,
    /// The database's clock.
    pub at: DateTime<Utc>,
    /// Who is to be told.
    #[sqlx(rename = "member_ids")]
    pub members: Vec<String>,
}

/// Asks a sync for conversations that it does not name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Discover {
    /// Where to go on; none at the start.
    pub after: Option<PageToken>,
}

/// A membership as sync needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncRow {
    /// The conversation.
    pub conversation: ConversationRow,
    /// Whether the request named it.
    pub named: bool,
    /// When its newest revision was handed out.
    pub allocated_at: DateTime<Utc>,
    /// Every place up to this revision is known to be taken.
    pub closed_revision: i64,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// A conversation of a member without its members: `m` is the caller's row, `c` the conversation.
macro_rules! conversation_columns {
    () => {
        "c.conversation_id, c.revision, c.message_count, c.created_at, c.last_activity_at, c.last_message_seq,
         c.last_message_sender, c.last_message_excerpt, c.last_message_at, c.allocated_at, c.closed_revision, m.joined_revision,
         greatest(c.message_count - greatest(m.read_seq, m.own_seq, m.joined_seq), 0) AS unread_count"
    };
}

/// Adds the members, at most `MEMBERS_SHOWN_MAX`, as parallel arrays, to the conversations of subquery `v`: after its limit, so that only what is
/// answered is looked up.
macro_rules! with_members {
    ($conversations:expr) => {
        concat!(
            "SELECT v.*, o.member_ids, o.member_read_seqs, o.member_joined_revisions FROM (",
            $conversations,
            ") v CROSS JOIN LATERAL (
                 SELECT array_agg(user_id ORDER BY user_id) AS member_ids,
                        array_agg(read_seq ORDER BY user_id) AS member_read_seqs,
                        array_agg(joined_revision ORDER BY user_id) AS member_joined_revisions
                 FROM (SELECT * FROM members WHERE conversation_id = v.conversation_id ORDER BY user_id LIMIT 100) members
             ) o"
        )
    };
}

/// The statement of [`Postgres::append`]. The statements of the busiest calls can be had, so that a benchmark compares the
/// service with the very same calls made bare.
pub const APPEND: &str = "SELECT * FROM append($1, $2, $3, $4, $5, $6, $7, $8)";

/// The statement of [`Postgres::lookup_membership`].
pub const LOOKUP_MEMBERSHIP: &str = "SELECT c.revision, c.message_count
    FROM members m JOIN conversations c USING (conversation_id)
    WHERE m.conversation_id = $1 AND m.user_id = $2";

/// The statement of [`Postgres::list_conversations`].
pub const LIST_CONVERSATIONS: &str = concat!(
    with_members!(concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM members m JOIN conversations c USING (conversation_id)
          WHERE m.user_id = $1
            AND ($2::timestamptz IS NULL OR (c.last_activity_at, c.conversation_id::text) < ($2, $3))
          ORDER BY c.last_activity_at DESC, c.conversation_id::text DESC
          LIMIT $4"
    )),
    " ORDER BY v.last_activity_at DESC, v.conversation_id::text DESC"
);

#[derive(FromRow)]
struct RawConversation {
    conversation_id: Uuid,
    revision: i64,
    message_count: i64,
    created_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    last_message_seq: Option<i64>,
    last_message_sender: Option<String>,
    last_message_excerpt: Option<String>,
    last_message_at: Option<DateTime<Utc>>,
    allocated_at: DateTime<Utc>,
    closed_revision: i64,
    joined_revision: i64,
    unread_count: i64,
    member_ids: Vec<String>,
    member_read_seqs: Vec<i64>,
    member_joined_revisions: Vec<i64>,
}

impl From<RawConversation> for ConversationRow {
    fn from(raw: RawConversation) -> Self {
        let members = raw
            .member_ids
            .into_iter()
            .zip(raw.member_read_seqs)
            .zip(raw.member_joined_revisions)
            .map(|((user_id, read_seq), joined_revision)| MemberRow {
                user_id,
                read_seq,
                joined_revision,
            })
            .collect();
        let last_message = match (
            raw.last_message_seq,
            raw.last_message_sender,
            raw.last_message_excerpt,
            raw.last_message_at,
        ) {
            (Some(seq), Some(sender), Some(excerpt), Some(sent_at)) => Some(LastMessage {
                seq,
                sender,
                excerpt,
                sent_at,
            }),
            _ => None,
        };
        Self {
            conversation: raw.conversation_id.into(),
            members,
            revision: raw.revision,
            message_count: raw.message_count,
            unread_count: raw.unread_count,
            joined_revision: raw.joined_revision,
            created_at: raw.created_at,
            last_activity_at: raw.last_activity_at,
            last_message,
        }
    }
}

#[derive(FromRow)]
struct RawSync {
    #[sqlx(flatten)]
    conversation: RawConversation,
    named: bool,
    now: DateTime<Utc>,
}

#[derive(FromRow)]
struct RawAppended {
    outcome: String,
    revision: Option<i64>,
    messages_after: Option<i64>,
    allocated_at: Option<DateTime<Utc>>,
    member_ids: Option<Vec<String>>,
}

#[derive(FromRow)]
struct RawOpened {
    conversation_id: Option<Uuid>,
    created: bool,
}

/// A limit as Postgres takes it.
fn limit(value: usize) -> Result<i32, StoreError> {
    i32::try_from(value)
        .map_err(|error: TryFromIntError| StoreError::new(StoreErrorKind::Corrupt, STORE, "take a limit", error))
}

impl Postgres {
    /// Opens the direct conversation of `user` with `other`, or finds it. None: there is none, and the two are not
    /// friends.
    pub async fn open_direct_conversation(
        &self,
        candidate: ConversationId,
        user: &UserId,
        other: &UserId,
    ) -> Result<Option<OpenedDirect>, StoreError> {
        let row: RawOpened = self
            .fetch_one("open a direct conversation", || {
                sqlx::query_as("SELECT * FROM open_direct_conversation($1, $2, $3)")
                    .bind(candidate.uuid())
                    .bind(user.as_str())
                    .bind(other.as_str())
            })
            .await?;
        Ok(row.conversation_id.map(|id| OpenedDirect {
            conversation: id.into(),
            created: row.created,
        }))
    }

    /// Reads a conversation as `user` sees it. None: it is not there, or they are not a member.
    pub async fn lookup_conversation(
        &self,
        conversation: ConversationId,
        user: &UserId,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let row: Option<RawConversation> = self
            .fetch_optional("look up a conversation", || {
                sqlx::query_as(with_members!(concat!(
                    "SELECT ",
                    conversation_columns!(),
                    " FROM members m JOIN conversations c USING (conversation_id)
                      WHERE m.conversation_id = $1 AND m.user_id = $2"
                )))
                .bind(conversation.uuid())
                .bind(user.as_str())
            })
            .await?;
        Ok(row.map(Into::into))
    }

    /// Reads what `user` may see of a conversation. None: it is not there, or they are not a member.
    pub async fn lookup_membership(
        &self,
        conversation: ConversationId,
        user: &UserId,
    ) -> Result<Option<Membership>, StoreError> {
        self.fetch_optional("look up a membership", || {
            sqlx::query_as(LOOKUP_MEMBERSHIP)
                .bind(conversation.uuid())
                .bind(user.as_str())
        })
        .await
    }

    /// Lists the conversations of a user, newest activity first.
    pub async fn list_conversations(
        &self,
        user: &UserId,
        page_size: PageSize,
        after: Option<&PageToken>,
    ) -> Result<(Vec<ConversationRow>, Option<PageToken>), StoreError> {
        let mut rows: Vec<RawConversation> = self
            .fetch_all("list conversations", || {
                sqlx::query_as(LIST_CONVERSATIONS)
                    .bind(user.as_str())
                    .bind(after.map(|token| token.time))
                    .bind(after.map(|token| token.key.as_str()))
                    .bind(page_size.rows())
            })
            .await?;
        let more = rows.len() > page_size.get();
        rows.truncate(page_size.get());
        let next = rows.last().filter(|_| more).map(|row| PageToken {
            time: row.last_activity_at,
            key: row.conversation_id.to_string(),
        });
        Ok((rows.into_iter().map(Into::into).collect(), next))
    }

    /// Reads what sync needs of the named conversations that `user` is a member of, in no order, and of a page
    /// of the others, newest activity first: one more than a sync answers, so that it can tell there are more.
    pub async fn list_for_sync(
        &self,
        user: &UserId,
        named: &[ConversationId],
        discover: Option<&Discover>,
    ) -> Result<Vec<SyncRow>, StoreError> {
        let named: Vec<Uuid> = named.iter().map(|conversation| conversation.uuid()).collect();
        let discovered_max = if discover.is_some() {
            limit(SYNC_CURSORS_MAX + 1)?
        } else {
            0
        };
        let after = discover.and_then(|discover| discover.after.as_ref());
        let rows: Vec<RawSync> = self
            .fetch_all("read the heads for a sync", || {
                sqlx::query_as(with_members!(concat!(
                    "SELECT ",
                    conversation_columns!(),
                    ", true AS named, clock_timestamp() AS now
                      FROM members m JOIN conversations c USING (conversation_id)
                      WHERE m.user_id = $1 AND m.conversation_id = ANY($2)
                      UNION ALL
                      (SELECT ",
                    conversation_columns!(),
                    ", false, clock_timestamp()
                      FROM members m JOIN conversations c USING (conversation_id)
                      WHERE $3 > 0 AND m.user_id = $1 AND NOT m.conversation_id = ANY($2)
                        AND ($4::timestamptz IS NULL OR (c.last_activity_at, c.conversation_id::text) < ($4, $5))
                      ORDER BY c.last_activity_at DESC, c.conversation_id::text DESC
                      LIMIT $3)"
                )))
                .bind(user.as_str())
                .bind(&named)
                .bind(discovered_max)
                .bind(after.map(|token| token.time))
                .bind(after.map(|token| token.key.as_str()))
            })
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| SyncRow {
                named: row.named,
                allocated_at: row.conversation.allocated_at,
                closed_revision: row.conversation.closed_revision,
                now: row.now,
                conversation: row.conversation.into(),
            })
            .collect())
    }

    /// Keeps that every place of these conversations up to these revisions is taken. A conversation that is being written
    /// to is passed over: this is a hint, and worth no waiting.
    pub async fn raise_closed_revisions(
        &self,
        closed: impl Iterator<Item = (ConversationId, i64)>,
    ) -> Result<(), StoreError> {
        let (conversations, revisions): (Vec<Uuid>, Vec<i64>) = closed
            .map(|(conversation, revision)| (conversation.uuid(), revision))
            .unzip();
        self.fetch_all::<(Uuid,)>("keep how far conversations are closed", || {
            sqlx::query_as(
                "UPDATE conversations c SET closed_revision = greatest(c.closed_revision, closed.revision)
                 FROM unnest($1::uuid[], $2::bigint[]) AS closed (conversation_id, revision)
                 WHERE c.conversation_id = closed.conversation_id
                   AND c.conversation_id IN (
                       SELECT conversation_id FROM conversations WHERE conversation_id = ANY($1)
                       FOR NO KEY UPDATE SKIP LOCKED)
                 RETURNING c.conversation_id",
            )
            .bind(&conversations)
            .bind(&revisions)
        })
        .await
        .map(drop)
    }

    /// Asks the sequencer for a place: locks the conversation, checks the actor's rights, hands out the place and keeps
    /// it with the actor's membership, in one round trip. May be repeated after a lost answer.
    pub async fn append(&self, append: &Append<'_>) -> Result<Appended, StoreError> {
        const ACTION: &str = "append";
        let members_max = limit(DELIVERY_MEMBERS_MAX)?;
        let row: Option<RawAppended> = self
            .fetch_optional(ACTION, || {
                sqlx::query_as(APPEND)
                    .bind(append.conversation.uuid())
                    .bind(append.actor.as_str())
                    .bind(append.op.as_str())
                    .bind(append.excerpt)
                    .bind(append.after)
                    .bind(append.floor_revision)
                    .bind(append.floor_seq)
                    .bind(members_max)
            })
            .await?;
        let Some(row) = row else { return Ok(Appended::NotFound) };
        let place = match (row.revision, row.messages_after, row.allocated_at) {
            (Some(revision), Some(messages_after), Some(allocated_at)) => Some(Place {
                revision,
                messages_after,
                allocated_at,
                members: row.member_ids.unwrap_or_default(),
            }),
            _ => None,
        };
        match (row.outcome.as_str(), place) {
            ("placed", Some(place)) => Ok(Appended::Placed(place)),
            ("cannot_send", held) => Ok(Appended::CannotSend { held }),
            _ => Err(StoreError::new(
                StoreErrorKind::Corrupt,
                STORE,
                ACTION,
                "it answered an unknown outcome",
            )),
        }
    }

    /// Moves a member's read position forward, never past the newest message. None: the conversation is not there, or
    /// they are not a member.
    pub async fn mark_conversation_read(
        &self,
        conversation: ConversationId,
        user: &UserId,
        read_seq: i64,
    ) -> Result<Option<ReadPosition>, StoreError> {
        let members_max = limit(DELIVERY_MEMBERS_MAX)?;
        self.fetch_optional("mark a conversation as read", || {
            sqlx::query_as("SELECT * FROM mark_conversation_read($1, $2, $3, $4)")
                .bind(conversation.uuid())
                .bind(user.as_str())
                .bind(read_seq)
                .bind(members_max)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::MEMBERS_SHOWN_MAX;

    use super::LIST_CONVERSATIONS;

    #[test]
    fn the_members_shown_are_as_many_as_the_limit_says() {
        assert!(LIST_CONVERSATIONS.contains(&format!("ORDER BY user_id LIMIT {MEMBERS_SHOWN_MAX})")));
    }
}
