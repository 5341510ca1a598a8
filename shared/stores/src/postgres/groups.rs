//! Groups: their changes, members, and the outbox of what has a place and is not known to be in the timeline yet.

use chat_domain::{
    Audience, AvatarUrl, CONVERSATIONS_MAX, ConversationId, GROUP_MEMBERS_MAX, GroupDescription, GroupName,
    GroupSettings, PageSize, RequestId, Role, UserId, UsersToken, WRITE_BUDGET,
};
use chat_domain::{Permission, Permissions};
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use uuid::Uuid;

use super::budgets::OutOfBudget;
use super::conversations::{audience, role_of};
use super::{MemberRow, Postgres, STORE, unknown_outcome, users_page};
use crate::{GroupAction, GroupEntry, StoreError, StoreErrorKind};

/// What a user does to a group: the call that is told from a repeat by its id, and from another use of the id by its content.
#[derive(Clone, Copy, Debug)]
pub struct GroupCall<'a> {
    /// The group.
    pub conversation: ConversationId,
    /// Who.
    pub actor: &'a UserId,
    /// A hash of the call's id, whose first 8 bytes are remembered.
    pub request_hash: &'a [u8; 32],
    /// A hash of what it asks for, whose first 8 bytes are remembered.
    pub content_hash: &'a [u8; 32],
}

/// A group to be made.
#[derive(Clone, Debug)]
pub struct NewGroup<'a> {
    /// The id that it gets, if no earlier call has made it.
    pub candidate: ConversationId,
    /// Who makes it, and owns it.
    pub creator: &'a UserId,
    /// The call's id.
    pub request: &'a RequestId,
    /// A hash of what is asked for.
    pub request_hash: &'a [u8; 32],
    /// Its name.
    pub name: &'a GroupName,
    /// What it is about.
    pub description: &'a GroupDescription,
    /// Its picture.
    pub avatar_url: &'a AvatarUrl,
    /// How it works.
    pub settings: GroupSettings,
    /// Who is to be a member besides.
    pub users: &'a [UserId],
}

/// What of a group is to change.
#[derive(Clone, Debug, Default)]
pub struct GroupUpdate {
    /// Its name.
    pub name: Option<GroupName>,
    /// What it is about.
    pub description: Option<GroupDescription>,
    /// Its picture.
    pub avatar_url: Option<AvatarUrl>,
    /// What every member may.
    pub member_may: Option<Permissions>,
    /// What admins may besides.
    pub admin_may: Option<Permissions>,
    /// Whether new members see what was said before they came.
    pub shows_history: Option<bool>,
}

/// Where a user's own feed tells that a membership came or went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FeedPlace {
    /// The user.
    pub user: String,
    /// The place.
    pub revision: i64,
}

/// What became of a change of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GroupChanged {
    /// It was made.
    Done(Box<GroupDone>),
    /// The actor had made this call before, and nothing was done.
    Repeated(ConversationId),
    /// The request id is remembered with other content.
    Reused,
    /// There is no such group for the actor.
    NotFound,
    /// Their role does not allow it.
    NotPermitted,
    /// Whom it is about is no member.
    NoMember,
    /// An owner cannot leave.
    Owner,
    /// There would be too many members.
    Full,
    /// The actor has too many conversations.
    TooManyConversations,
}

/// A change of a group that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupDone {
    /// The group.
    pub conversation: ConversationId,
    /// Whether it was its deletion, which has no entry.
    pub is_deletion: bool,
    /// Its entry for the timeline; None where all was so already, or where it needs none.
    pub entry: Option<GroupEntry>,
    /// The members now.
    pub told: Audience,
    /// Whose membership came or went.
    pub feeds: Vec<FeedPlace>,
    /// Who was asked for and could not be added.
    pub left_out: Vec<String>,
    /// When it happened.
    pub at: Option<DateTime<Utc>>,
}

