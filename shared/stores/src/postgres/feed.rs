//! What a client asks to be up to date: the heads of conversations, and its user's own feed.

use chat_domain::{ConversationId, FEED_PAGE_SIZE, UserId};
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::conversations::{RawConversation, conversation_columns, members_by_keys, memberships};
use super::{ConversationRow, Friend, FriendshipState, Postgres, STORE};
use crate::{StoreError, StoreErrorKind};

/// What a sync starts from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncState {
    /// Which life of the databases this is.
    pub epoch: i64,
    /// The user's feed.
    pub feed: FeedHead,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The named conversations that the user is a member of, in no order.
    pub rows: Vec<SyncRow>,
}

/// How far a user's feed goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeedHead {
    /// Its newest revision.
    pub revision: i64,
    /// The greatest revision of what has left it.
    pub floor_revision: i64,
}

/// A membership as sync needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncRow {
    /// The conversation.
    pub conversation: ConversationRow,
    /// When its newest revision was handed out.
    pub allocated_at: DateTime<Utc>,
    /// Every place up to this revision is known to be taken.
    pub closed_revision: i64,
    /// Every seq up to this one either is a stored message's or is known to be none's.
    pub closed_seq: i64,
}

/// One thing of a user's feed, in its present state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedRow {
    /// Its place in the feed.
    pub revision: i64,
    /// What it is.
    pub change: FeedChange,
}

/// What a place of a user's feed tells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FeedChange {
    /// How the user and another one stand.
    Friend(Friend),
    /// A membership of the user.
    Membership(Box<ConversationRow>),
    /// A membership that the user had.
    MembershipEnded(ConversationId),
}

/// The statement of [`Postgres::list_for_sync`].
pub const SYNC: &str = concat!(
    "SELECT d.epoch, f.revision AS feed_revision, f.floor_revision, clock_timestamp() AS now, v.*
     FROM deployment d LEFT JOIN feeds f ON f.user_id = $1 LEFT JOIN LATERAL (SELECT ",
    conversation_columns!(),
    ", c.allocated_at, c.closed_revision
       FROM (SELECT * FROM conversations WHERE conversation_id = ANY ($2) AND deleted_at IS NULL OFFSET 0) c ",
    members_by_keys!(100),
    ") v ON true"
);

struct RawSync {
    epoch: i64,
    feed: FeedHead,
    now: DateTime<Utc>,
    row: Option<SyncRow>,
}

impl<'r> FromRow<'r, PgRow> for RawSync {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let id: Option<Uuid> = row.try_get("conversation_id")?;
        let named = match id {
            Some(_) => Some(SyncRow {
                conversation: RawConversation::from_row(row)?.into(),
                allocated_at: row.try_get("allocated_at")?,
                closed_revision: row.try_get("closed_revision")?,
                closed_seq: row.try_get("closed_seq")?,
            }),
            None => None,
        };
        Ok(Self {
            epoch: row.try_get("epoch")?,
            feed: FeedHead {
                revision: row.try_get::<Option<i64>, _>("feed_revision")?.unwrap_or_default(),
                floor_revision: row.try_get::<Option<i64>, _>("floor_revision")?.unwrap_or_default(),
            },
            now: row.try_get("now")?,
            row: named,
        })
    }
}

/// A place of a feed, with either a friend or a membership.
struct RawFeed {
    revision: i64,
    friend: Option<(String, String, DateTime<Utc>)>,
    membership: Option<RawConversation>,
    ended: Option<Uuid>,
}

impl<'r> FromRow<'r, PgRow> for RawFeed {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let friend_id: Option<String> = row.try_get("friend_id")?;
        let friend = match friend_id {
            Some(id) => Some((id, row.try_get("friend_state")?, row.try_get("friend_updated_at")?)),
            None => None,
        };
        let conversation: Option<Uuid> = row.try_get("conversation_id")?;
        Ok(Self {
            revision: row.try_get("place")?,
            friend,
            membership: conversation.map(|_| RawConversation::from_row(row)).transpose()?,
            ended: row.try_get("ended")?,
        })
    }
}

