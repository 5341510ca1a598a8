//! Profiles and friendships.

use chat_domain::{
    AvatarUrl, DisplayName, FRIEND_REQUESTS_AGAIN, FRIEND_REQUESTS_MAX, FRIENDS_MAX, GroupAdders, INVITE_BUDGET,
    PageSize, READ_BUDGET, UserId, UsersToken, WRITE_BUDGET,
};
use chrono::{DateTime, Utc};
use sqlx::FromRow;

use super::budgets::{Budgets, OutOfBudget};
use super::{Postgres, unknown_outcome, users_page};
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
    /// Neither asked, or it ended.
    None,
    /// The user asked.
    RequestSent,
    /// The other asked.
    RequestReceived,
    /// Both agreed.
    Accepted,
}

/// One side of how two users stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Friend {
    /// The other user.
    pub other: String,
    /// How the two stand, seen from the user.
    pub state: FriendshipState,
    /// When that last changed.
    pub updated_at: DateTime<Utc>,
    /// The other's profile, in lists.
    pub profile: Option<ProfileRow>,
}

/// How two users stand after a call about it, seen from both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Friendship {
    /// Seen from the caller.
    pub state: FriendshipState,
    /// Seen from the other.
    pub other_state: FriendshipState,
    /// When that last changed.
    pub updated_at: DateTime<Utc>,
    /// Where it stands in the caller's feed and in the other's. None: there is nothing to tell, since the two never had
    /// anything to do with each other, or long ago.
    pub feed_revisions: Option<(i64, i64)>,
}

/// What became of a friend request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FriendRequested {
    /// The two now stand like this; a repeat changes nothing.
    Done(Friendship),
    /// The caller has too many friends and open requests.
    TooManyFriends,
    /// The other has too many open requests to answer.
    TooManyRequests,
    /// The caller asked the same user too often lately.
    TooSoon(OutOfBudget),
}

/// What became of an answer to a friend request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FriendAnswered {
    /// The two now stand like this; a repeat changes nothing.
    Done(Friendship),
    /// The caller has too many friends and open requests.
    TooManyFriends,
    /// There was no request to accept.
    Missing,
    /// There was no request to decline: the two are friends.
    AlreadyFriends,
}

impl FriendshipState {
    /// Every state with the name that Postgres has for it.
    const NAMES: [(Self, &'static str); 4] = [
        (Self::None, "none"),
        (Self::RequestSent, "sent"),
        (Self::RequestReceived, "received"),
        (Self::Accepted, "accepted"),
    ];

    fn name(self) -> &'static str {
        let named = Self::NAMES.into_iter().find(|(state, _)| *state == self);
        named.map_or("none", |(_, name)| name)
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        let named = Self::NAMES.into_iter().find(|(_, known)| *known == name);
        named.map(|(state, _)| state)
    }
}

#[derive(FromRow)]
struct RawProfile {
    outcome: String,
    display_name: Option<String>,
    avatar_url: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    wait_us: Option<i64>,
}

#[derive(FromRow)]
struct RawFriendship {
    outcome: String,
    state: Option<String>,
    other_state: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    feed_revision: Option<i64>,
    other_feed_revision: Option<i64>,
    wait_us: Option<i64>,
}

impl RawFriendship {
    fn friendship(&self, action: &'static str) -> Result<Friendship, StoreError> {
        let state = |name: &Option<String>| name.as_deref().and_then(FriendshipState::of);
        let stand = (state(&self.state), state(&self.other_state), self.updated_at);
        let (Some(state), Some(other_state), Some(updated_at)) = stand else {
            return Err(unknown_outcome(action));
        };
        Ok(Friendship {
            state,
            other_state,
            updated_at,
            feed_revisions: self.feed_revision.zip(self.other_feed_revision),
        })
    }

    fn wait(&self) -> OutOfBudget {
        OutOfBudget::after(self.wait_us.unwrap_or_default())
    }
}