/// Who is to hear of a call on a group that was made before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupAudience {
    /// The newest revision.
    pub revision: i64,
    /// The database's clock.
    pub at: DateTime<Utc>,
    /// The members now.
    pub members: Audience,
    /// Whom the call is about and who are members.
    pub came: Vec<FeedPlace>,
    /// Whom the call is about, or its deletion, and who are no members any more.
    pub went: Vec<FeedPlace>,
}

/// Memberships that a deletion has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedMemberships {
    /// Where that stands in their users' feeds.
    pub feeds: Vec<FeedPlace>,
    /// Whether there are more to end.
    pub has_more: bool,
}

/// A page of members.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MembersPage {
    /// By user id.
    pub members: Vec<MemberRow>,
    /// Where to go on.
    pub next: Option<UsersToken>,
}

#[derive(FromRow)]
pub(super) struct RawChange {
    pub(super) outcome: String,
    pub(super) conversation_id: Option<Uuid>,
    revision: Option<i64>,
    after_seq: Option<i64>,
    pub(super) allocated_at: Option<DateTime<Utc>>,
    user_ids: Vec<String>,
    name: String,
    role: String,
    pub(super) told: Option<Vec<String>>,
    feed_users: Vec<String>,
    feed_revisions: Vec<i64>,
    left_out: Vec<String>,
    wait_us: Option<i64>,
    action: String,
    updated: Vec<String>,
}

