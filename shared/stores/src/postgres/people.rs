//! Profiles and friendships.

use chat_domain::{AvatarUrl, DisplayName, FRIENDS_MAX, PageSize, PageToken, UserId};
use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::Postgres;
use crate::StoreError;

/// A profile as stored.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct ProfileRow {
    /// Whose it is.
    pub user_id: String,
    /// How others call them.
    pub display_name: String,
    /// Their picture, or empty.
    pub avatar_url: String,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// What to set of a profile; the rest stays.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfileUpdate {
    /// How others shall call them.
    pub display_name: Option<DisplayName>,
    /// Their picture.
    pub avatar_url: Option<AvatarUrl>,
}

/// How a user and another one stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FriendshipState {
    /// The user asked.
    RequestSent,
    /// The other asked.
    RequestReceived,
    /// Both agreed.
    Accepted,
}

/// A friendship or open request, seen from one of the two.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Friendship {
    /// The other user.
    pub other: String,
    /// How the two stand.
    pub state: FriendshipState,
    /// When that last changed.
    pub updated_at: DateTime<Utc>,
    /// The other's profile, in lists.
    pub profile: Option<ProfileRow>,
}

/// What became of an answer to a friend request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FriendAnswer {
    /// The two are friends, since then.
    Accepted {
        /// Since when.
        since: DateTime<Utc>,
        /// Whether this answer made them so.
        changed: bool,
    },
    /// There is no request any more.
    Declined {
        /// As of when.
        at: DateTime<Utc>,
        /// Whether this answer removed it.
        changed: bool,
    },
    /// There was no request to accept.
    Missing,
    /// There was no request to decline: the two are friends.
    AlreadyFriends,
}

#[derive(FromRow)]
struct RequestedRow {
    accepted: bool,
    requested_by: String,
    updated_at: DateTime<Utc>,
    changed: bool,
}

#[derive(FromRow)]
struct AnswerRow {
    outcome: String,
    updated_at: DateTime<Utc>,
    changed: bool,
}

#[derive(FromRow)]
struct FriendRow {
    other: String,
    accepted: bool,
    requested_by: String,
    updated_at: DateTime<Utc>,
    display_name: Option<String>,
    avatar_url: Option<String>,
    profile_updated_at: Option<DateTime<Utc>>,
}

fn state(accepted: bool, requested_by: &str, user: &UserId) -> FriendshipState {
    if accepted {
        FriendshipState::Accepted
    } else if requested_by == user.as_str() {
        FriendshipState::RequestSent
    } else {
        FriendshipState::RequestReceived
    }
}

impl Postgres {
    /// Creates or changes a profile. None: it would be a first profile without a display name.
    pub async fn upsert_profile(
        &self,
        user: &UserId,
        update: &ProfileUpdate,
    ) -> Result<Option<ProfileRow>, StoreError> {
        let display_name = update.display_name.as_ref().map(DisplayName::as_str);
        let avatar_url = update.avatar_url.as_ref().map(AvatarUrl::as_str);
        self.fetch_optional("upsert a profile", || {
            sqlx::query_as(
                "INSERT INTO users AS u (user_id, display_name, avatar_url, updated_at)
                 SELECT $1, coalesce($2, ''), coalesce($3, ''), clock_timestamp()
                 WHERE $2::text IS NOT NULL OR EXISTS (SELECT FROM users WHERE user_id = $1)
                 ON CONFLICT (user_id) DO UPDATE SET
                     display_name = coalesce($2, u.display_name),
                     avatar_url = coalesce($3, u.avatar_url),
                     updated_at = CASE
                         WHEN (u.display_name, u.avatar_url) = (coalesce($2, u.display_name), coalesce($3, u.avatar_url))
                         THEN u.updated_at ELSE EXCLUDED.updated_at END
                 RETURNING user_id, display_name, avatar_url, updated_at",
            )
            .bind(user.as_str())
            .bind(display_name)
            .bind(avatar_url)
        })
        .await
    }

    /// Reads profiles, in no order. Users without one are left out.
    pub async fn list_profiles(&self, users: &[UserId]) -> Result<Vec<ProfileRow>, StoreError> {
        let ids: Vec<&str> = users.iter().map(UserId::as_str).collect();
        self.fetch_all("list profiles", || {
            sqlx::query_as("SELECT user_id, display_name, avatar_url, updated_at FROM users WHERE user_id = ANY($1)")
                .bind(&ids)
        })
        .await
    }