impl RawFeed {
    fn change(self) -> Option<FeedChange> {
        match (self.friend, self.membership, self.ended) {
            (Some((other, state, updated_at)), None, None) => Some(FeedChange::Friend(Friend {
                other,
                state: FriendshipState::of(&state)?,
                updated_at,
                profile: None,
            })),
            (None, Some(membership), None) => Some(FeedChange::Membership(Box::new(membership.into()))),
            (None, None, Some(ended)) => Some(FeedChange::MembershipEnded(ended.into())),
            _ => None,
        }
    }
}

impl Postgres {
    /// Reads what a sync starts from: the heads of the named conversations that `user` is a member of, and of their feed.
    pub async fn list_for_sync(&self, user: &UserId, named: &[ConversationId]) -> Result<SyncState, StoreError> {
        const ACTION: &str = "read the heads for a sync";
        let named: Vec<Uuid> = named.iter().map(|conversation| conversation.uuid()).collect();
        let rows: Vec<RawSync> = self
            .fetch_all(ACTION, || sqlx::query_as(SYNC).bind(user.as_str()).bind(&named))
            .await?;
        let Some(first) = rows.first() else {
            return Err(StoreError::new(
                StoreErrorKind::Corrupt,
                STORE,
                ACTION,
                "the table deployment is empty",
            ));
        };
        Ok(SyncState {
            epoch: first.epoch,
            feed: first.feed,
            now: first.now,
            rows: rows.into_iter().filter_map(|row| row.row).collect(),
        })
    }

    /// Reads a page of a user's feed above a revision, in order: one more than a page has, so that it can be told whether
    /// there are more. What had ended by `listing_through` is left out.
    pub async fn list_feed(&self, user: &UserId, after: i64, listing_through: i64) -> Result<Vec<FeedRow>, StoreError> {
        const ACTION: &str = "read a user's feed";
        let rows_max = i64::try_from(FEED_PAGE_SIZE + 1).unwrap_or(i64::MAX);
        let rows: Vec<RawFeed> = self
            .fetch_all(ACTION, || {
                sqlx::query_as(concat!(
                    "SELECT p.place, p.friend_id, p.friend_state, p.friend_updated_at,
                         CASE WHEN v.conversation_id IS NULL THEN p.membership_of END AS ended, v.*
                     FROM (
                         (SELECT f.feed_revision AS place, f.other_id AS friend_id, f.state AS friend_state,
                                 f.updated_at AS friend_updated_at, NULL::uuid AS membership_of
                          FROM friends f
                          WHERE f.user_id = $1 AND f.feed_revision > $2 AND (f.feed_revision > $3 OR f.state <> 'none')
                          ORDER BY f.feed_revision LIMIT $4)
                         UNION ALL
                         (SELECT m.feed_revision, NULL, NULL, NULL, m.conversation_id
                          FROM members m
                          WHERE m.user_id = $1 AND m.feed_revision > $2 AND (m.feed_revision > $3 OR m.ended_at IS NULL)
                          ORDER BY m.feed_revision LIMIT $4)
                         ORDER BY 1 LIMIT $4
                     ) p LEFT JOIN LATERAL (SELECT ",
                    conversation_columns!(),
                    " FROM ",
                    memberships!(10),
                    " WHERE m.conversation_id = p.membership_of AND m.user_id = $1 AND m.ended_at IS NULL) v ON true
                     ORDER BY p.place"
                ))
                .bind(user.as_str())
                .bind(after)
                .bind(listing_through)
                .bind(rows_max)
            })
            .await?;
        let rows = rows.into_iter().map(|row| {
            let revision = row.revision;
            let change = row.change().ok_or_else(|| {
                StoreError::new(StoreErrorKind::Corrupt, STORE, ACTION, "a place holds neither or both")
            })?;
            Ok(FeedRow { revision, change })
        });
        rows.collect()
    }
}