#[derive(FromRow)]
struct RawOutbox {
    conversation_id: Uuid,
    revision: i64,
    after_seq: i64,
    actor_id: String,
    action: String,
    user_ids: Vec<String>,
    name: String,
    role: String,
    updated: Vec<String>,
    allocated_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct RawMember {
    is_member: bool,
    user_id: Option<String>,
    read_seq: Option<i64>,
    joined_revision: Option<i64>,
    delivered_seq: Option<i64>,
    role: Option<String>,
}

#[derive(FromRow)]
struct RawListener {
    revision: i64,
    is_deleted: bool,
    are_many: bool,
    at: DateTime<Utc>,
    user_id: Option<String>,
    feed_revision: Option<i64>,
    is_member: Option<bool>,
    is_about: Option<bool>,
}

impl RawChange {
    /// Reads what became of a change.
    pub(super) fn read(
        self,
        action: &'static str,
        actor: &UserId,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        let conversation = self.conversation_id.map(ConversationId::from);
        Ok(Ok(match (self.outcome.as_str(), conversation) {
            ("ok", Some(conversation)) => {
                let place = self.revision.zip(self.after_seq).zip(self.allocated_at);
                let place = place.zip(GroupAction::of(&self.action));
                let entry = place.map(|(((revision, after_seq), allocated_at), does)| GroupEntry {
                    conversation,
                    revision,
                    after_seq,
                    actor: actor.to_string(),
                    action: does,
                    users: self.user_ids,
                    name: self.name,
                    role: Role::of(&self.role),
                    updated: self.updated,
                    allocated_at,
                });
                GroupChanged::Done(Box::new(GroupDone {
                    conversation,
                    is_deletion: false,
                    entry,
                    told: audience(self.told),
                    feeds: feed_places(self.feed_users, self.feed_revisions),
                    left_out: self.left_out,
                    at: self.allocated_at,
                }))
            }
            ("repeated", Some(conversation)) => GroupChanged::Repeated(conversation),
            ("reused", _) => GroupChanged::Reused,
            ("missing", _) => GroupChanged::NotFound,
            ("not_permitted", _) => GroupChanged::NotPermitted,
            ("no_member", _) => GroupChanged::NoMember,
            ("owner", _) => GroupChanged::Owner,
            ("full", _) => GroupChanged::Full,
            ("conversation_limit", _) => GroupChanged::TooManyConversations,
            ("limited", _) => return Ok(Err(OutOfBudget::after(self.wait_us.unwrap_or_default()))),
            _ => return Err(unknown_outcome(action)),
        }))
    }
}

impl RawOutbox {
    fn entry(self) -> Option<GroupEntry> {
        Some(GroupEntry {
            conversation: self.conversation_id.into(),
            revision: self.revision,
            after_seq: self.after_seq,
            actor: self.actor_id,
            action: GroupAction::of(&self.action)?,
            users: self.user_ids,
            name: self.name,
            role: Role::of(&self.role),
            updated: self.updated,
            allocated_at: self.allocated_at,
        })
    }
}

pub(super) type Change<'q> = QueryAs<'q, sqlx::Postgres, RawChange, PgArguments>;

fn entries(action: &'static str, rows: Vec<RawOutbox>) -> Result<Vec<GroupEntry>, StoreError> {
    let unknown = || StoreError::new(StoreErrorKind::Corrupt, STORE, action, "an action is unknown");
    rows.into_iter().map(|row| row.entry().ok_or_else(unknown)).collect()
}

/// What Postgres remembers of a hash.
pub(super) fn remembered(hash: &[u8; 32]) -> &[u8] {
    hash.first_chunk::<8>().map_or(&[], |bytes| bytes.as_slice())
}

fn feed_places(users: Vec<String>, revisions: Vec<i64>) -> Vec<FeedPlace> {
    let places = users.into_iter().zip(revisions);
    places.map(|(user, revision)| FeedPlace { user, revision }).collect()
}

fn strings(users: &[UserId]) -> Vec<&str> {
    users.iter().map(UserId::as_str).collect()
}

pub(super) fn bits(permission: Permission) -> i32 {
    Permissions::NONE.and(permission).bits()
}

/// Starts a change's statement with what all of them are given.
pub(super) fn change<'q>(statement: &'static str, call: GroupCall<'q>) -> Change<'q> {
    sqlx::query_as(statement)
        .bind(call.conversation.uuid())
        .bind(call.actor.as_str())
        .bind(remembered(call.request_hash))
        .bind(remembered(call.content_hash))
}

impl Postgres {
    /// Makes a group, or finds the one that an earlier call with the same id has made.
    pub async fn create_group(&self, group: &NewGroup<'_>) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "create a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                sqlx::query_as(
                    "SELECT * FROM create_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                )
                .bind(group.candidate.uuid())
                .bind(group.creator.as_str())
                .bind(group.request.as_str())
                .bind(group.request_hash.as_slice())
                .bind(group.name.as_str())
                .bind(group.description.as_str())
                .bind(group.avatar_url.as_str())
                .bind(group.settings.shows_history)
                .bind(group.settings.member_may.bits())
                .bind(group.settings.admin_may.bits())
                .bind(strings(group.users))
                .bind(CONVERSATIONS_MAX)
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, group.creator)
    }