#[derive(FromRow)]
struct RawFriend {
    wait_us: i64,
    other_id: Option<String>,
    state: Option<String>,
    updated_at: Option<DateTime<Utc>>,
    display_name: Option<String>,
    avatar_url: Option<String>,
    profile_updated_at: Option<DateTime<Utc>>,
}

impl RawFriend {
    /// The friend of a row; None for the row that says that there is none.
    fn friend(self) -> Option<Friend> {
        let other = self.other_id?;
        let profile = match (self.display_name, self.avatar_url, self.profile_updated_at) {
            (Some(display_name), Some(avatar_url), Some(updated_at)) => Some(ProfileRow {
                user_id: other.clone(),
                display_name,
                avatar_url,
                updated_at,
            }),
            _ => None,
        };
        Some(Friend {
            other,
            state: FriendshipState::of(&self.state?)?,
            updated_at: self.updated_at?,
            profile,
        })
    }
}

impl Postgres {
    /// Creates or changes a profile. None: it would be a first profile without a display name.
    pub async fn upsert_profile(
        &self,
        user: &UserId,
        update: &ProfileUpdate,
    ) -> Result<Result<Option<ProfileRow>, OutOfBudget>, StoreError> {
        const ACTION: &str = "upsert a profile";
        let display_name = update.display_name.as_ref().map(DisplayName::as_str);
        let avatar_url = update.avatar_url.as_ref().map(AvatarUrl::as_str);
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: RawProfile = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM upsert_profile($1, $2, $3, $4, $5)")
                    .bind(user.as_str())
                    .bind(display_name)
                    .bind(avatar_url)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        match (row.outcome.as_str(), row.display_name, row.avatar_url, row.updated_at) {
            ("ok", Some(display_name), Some(avatar_url), Some(updated_at)) => Ok(Ok(Some(ProfileRow {
                user_id: user.to_string(),
                display_name,
                avatar_url,
                updated_at,
            }))),
            ("nameless", ..) => Ok(Ok(None)),
            ("limited", ..) => Ok(Err(OutOfBudget::after(row.wait_us.unwrap_or_default()))),
            _ => Err(unknown_outcome(ACTION)),
        }
    }

    /// Reads who may add a user to groups.
    pub async fn lookup_user_settings(&self, user: &UserId) -> Result<GroupAdders, StoreError> {
        let stored: Option<(String,)> = self
            .fetch_optional("look up a user's settings", || {
                sqlx::query_as("SELECT group_adders FROM user_settings WHERE user_id = $1").bind(user.as_str())
            })
            .await?;
        Ok(stored
            .and_then(|(stored,)| GroupAdders::of(&stored))
            .unwrap_or_default())
    }

