//! Links into groups, and who asks to join.

use chat_domain::{
    CONVERSATIONS_MAX, ConversationId, GROUP_INVITES_MAX, GROUP_MEMBERS_MAX, InviteId, InviteToken, JOIN_REQUESTS_MAX,
    PageSize, Permission, RequestId, UserId, UsersToken, WRITE_BUDGET,
};
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::budgets::OutOfBudget;
use super::conversations::users;
use super::groups::{GroupCall, GroupChanged, RawChange, bits, change, remembered};
use super::{Postgres, unknown_outcome, users_page};
use crate::StoreError;

/// An invite to be made.
#[derive(Clone, Debug)]
pub struct NewInvite<'a> {
    /// The group.
    pub conversation: ConversationId,
    /// Who makes it.
    pub creator: &'a UserId,
    /// The call's id.
    pub request: &'a RequestId,
    /// A hash of what is asked for.
    pub request_hash: &'a [u8; 32],
    /// The id that it gets, if no earlier call has made it.
    pub candidate: InviteId,
    /// The token that it gets then.
    pub token: InviteToken,
    /// For how many seconds it can be used; None: for ever.
    pub valid_s: Option<i64>,
    /// How many may use it; None: any number.
    pub max_uses: Option<i32>,
    /// Whether who uses it asks to join.
    pub needs_approval: bool,
}

/// An invite, as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InviteRow {
    /// Names it.
    pub invite: InviteId,
    /// Whoever has it may use it.
    pub token: InviteToken,
    /// Who made it.
    pub creator: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// When it ends; None: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// How many may use it; None: any number.
    pub max_uses: Option<i32>,
    /// How many have.
    pub uses: i32,
    /// Whether who uses it asks to join.
    pub needs_approval: bool,
}

/// What became of a call by one who is to manage invites.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Managed<T> {
    /// It was done.
    Done(T),
    /// The request id was used for something else, or for an invite that has ended.
    Reused,
    /// There is no such group for the caller.
    NotFound,
    /// Their role does not allow it.
    NotPermitted,
    /// The group has too many invites.
    Full,
}

/// What became of an attempt to join.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Joined {
    /// The user has asked to join.
    Requested {
        /// The group.
        conversation: ConversationId,
        /// Who is to be told: those who manage invites, if they do not know.
        told: Vec<UserId>,
        /// When, if it was now.
        at: Option<DateTime<Utc>>,
    },
    /// Too many ask to join the group.
    TooManyAsk,
    /// Anything else; what is not found is the invite.
    Changed(GroupChanged),
}

/// Where an invite leads, for one who has its token.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct InvitePreview {
    /// The group's name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its picture.
    pub avatar_url: String,
    /// How many members it has.
    pub member_count: i32,
    /// Whether the user would ask to join.
    pub needs_approval: bool,
    /// Whether they have asked.
    pub has_asked: bool,
    /// The group, if they are a member.
    #[sqlx(rename = "conversation_id")]
    pub member_of: Option<Uuid>,
}

/// Who asks to join.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinRequestRow {
    /// Who.
    pub user: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A page of those who ask to join.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JoinRequestsPage {
    /// By user id.
    pub requests: Vec<JoinRequestRow>,
    /// Where to go on.
    pub next: Option<UsersToken>,
}

/// An invite beside something else; all null without one.
#[derive(FromRow)]
struct RawInvite {
    invite_id: Option<Uuid>,
    token: Option<Vec<u8>>,
    creator_id: Option<String>,
    created_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    max_uses: Option<i32>,
    uses: Option<i32>,
    needs_approval: Option<bool>,
}

#[derive(FromRow)]
struct RawManaged {
    outcome: String,
    wait_us: Option<i64>,
}

#[derive(FromRow)]
struct RawMade {
    #[sqlx(flatten)]
    managed: RawManaged,
    #[sqlx(flatten)]
    invite: RawInvite,
}

/// `may`: null for one who is no member.
#[derive(FromRow)]
struct RawListed {
    may: Option<bool>,
    #[sqlx(flatten)]
    invite: RawInvite,
}

#[derive(FromRow)]
struct RawAsking {
    may: Option<bool>,
    user_id: Option<String>,
    requested_at: Option<DateTime<Utc>>,
}

impl RawInvite {
    fn read(self) -> Option<InviteRow> {
        Some(InviteRow {
            invite: self.invite_id?.into(),
            token: InviteToken::from_bytes(self.token?.try_into().ok()?),
            creator: self.creator_id?,
            created_at: self.created_at?,
            expires_at: self.expires_at,
            max_uses: self.max_uses,
            uses: self.uses?,
            needs_approval: self.needs_approval?,
        })
    }
}