    /// Changes what a group shows or how it works.
    pub async fn update_group(
        &self,
        call: GroupCall<'_>,
        update: &GroupUpdate,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "update a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let shows_info = update.name.is_some() || update.description.is_some() || update.avatar_url.is_some();
        let has_settings = update.member_may.is_some() || update.admin_may.is_some() || update.shows_history.is_some();
        let needs = [
            shows_info.then_some(Permission::EditInfo),
            has_settings.then_some(Permission::ChangeSettings),
        ];
        let needs = needs.into_iter().flatten().fold(Permissions::NONE, Permissions::and);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                change(
                    "SELECT * FROM update_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                    call,
                )
                .bind(needs.bits())
                .bind(update.name.as_ref().map(GroupName::as_str))
                .bind(update.description.as_ref().map(GroupDescription::as_str))
                .bind(update.avatar_url.as_ref().map(AvatarUrl::as_str))
                .bind(update.shows_history)
                .bind(update.member_may.map(Permissions::bits))
                .bind(update.admin_may.map(Permissions::bits))
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, call.actor)
    }

    /// Adds those of these users who are the actor's friends and no members yet.
    pub async fn add_group_members(
        &self,
        call: GroupCall<'_>,
        users: &[UserId],
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "add members to a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                change(
                    "SELECT * FROM add_group_members($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    call,
                )
                .bind(bits(Permission::AddMembers))
                .bind(strings(users))
                .bind(GROUP_MEMBERS_MAX)
                .bind(CONVERSATIONS_MAX)
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, call.actor)
    }

    /// Removes a member whose role is lower than the actor's.
    pub async fn remove_group_member(
        &self,
        call: GroupCall<'_>,
        user: &UserId,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        let needs = bits(Permission::RemoveMembers);
        self.end_membership("remove a member from a group", call, needs, user)
            .await
    }

    /// Ends the actor's own membership, unless they own the group.
    pub async fn leave_group(&self, call: GroupCall<'_>) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        let needs = Permissions::NONE.bits();
        self.end_membership("leave a group", call, needs, call.actor).await
    }

    async fn end_membership(
        &self,
        action: &'static str,
        call: GroupCall<'_>,
        needs: i32,
        user: &UserId,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(action, || {
                change(
                    "SELECT * FROM end_group_membership($1, $2, $3, $4, $5, $6, $7, $8)",
                    call,
                )
                .bind(needs)
                .bind(user.as_str())
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        raw.read(action, call.actor)
    }

    /// Gives a member another role; that of the owner is the actor's own, who is an admin then.
    pub async fn set_group_role(
        &self,
        call: GroupCall<'_>,
        user: &UserId,
        role: Role,
    ) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "set a member's role";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let needs = match role {
            Role::Owner => Permission::TransferOwnership,
            Role::Member | Role::Admin => Permission::ManageRoles,
        };
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                change("SELECT * FROM set_group_role($1, $2, $3, $4, $5, $6, $7, $8, $9)", call)
                    .bind(bits(needs))
                    .bind(user.as_str())
                    .bind(role.as_str())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        raw.read(ACTION, call.actor)
    }

    /// Deletes a group, for every call at once.
    pub async fn delete_group(&self, call: GroupCall<'_>) -> Result<Result<GroupChanged, OutOfBudget>, StoreError> {
        const ACTION: &str = "delete a group";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let raw: RawChange = self
            .fetch_one(ACTION, || {
                change("SELECT * FROM delete_group($1, $2, $3, $4, $5, $6, $7)", call)
                    .bind(bits(Permission::DeleteGroup))
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let mut deleted = raw.read(ACTION, call.actor)?;
        if let Ok(GroupChanged::Done(done)) = &mut deleted {
            done.is_deletion = true;
            if done.told == Audience::Members {
                done.told = Audience::Remaining;
            }
        }
        Ok(deleted)
    }

    /// Lists the members of a conversation that `user` is in, by user id; of a group alone, if that is asked for. None: it is not
    /// there for them.
    pub async fn list_members(
        &self,
        conversation: ConversationId,
        user: &UserId,
        only_groups: bool,
        page_size: PageSize,
        after: Option<&UsersToken>,
    ) -> Result<Option<MembersPage>, StoreError> {
        let rows: Vec<RawMember> = self
            .fetch_all("list the members of a conversation", || {
                sqlx::query_as(
                    "SELECT asker.is_member, x.user_id, x.read_seq, x.joined_revision, x.role,
                            greatest(x.read_seq, x.delivered_seq) AS delivered_seq
                     FROM (
                         SELECT EXISTS (
                             SELECT FROM members m JOIN conversations c USING (conversation_id)
                             WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL
                               AND c.deleted_at IS NULL AND ($5 IS NOT TRUE OR c.kind = 'group')
                         ) AS is_member
                     ) asker LEFT JOIN LATERAL (
                         SELECT * FROM members x
                         WHERE asker.is_member AND x.conversation_id = $1 AND x.ended_at IS NULL
                           AND ($3::text IS NULL OR x.user_id > $3)
                         ORDER BY x.user_id LIMIT $4
                     ) x ON true
                     ORDER BY x.user_id",
                )
                .bind(conversation.uuid())
                .bind(user.as_str())
                .bind(after.map(|token| token.user.as_str()))
                .bind(page_size.rows())
                .bind(only_groups)
            })
            .await?;
        if !rows.first().is_some_and(|row| row.is_member) {
            return Ok(None);
        }
        let rows = rows.into_iter().filter_map(|row| {
            Some(MemberRow {
                user_id: row.user_id?,
                read_seq: row.read_seq?,
                joined_revision: row.joined_revision?,
                role: row.role.as_deref().map(role_of),
                delivered_seq: row.delivered_seq?,
            })
        });
        let (members, next) = users_page(rows.collect(), page_size, |member: &MemberRow| &member.user_id);
        Ok(Some(MembersPage { members, next }))
    }

    /// Reads the entries of a conversation that are not known to be in the timeline, up to a revision, by revision: the first
    /// ones, at most `limit`.
    pub async fn list_pending(
        &self,
        conversation: ConversationId,
        through: i64,
        limit: i64,
    ) -> Result<Vec<GroupEntry>, StoreError> {
        const ACTION: &str = "read the outbox of a group";
        let rows: Vec<RawOutbox> = self
            .fetch_all(ACTION, || {
                sqlx::query_as(
                    "SELECT * FROM outbox WHERE conversation_id = $1 AND revision <= $2 ORDER BY revision LIMIT $3",
                )
                .bind(conversation.uuid())
                .bind(through)
                .bind(limit)
            })
            .await?;
        entries(ACTION, rows)
    }

    /// Gives a change another place, since something else stands in the one that it has: above everything, also above these
    /// greatest revision and seq, which the timeline was found to hold. None: somebody else has.
    pub async fn lift_change(
        &self,
        conversation: ConversationId,
        revision: i64,
        floors: (i64, i64),
    ) -> Result<Option<GroupEntry>, StoreError> {
        const ACTION: &str = "give a change of a group another place";
        let rows: Vec<RawOutbox> = self
            .fetch_all(ACTION, || {
                sqlx::query_as("SELECT * FROM lift_change($1, $2, $3, $4)")
                    .bind(conversation.uuid())
                    .bind(revision)
                    .bind(floors.0)
                    .bind(floors.1)
            })
            .await?;
        Ok(entries(ACTION, rows)?.pop())
    }

    /// Reads who is to hear of a call on a group that was made before: its members, and those whom the call is about, with
    /// those whom its deletion has just taken out, if the caller is among them. None: there is no such group.
    pub async fn lookup_audience(
        &self,
        conversation: ConversationId,
        caller: &UserId,
        about: &[UserId],
    ) -> Result<Option<GroupAudience>, StoreError> {
        let rows: Vec<RawListener> = self
            .fetch_all("read who is to hear of a call on a group", || {
                sqlx::query_as(
                    "SELECT c.revision, c.deleted_at IS NOT NULL AS is_deleted,
                         CASE WHEN c.deleted_at IS NULL THEN c.member_count > named_members_max()
                             ELSE c.member_count > 0 AND a.was_member END AS are_many,
                         clock_timestamp() AS at, m.user_id, m.feed_revision, m.is_member, m.is_about
                     FROM conversations c CROSS JOIN LATERAL (
                         SELECT EXISTS (
                             SELECT FROM members m
                             WHERE m.conversation_id = $1 AND m.user_id = $3 AND (m.ended_at IS NULL OR m.ended_at >= c.deleted_at)
                         ) AS was_member
                     ) a LEFT JOIN LATERAL (
                         SELECT m.user_id, m.feed_revision, true AS is_member, true AS is_about
                         FROM members m
                         WHERE m.conversation_id = $1 AND m.user_id = ANY ($2) AND m.ended_at IS NULL AND c.deleted_at IS NULL
                         UNION ALL
                         SELECT m.user_id, m.feed_revision, true, false
                         FROM members m
                         WHERE c.deleted_at IS NULL AND c.member_count <= named_members_max()
                           AND m.conversation_id = $1 AND m.user_id <> ALL ($2) AND m.ended_at IS NULL
                         UNION ALL
                         SELECT m.user_id, m.feed_revision, false, true
                         FROM members m WHERE m.conversation_id = $1 AND m.user_id = ANY ($2) AND m.ended_at IS NOT NULL
                         UNION ALL
                         (SELECT m.user_id, m.feed_revision, false, true
                          FROM members m
                          WHERE c.deleted_at > clock_timestamp() - interval '10 minutes' AND a.was_member
                            AND m.conversation_id = $1 AND m.ended_at >= c.deleted_at AND m.user_id <> ALL ($2)
                          ORDER BY m.user_id LIMIT named_members_max())
                     ) m ON true
                     WHERE c.conversation_id = $1 ORDER BY m.user_id",
                )
                .bind(conversation.uuid())
                .bind(strings(about))
                .bind(caller.as_str())
            })
            .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut listeners = GroupAudience {
            revision: first.revision,
            at: first.at,
            members: Audience::Members,
            came: Vec::new(),
            went: Vec::new(),
        };
        let (is_deleted, are_many) = (first.is_deleted, first.are_many);
        let mut members = Vec::new();
        for row in rows {
            let Some(user) = row.user_id else { continue };
            let feed = row.feed_revision.filter(|_| row.is_about == Some(true));
            let feed = feed.map(|revision| FeedPlace {
                user: user.clone(),
                revision,
            });
            if row.is_member == Some(true) {
                members.push(user);
                listeners.came.extend(feed);
            } else {
                listeners.went.extend(feed);
            }
        }
        listeners.members = match audience((!are_many).then_some(members)) {
            Audience::Members if is_deleted => Audience::Remaining,
            members => members,
        };
        Ok(Some(listeners))
    }

    /// Reads those of these users who are members of a group, by user id.
    pub async fn list_members_among(
        &self,
        conversation: ConversationId,
        users: &[&str],
    ) -> Result<Vec<MemberRow>, StoreError> {
        let rows: Vec<(String, i64, i64, String, i64)> = self
            .fetch_all("read members of a group", || {
                sqlx::query_as(
                    "SELECT m.user_id, m.read_seq, m.joined_revision, m.role, greatest(m.read_seq, m.delivered_seq)
                     FROM members m
                     WHERE m.conversation_id = $1 AND m.user_id = ANY ($2) AND m.ended_at IS NULL ORDER BY m.user_id",
                )
                .bind(conversation.uuid())
                .bind(users)
            })
            .await?;
        let members = rows
            .into_iter()
            .map(|(user_id, read_seq, joined_revision, role, delivered_seq)| MemberRow {
                user_id,
                read_seq,
                joined_revision,
                role: Some(role_of(&role)),
                delivered_seq,
            });
        Ok(members.collect())
    }

    /// Reads some member of a group. None: it has none.
    pub async fn lookup_any_member(&self, conversation: ConversationId) -> Result<Option<UserId>, StoreError> {
        let member: Option<(String,)> = self
            .fetch_optional("read a member of a group", || {
                sqlx::query_as(
                    "SELECT m.user_id FROM members m WHERE m.conversation_id = $1 AND m.ended_at IS NULL
                     ORDER BY m.user_id LIMIT 1",
                )
                .bind(conversation.uuid())
            })
            .await?;
        Ok(member.and_then(|(user,)| user.parse().ok()))
    }

    /// Reads the members of a group who had joined before a revision, by user id, above one user and up to another. Nobody of a
    /// group that is deleted, or that knows of no such revision: it is of another life of the databases.
    pub async fn list_listeners(
        &self,
        conversation: ConversationId,
        joined_before: i64,
        after: Option<&UserId>,
        through: Option<&UserId>,
    ) -> Result<Vec<UserId>, StoreError> {
        let members: Vec<(String,)> = self
            .fetch_all("read whom to tell of a change", || {
                sqlx::query_as(
                    "SELECT m.user_id FROM members m
                     WHERE m.conversation_id = $1 AND m.ended_at IS NULL AND m.joined_revision < $2
                       AND ($3::text IS NULL OR m.user_id > $3) AND ($4::text IS NULL OR m.user_id <= $4)
                       AND EXISTS (
                           SELECT FROM conversations c
                           WHERE c.conversation_id = $1 AND c.deleted_at IS NULL AND c.revision >= $2)
                     ORDER BY m.user_id",
                )
                .bind(conversation.uuid())
                .bind(joined_before)
                .bind(after.map(UserId::as_str))
                .bind(through.map(UserId::as_str))
            })
            .await?;
        Ok(members.iter().filter_map(|(user,)| user.parse().ok()).collect())
    }

    /// Ends memberships of a group that is deleted, as many as a call names. None: it is not deleted, or all have ended.
    pub async fn end_deleted(&self, conversation: ConversationId) -> Result<Option<EndedMemberships>, StoreError> {
        self.end_some_deleted(&[conversation], true).await
    }

    /// The same for one of these conversations of which memberships are left, unless somebody is at it: whether some ended.
    pub async fn end_deleted_among(&self, conversations: &[ConversationId]) -> Result<bool, StoreError> {
        Ok(self.end_some_deleted(conversations, false).await?.is_some())
    }

    async fn end_some_deleted(
        &self,
        conversations: &[ConversationId],
        waits: bool,
    ) -> Result<Option<EndedMemberships>, StoreError> {
        type Row = (Option<Vec<String>>, Option<Vec<i64>>, Option<bool>);
        let conversations: Vec<Uuid> = conversations.iter().map(|conversation| conversation.uuid()).collect();
        let ended: Option<Row> = self
            .fetch_optional("end the memberships of a deleted group", || {
                sqlx::query_as(
                    "SELECT e.user_ids, e.feed_revisions, e.has_more FROM (
                         SELECT c.conversation_id FROM conversations c
                         WHERE c.conversation_id = ANY ($1) AND c.deleted_at IS NOT NULL AND c.member_count > 0 LIMIT 1
                     ) c CROSS JOIN LATERAL end_deleted(c.conversation_id, $2) e",
                )
                .bind(&conversations)
                .bind(waits)
            })
            .await?;
        let Some((Some(users), Some(revisions), has_more)) = ended else {
            return Ok(None);
        };
        Ok(Some(EndedMemberships {
            feeds: feed_places(users, revisions),
            has_more: has_more.unwrap_or_default(),
        }))
    }

    /// Reads which of these places have an entry that is not known to be in the timeline. Whoever knows of a place by a head
    /// that was read before finds its entry here or in the timeline.
    pub async fn list_outbox(&self, places: &[(ConversationId, i64)]) -> Result<Vec<GroupEntry>, StoreError> {
        const ACTION: &str = "read the outbox";
        let (conversations, revisions): (Vec<Uuid>, Vec<i64>) =
            places.iter().map(|(id, revision)| (id.uuid(), *revision)).unzip();
        let rows: Vec<RawOutbox> = self
            .fetch_all(ACTION, || {
                sqlx::query_as(
                    "SELECT o.* FROM outbox o
                     JOIN unnest($1::uuid[], $2::bigint[]) AS asked (conversation_id, revision)
                         USING (conversation_id, revision)",
                )
                .bind(&conversations)
                .bind(&revisions)
            })
            .await?;
        entries(ACTION, rows)
    }
}