    /// Asks `other` to become a friend of `user`, or meets their request. Tells whether anything changed. None: `user`
    /// has too many friends and open requests.
    pub async fn request_friend(
        &self,
        user: &UserId,
        other: &UserId,
    ) -> Result<Option<(Friendship, bool)>, StoreError> {
        let row: Option<RequestedRow> = self
            .fetch_optional("request a friend", || {
                sqlx::query_as("SELECT * FROM request_friend($1, $2, $3)")
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(FRIENDS_MAX)
            })
            .await?;
        Ok(row.map(|row| {
            let friendship = Friendship {
                other: other.to_string(),
                state: state(row.accepted, &row.requested_by, user),
                updated_at: row.updated_at,
                profile: None,
            };
            (friendship, row.changed)
        }))
    }

    /// Accepts or declines the request of `other`.
    pub async fn respond_to_friend_request(
        &self,
        user: &UserId,
        other: &UserId,
        accept: bool,
    ) -> Result<FriendAnswer, StoreError> {
        let row: AnswerRow = self
            .fetch_one("respond to a friend request", || {
                sqlx::query_as("SELECT * FROM respond_to_friend_request($1, $2, $3)")
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(accept)
            })
            .await?;
        Ok(match row.outcome.as_str() {
            "accepted" => FriendAnswer::Accepted {
                since: row.updated_at,
                changed: row.changed,
            },
            "declined" => FriendAnswer::Declined {
                at: row.updated_at,
                changed: row.changed,
            },
            "missing" => FriendAnswer::Missing,
            _ => FriendAnswer::AlreadyFriends,
        })
    }

    /// Ends a friendship or drops an open request. Tells when; None when there was nothing.
    pub async fn remove_friend(&self, user: &UserId, other: &UserId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let (removed_at,) = self
            .fetch_one("remove a friend", || {
                sqlx::query_as("SELECT remove_friend($1, $2)")
                    .bind(user.as_str())
                    .bind(other.as_str())
            })
            .await?;
        Ok(removed_at)
    }

    /// Lists friends and open requests of a user with their profiles, the most recently changed first.
    pub async fn list_friends(
        &self,
        user: &UserId,
        only: Option<FriendshipState>,
        page_size: PageSize,
        after: Option<&PageToken>,
    ) -> Result<(Vec<Friendship>, Option<PageToken>), StoreError> {
        let only = only.map(|state| match state {
            FriendshipState::RequestSent => "sent",
            FriendshipState::RequestReceived => "received",
            FriendshipState::Accepted => "accepted",
        });
        let mut rows: Vec<FriendRow> = self
            .fetch_all("list friends", || {
                sqlx::query_as(
                    // Profiles are joined after the limit, so that only those of the page are looked up.
                    "SELECT f.*, u.display_name, u.avatar_url, u.updated_at AS profile_updated_at
                     FROM (
                         SELECT other, accepted, requested_by, updated_at
                         FROM (
                             SELECT high_user_id AS other, accepted, requested_by, updated_at
                             FROM friendships WHERE low_user_id = $1
                             UNION ALL
                             SELECT low_user_id, accepted, requested_by, updated_at
                             FROM friendships WHERE high_user_id = $1
                         ) pairs
                         WHERE ($2::text IS NULL
                                OR $2 = CASE WHEN accepted THEN 'accepted' WHEN requested_by = $1 THEN 'sent' ELSE 'received' END)
                           AND ($3::timestamptz IS NULL OR (updated_at, other) < ($3, $4))
                         ORDER BY updated_at DESC, other DESC
                         LIMIT $5
                     ) f
                     LEFT JOIN users u ON u.user_id = f.other
                     ORDER BY f.updated_at DESC, f.other DESC",
                )
                .bind(user.as_str())
                .bind(only)
                .bind(after.map(|token| token.time))
                .bind(after.map(|token| token.key.as_str()))
                .bind(page_size.rows())
            })
            .await?;
        let more = rows.len() > page_size.get();
        rows.truncate(page_size.get());
        let next = rows.last().filter(|_| more).map(|row| PageToken {
            time: row.updated_at,
            key: row.other.clone(),
        });
        let friends = rows
            .into_iter()
            .map(|row| Friendship {
                state: state(row.accepted, &row.requested_by, user),
                updated_at: row.updated_at,
                profile: profile(&row.other, row.display_name, row.avatar_url, row.profile_updated_at),
                other: row.other,
            })
            .collect();
        Ok((friends, next))
    }
}

fn profile(
    user_id: &str,
    display_name: Option<String>,
    avatar_url: Option<String>,
    updated_at: Option<DateTime<Utc>>,
) -> Option<ProfileRow> {
    Some(ProfileRow {
        user_id: user_id.to_owned(),
        display_name: display_name?,
        avatar_url: avatar_url?,
        updated_at: updated_at?,
    })
}