    /// Changes who may add a user to groups, where that is given. Answers who may.
    pub async fn update_user_settings(
        &self,
        user: &UserId,
        group_adders: Option<GroupAdders>,
    ) -> Result<Result<GroupAdders, OutOfBudget>, StoreError> {
        const ACTION: &str = "update a user's settings";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let (stored, wait_us): (Option<String>, i64) = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM update_user_settings($1, $2, $3, $4)")
                    .bind(user.as_str())
                    .bind(group_adders.map(GroupAdders::as_str))
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        if wait_us > 0 {
            return Ok(Err(OutOfBudget::after(wait_us)));
        }
        let stored = stored.as_deref().and_then(GroupAdders::of);
        stored.map(Ok).ok_or_else(|| unknown_outcome(ACTION))
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

    /// Asks `other` to become a friend of `user`, or meets their request.
    pub async fn request_friend(
        &self,
        user: &UserId,
        other: &UserId,
    ) -> Result<Result<FriendRequested, OutOfBudget>, StoreError> {
        const ACTION: &str = "request a friend";
        let charge = self.budgets.charge(INVITE_BUDGET);
        // Between the same two users, whatever a deployment allows otherwise.
        let again = Budgets::default().charge(FRIEND_REQUESTS_AGAIN);
        let row: RawFriendship = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM request_friend($1, $2, $3, $4, $5, $6, $7, $8)")
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(FRIENDS_MAX)
                    .bind(FRIEND_REQUESTS_MAX)
                    .bind(again.call_us)
                    .bind(again.burst_us)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        Ok(Ok(match row.outcome.as_str() {
            "ok" => FriendRequested::Done(row.friendship(ACTION)?),
            "friend_limit" => FriendRequested::TooManyFriends,
            "requests_full" => FriendRequested::TooManyRequests,
            "too_soon" => FriendRequested::TooSoon(row.wait()),
            "limited" => return Ok(Err(row.wait())),
            _ => return Err(unknown_outcome(ACTION)),
        }))
    }

    /// Accepts or declines the request of `other`.
    pub async fn respond_to_friend_request(
        &self,
        user: &UserId,
        other: &UserId,
        accept: bool,
    ) -> Result<Result<FriendAnswered, OutOfBudget>, StoreError> {
        const ACTION: &str = "respond to a friend request";
        let charge = self.budgets.charge(INVITE_BUDGET);
        let row: RawFriendship = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM respond_to_friend_request($1, $2, $3, $4, $5, $6)")
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(accept)
                    .bind(FRIENDS_MAX)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        Ok(Ok(match row.outcome.as_str() {
            "ok" => FriendAnswered::Done(row.friendship(ACTION)?),
            "friend_limit" => FriendAnswered::TooManyFriends,
            "missing" => FriendAnswered::Missing,
            "friends" => FriendAnswered::AlreadyFriends,
            "limited" => return Ok(Err(row.wait())),
            _ => return Err(unknown_outcome(ACTION)),
        }))
    }

    /// Ends a friendship or drops an open request. To end something is always allowed; to end nothing again and again is not.
    pub async fn remove_friend(
        &self,
        user: &UserId,
        other: &UserId,
    ) -> Result<Result<Friendship, OutOfBudget>, StoreError> {
        const ACTION: &str = "remove a friend";
        let charge = self.budgets.charge(INVITE_BUDGET);
        let row: RawFriendship = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM remove_friend($1, $2, $3, $4)")
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        if row.outcome == "limited" {
            return Ok(Err(row.wait()));
        }
        row.friendship(ACTION).map(Ok)
    }

    /// Lists friends and open requests of a user with their profiles, by the other's id.
    pub async fn list_friends(
        &self,
        user: &UserId,
        only: Option<FriendshipState>,
        page_size: PageSize,
        after: Option<&UsersToken>,
    ) -> Result<Result<(Vec<Friend>, Option<UsersToken>), OutOfBudget>, StoreError> {
        let charge = self.budgets.charge(READ_BUDGET);
        let rows: Vec<RawFriend> = self
            .fetch_all("list friends", || {
                sqlx::query_as(
                    // Profiles are joined after the limit, so that only those of the page are looked up.
                    "SELECT b.wait_us, f.*, u.display_name, u.avatar_url, u.updated_at AS profile_updated_at
                     FROM (SELECT charge($1, 'read', $5, $6) AS wait_us OFFSET 0) b
                     LEFT JOIN LATERAL (
                         SELECT other_id, state, updated_at FROM friends
                         WHERE b.wait_us = 0 AND user_id = $1 AND state <> 'none' AND ($2::text IS NULL OR state = $2)
                           AND ($3::text IS NULL OR other_id > $3)
                         ORDER BY other_id
                         LIMIT $4
                     ) f ON true
                     LEFT JOIN users u ON u.user_id = f.other_id
                     ORDER BY f.other_id",
                )
                .bind(user.as_str())
                .bind(only.map(FriendshipState::name))
                .bind(after.map(|token| token.user.as_str()))
                .bind(page_size.rows())
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        if let Some(wait_us) = rows.first().map(|row| row.wait_us).filter(|wait_us| *wait_us > 0) {
            return Ok(Err(OutOfBudget::after(wait_us)));
        }
        let friends: Vec<Friend> = rows.into_iter().filter_map(RawFriend::friend).collect();
        Ok(Ok(users_page(friends, page_size, |friend| &friend.other)))
    }
}