impl RawManaged {
    fn read<T>(self, action: &'static str, done: Option<T>) -> Result<Result<Managed<T>, OutOfBudget>, StoreError> {
        Ok(Ok(match (self.outcome.as_str(), done) {
            ("ok", Some(done)) => Managed::Done(done),
            ("reused", _) => Managed::Reused,
            ("missing", _) => Managed::NotFound,
            ("not_permitted", _) => Managed::NotPermitted,
            ("full", _) => Managed::Full,
            ("limited", _) => return Ok(Err(OutOfBudget::after(self.wait_us.unwrap_or_default()))),
            _ => return Err(unknown_outcome(action)),
        }))
    }
}

/// The rows for one who may see them.
fn managed<T>(may: Option<bool>, rows: T) -> Managed<T> {
    match may {
        None => Managed::NotFound,
        Some(false) => Managed::NotPermitted,
        Some(true) => Managed::Done(rows),
    }
}

/// Whether user `$2` may do `$3` in group `$1`; null when they are not in it.
macro_rules! asker {
    () => {
        "(SELECT (
             SELECT may(m.role, c.member_may, c.admin_may, $3) FROM members m JOIN conversations c USING (conversation_id)
             WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL AND c.kind = 'group' AND c.deleted_at IS NULL
         ) AS may) asker"
    };
}

impl Postgres {
    /// Makes an invite, or finds the one that an earlier call with the same id has made.
    pub async fn create_invite(
        &self,
        invite: &NewInvite<'_>,
    ) -> Result<Result<Managed<InviteRow>, OutOfBudget>, StoreError> {
        const ACTION: &str = "make an invite";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawMade = self
            .fetch_one(ACTION, || {
                sqlx::query_as(
                    "SELECT r.outcome, r.wait_us, (r.invite).*
                     FROM create_invite($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) r",
                )
                .bind(invite.conversation.uuid())
                .bind(invite.creator.as_str())
                .bind(bits(Permission::ManageInvites))
                .bind(invite.request.as_str())
                .bind(invite.request_hash.as_slice())
                .bind(invite.candidate.uuid())
                .bind(invite.token.as_bytes().as_slice())
                .bind(invite.valid_s)
                .bind(invite.max_uses)
                .bind(invite.needs_approval)
                .bind(GROUP_INVITES_MAX)
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.managed.read(ACTION, raw.invite.read())
    }

    /// Ends an invite of a group, if it has it.
    pub async fn revoke_invite(
        &self,
        conversation: ConversationId,
        user: &UserId,
        invite: InviteId,
    ) -> Result<Result<Managed<()>, OutOfBudget>, StoreError> {
        const ACTION: &str = "revoke an invite";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawManaged = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM revoke_invite($1, $2, $3, $4, $5, $6)")
                    .bind(conversation.uuid())
                    .bind(user.as_str())
                    .bind(bits(Permission::ManageInvites))
                    .bind(invite.uuid())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, Some(()))
    }

    /// Lists the invites of a group that can be used, newest first.
    pub async fn list_invites(
        &self,
        conversation: ConversationId,
        user: &UserId,
    ) -> Result<Managed<Vec<InviteRow>>, StoreError> {
        let rows: Vec<RawListed> = self
            .fetch_all("list the invites of a group", || {
                sqlx::query_as(concat!(
                    "SELECT asker.may, i.* FROM ",
                    asker!(),
                    " LEFT JOIN LATERAL (
                         SELECT i.* FROM invites i WHERE asker.may AND i.conversation_id = $1 AND i.revoked_at IS NULL AND is_live(i)
                         ORDER BY i.created_at DESC LIMIT $4
                     ) i ON true ORDER BY i.created_at DESC"
                ))
                .bind(conversation.uuid())
                .bind(user.as_str())
                .bind(bits(Permission::ManageInvites))
                .bind(i64::from(GROUP_INVITES_MAX))
            })
            .await?;
        let may = rows.first().and_then(|row| row.may);
        let invites = rows.into_iter().filter_map(|row| row.invite.read());
        Ok(managed(may, invites.collect()))
    }

    /// Reads where an invite leads. None: there is no such invite that can be used.
    pub async fn lookup_invite(&self, token: InviteToken, user: &UserId) -> Result<Option<InvitePreview>, StoreError> {
        self.fetch_optional("look up an invite", || {
            sqlx::query_as(
                "SELECT g.name, g.description, g.avatar_url, c.member_count,
                        i.needs_approval OR EXISTS (
                            SELECT FROM members w
                            WHERE w.conversation_id = i.conversation_id AND w.user_id = $2 AND w.was_removed
                        ) AS needs_approval,
                        r.user_id IS NOT NULL AS has_asked,
                        m.conversation_id
                 FROM invites i JOIN conversations c USING (conversation_id) JOIN groups g USING (conversation_id)
                     LEFT JOIN members m ON m.conversation_id = i.conversation_id AND m.user_id = $2 AND m.ended_at IS NULL
                     LEFT JOIN join_requests r
                         ON r.conversation_id = i.conversation_id AND r.user_id = $2 AND r.declined_at IS NULL
                 WHERE i.token = $1 AND c.deleted_at IS NULL
                   AND (is_live(i) OR m.user_id IS NOT NULL OR r.user_id IS NOT NULL)",
            )
            .bind(token.as_bytes().to_vec())
            .bind(user.as_str())
        })
        .await
    }

    /// Joins a group by an invite, or asks to. The call's group is the invite's, whatever it says.
    pub async fn join_group(
        &self,
        token: InviteToken,
        user: &UserId,
        request_hash: &[u8; 32],
        content_hash: &[u8; 32],
    ) -> Result<Result<Joined, OutOfBudget>, StoreError> {
        const ACTION: &str = "join a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM join_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
                    .bind(token.as_bytes().to_vec())
                    .bind(user.as_str())
                    .bind(remembered(request_hash))
                    .bind(remembered(content_hash))
                    .bind(bits(Permission::ManageInvites))
                    .bind(GROUP_MEMBERS_MAX)
                    .bind(JOIN_REQUESTS_MAX)
                    .bind(CONVERSATIONS_MAX)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        match raw.conversation_id {
            Some(conversation) if raw.outcome == "requested" => Ok(Ok(Joined::Requested {
                conversation: conversation.into(),
                told: users(&raw.told.unwrap_or_default()),
                at: raw.allocated_at,
            })),
            Some(_) if raw.outcome == "too_many_ask" => Ok(Ok(Joined::TooManyAsk)),
            _ => Ok(raw.read(ACTION, user)?.map(Joined::Changed)),
        }
    }

    /// Lists who asks to join a group, by user id.
    pub async fn list_join_requests(
        &self,
        conversation: ConversationId,
        user: &UserId,
        page_size: PageSize,
        after: Option<&UsersToken>,
    ) -> Result<Managed<JoinRequestsPage>, StoreError> {
        let rows: Vec<RawAsking> = self
            .fetch_all("list who asks to join a group", || {
                sqlx::query_as(concat!(
                    "SELECT asker.may, r.user_id, r.requested_at FROM ",
                    asker!(),
                    " LEFT JOIN LATERAL (
                         SELECT r.* FROM join_requests r
                         WHERE asker.may AND r.conversation_id = $1 AND r.declined_at IS NULL
                           AND ($4::text IS NULL OR r.user_id > $4)
                         ORDER BY r.user_id LIMIT $5
                     ) r ON true ORDER BY r.user_id"
                ))
                .bind(conversation.uuid())
                .bind(user.as_str())
                .bind(bits(Permission::ManageInvites))
                .bind(after.map(|token| token.user.as_str()))
                .bind(page_size.rows())
            })
            .await?;
        let may = rows.first().and_then(|row| row.may);
        let rows = rows.into_iter().filter_map(|row| {
            Some(JoinRequestRow {
                user: row.user_id?,
                at: row.requested_at?,
            })
        });
        let (requests, next) = users_page(rows.collect(), page_size, |asking: &JoinRequestRow| &asking.user);
        Ok(managed(may, JoinRequestsPage { requests, next }))
    }

    /// Lets somebody in who asks to join, or not. Who does not ask is no member; too many conversations are theirs.
    pub async fn answer_join_request(
        &self,
        call: GroupCall<'_>,
        user: &UserId,
        approve: bool,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "answer who asks to join a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                change(
                    "SELECT * FROM answer_join_request($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                    call,
                )
                .bind(bits(Permission::ManageInvites))
                .bind(user.as_str())
                .bind(approve)
                .bind(GROUP_MEMBERS_MAX)
                .bind(CONVERSATIONS_MAX)
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, call.actor)
    }
}
