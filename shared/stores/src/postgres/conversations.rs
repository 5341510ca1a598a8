//! Conversations, members, read positions, and the sequencer.

use chat_domain::{
    Audience, CONVERSATIONS_MAX, ConversationId, ConversationsToken, GroupSettings, MessageId,
    PINNED_CONVERSATIONS_MAX, PageSize, Permissions, READ_BUDGET, Role, UNREAD_COUNT_MAX, UNREAD_TOTAL_MAX, UserId,
    WRITE_BUDGET, Window,
};
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::budgets::OutOfBudget;
use super::{Postgres, unknown_outcome};
use crate::StoreError;

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConversationRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its members by user id.
    pub members: Vec<MemberRow>,
    /// The newest revision handed out.
    pub revision: i64,
    /// The newest seq handed out, up to which `unread_count` counts.
    pub counted_seq: i64,
    /// How many messages of others the member has not read, of those handed out and not known to be none. Exact below
    /// `UNREAD_COUNT_MAX`, at most that.
    pub unread_count: i64,
    /// The revision at which the member joined.
    pub joined_revision: i64,
    /// What the member may see.
    pub window: Window,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When something was last said, or when it was opened.
    pub last_activity_at: DateTime<Utc>,
    /// What it is beyond a conversation; None of a direct one.
    pub group: Option<GroupRow>,
    /// What it is to the member alone: nobody else may be shown this.
    pub own: OwnRow,
}

/// What a conversation is to one member alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnRow {
    /// Until when it is muted, if it is.
    pub muted_until: Option<DateTime<Utc>>,
    /// Whether it is put away.
    pub archived: bool,
    /// Whether it is kept on top.
    pub pinned: bool,
    /// Whether it is flagged as unread.
    pub marked_unread: bool,
    /// Where the newest change of these stands in the member's feed; 0 before the first.
    pub revision: i64,
    /// Nothing up to this seq is shown to the member.
    pub visible_from_seq: i64,
    /// Hidden from the member's lists unless something was said after this seq.
    pub hidden_through_seq: Option<i64>,
}

/// A group as one of its members sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// Its picture.
    pub avatar_url: String,
    /// How it works.
    pub settings: GroupSettings,
    /// How many members it has.
    pub member_count: i32,
    /// What the member is in it.
    pub role: Role,
    /// The revision of its newest change.
    pub state_revision: i64,
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
    /// What they are in a group; None in a direct conversation.
    pub role: Option<Role>,
    /// What has reached a device of theirs; never below `read_seq`.
    pub delivered_seq: i64,
}

/// A conversation of a list, with what is needed to show its newest message and to count what is unread exactly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedRow {
    /// The conversation.
    pub conversation: ConversationRow,
    /// The newest seq that is not known to be no message's; 0 without any.
    pub newest_seq: i64,
    /// The greatest seq below which every seq either is a stored message's or is known to be none's. What is unread above
    /// may be on its way, or never come.
    pub closed_seq: i64,
}

impl ListedRow {
    /// The message that is to be shown, if what Postgres knows of it is true.
    pub fn newest_message(&self) -> MessageId {
        let conversation = &self.conversation;
        MessageId::at(
            conversation.conversation,
            self.newest_seq,
            conversation.last_activity_at,
        )
    }
}

/// Which conversations a list has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConversationsFilter {
    /// Only those with something unread, as far as Postgres knows, or marked as unread.
    pub only_unread: bool,
    /// Only those that the user has archived, or none of them; None for all.
    pub archived: Option<bool>,
    /// Only groups, or only direct conversations; None for all.
    pub groups: Option<bool>,
}

/// What a list has that does not say.
impl Default for ConversationsFilter {
    fn default() -> Self {
        Self {
            only_unread: false,
            archived: Some(false),
            groups: None,
        }
    }
}

/// A page of conversations, pinned ones first, then newest activity first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConversationsPage {
    /// The conversations.
    pub rows: Vec<ListedRow>,
    /// Where to go on.
    pub next: Option<ConversationsToken>,
}

/// Seqs up to `through` that no message of a conversation has now, as the timeline was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Missing {
    /// The conversation.
    pub conversation: ConversationId,
    /// Where counting ends, inclusive.
    pub through: i64,
    /// The seqs.
    pub seqs: Vec<i64>,
}

/// What a member may read of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The newest revision handed out; nothing above it is to be shown.
    pub revision: i64,
    /// The newest seq handed out.
    pub message_count: i64,
    /// What the member may see.
    pub window: Window,
    /// Every seq up to this one either is a stored message's or will never be one's.
    pub closed_seq: i64,
    /// The seqs above `closed_seq` that are known to be no message's, increasing.
    pub uncounted: Vec<i64>,
    /// When the newest revision was handed out.
    pub allocated_at: DateTime<Utc>,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Whether it is a group, which may have changed.
    pub is_group: bool,
}

/// A membership as a repeated write needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Writer {
    /// What the member may see.
    pub window: Window,
    /// Who is to be told of what the member wrote.
    pub members: Audience,
}

/// What became of opening a direct conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opened {
    /// It is there.
    Open(OpenedDirect),
    /// It is not there, and the two are not friends.
    NotFriends,
    /// It is not there, and one of the two has as many conversations as are allowed.
    TooManyConversations,
}

/// The direct conversation of two users.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedDirect {
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether this call created it.
    pub created: bool,
    /// Where the membership stands in the caller's feed.
    pub feed_revision: i64,
    /// Where the membership stands in the other's feed.
    pub other_feed_revision: i64,
}

/// Asks the sequencer for a place.
#[derive(Clone, Debug)]
pub struct Append<'a> {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub actor: &'a UserId,
    /// A hash of the operation's id, whose first 8 bytes are remembered. Each of the actor's newest operations gets the same
    /// place when repeated.
    pub op_id_hash: &'a [u8; 32],
    /// A hash of the operation's content, whose first 8 bytes are remembered.
    pub content_hash: &'a [u8; 32],
    /// Whether the change is a message, which takes a seq.
    pub is_message: bool,
    /// Places up to this revision are of no use any more: someone else closed them.
    pub after: i64,
    /// The greatest revision that the timeline was found to hold, when that is above what the sequencer knew; else 0.
    pub floor_revision: i64,
    /// The same for seqs.
    pub floor_seq: i64,
    /// How far the actor has read, which holds whatever becomes of the change; 0 when they did not say.
    pub read_seq: i64,
}

/// The sequencer's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Appended {
    /// What became of the change.
    pub outcome: Outcome,
    /// Where the actor's read position stands, when it is to be announced.
    pub read: Option<ReadPosition>,
}

/// What became of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The change has a place.
    Placed(Place),
    /// The conversation is not there, or the actor is not a member.
    NotFound,
    /// The actor may not send in this conversation now.
    CannotSend {
        /// The place that the operation got when it was still allowed. Its holder closes it.
        held: Option<Place>,
        /// Why not.
        why: Refusal,
    },
    /// The operation's id is remembered with other content.
    Reused,
    /// The actor writes too often.
    Limited(OutOfBudget),
}

/// Why a member may not send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The two of a direct conversation are no longer friends.
    NotFriends,
    /// Their role in the group does not allow it.
    NotPermitted,
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
    /// Who is to be told: the members.
    pub members: Audience,
}

/// Where a member stands after marking as read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadPosition {
    /// What they said they have read.
    pub read_seq: i64,
    /// How many messages of others are unread, at most `UNREAD_COUNT_MAX`.
    pub unread_count: i64,
    /// The seq up to which `unread_count` counts.
    pub counted_seq: i64,
    /// Whether it is what was asked for, and others are to be told.
    pub announce: bool,
    /// The database's clock.
    pub at: DateTime<Utc>,
    /// Who is to be told.
    pub members: Vec<UserId>,
    /// What the conversation is to the member, when it was marked as unread until now.
    pub unflagged: Option<OwnChanged>,
}

/// What a conversation is to a member, where that changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OwnChanged {
    /// What it is now.
    pub own: OwnRow,
    /// The database's clock.
    pub at: DateTime<Utc>,
}

/// What to change of what a conversation is to a member; None leaves it as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnUpdate {
    /// Until when to mute it; not at all with None inside.
    pub muted_until: Option<Option<DateTime<Utc>>>,
    /// Whether it is put away.
    pub archived: Option<bool>,
    /// Whether it is kept on top.
    pub pinned: Option<bool>,
    /// Whether it is flagged as unread.
    pub marked_unread: Option<bool>,
}

/// What became of changing what a conversation is to a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnUpdated {
    /// It has changed.
    Changed(OwnChanged),
    /// It was so already.
    AsAsked(OwnRow),
    /// It has changed since the member looked.
    ChangedSince,
    /// They have pinned as many as are allowed.
    TooManyPinned,
    /// It is not there, or they are not a member.
    NotFound,
}

/// What is left of a conversation to a member who has cleared or hidden it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Withdrawn {
    /// What it is to them.
    pub own: OwnRow,
    /// Where they stand, told to nobody else.
    pub position: ReadPosition,
    /// Whether that is new.
    pub changed: bool,
}

/// What has reached a member's devices.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivered {
    /// The greatest seq that has.
    pub delivered_seq: i64,
    /// The database's clock.
    pub at: DateTime<Utc>,
    /// Who is to be told; nobody when it is not what was asked for.
    pub members: Vec<UserId>,
}

/// What is unread to a user, over all conversations that they have neither archived nor hidden.
#[derive(Clone, Copy, Debug, Eq, FromRow, PartialEq)]
pub struct UnreadTotals {
    /// Conversations with something unread, or marked as unread, that are not muted.
    pub conversations: i64,
    /// Messages of others that are unread there, at most `UNREAD_TOTAL_MAX`.
    pub messages: i64,
    /// The same of those that are muted.
    pub muted_conversations: i64,
    /// The same of those that are muted.
    pub muted_messages: i64,
}

/// The seq up to which nothing is unread to member `m`.
macro_rules! read_base {
    () => {
        "greatest(m.read_seq, m.caught_up_seq, m.visible_from_seq)"
    };
}
pub(super) use read_base;

/// How much of conversation `c` is unread to member `m`. Counted the long way only where own or uncounted seqs are among it.
macro_rules! unread_count {
    () => {
        concat!(
            "CASE WHEN c.message_count <= ",
            $crate::postgres::conversations::read_base!(),
            " THEN 0 WHEN m.own_seq <= ",
            $crate::postgres::conversations::read_base!(),
            " AND c.uncounted_seq <= ",
            $crate::postgres::conversations::read_base!(),
            " THEN c.message_count - ",
            $crate::postgres::conversations::read_base!(),
            " ELSE count_unread(c.conversation_id, m.user_id, ",
            $crate::postgres::conversations::read_base!(),
            ", c.message_count) END"
        )
    };
}
pub(super) use unread_count;

/// A conversation as member `m` sees it: `c` the conversation, `o` the other member, `g` the group, `x` its members.
macro_rules! conversation_columns {
    () => {
        concat!(
            "c.conversation_id, c.revision, c.message_count, c.created_at, c.last_activity_at, c.closed_seq,
             m.user_id, m.read_seq, greatest(m.joined_revision, m.cleared_revision) AS joined_revision, m.visible_from_seq, m.role,
             coalesce(m.visible_from_revision, 0) AS visible_from_revision,
             CASE WHEN m.muted_until > clock_timestamp() THEN m.muted_until END AS muted_until,
             coalesce(m.archived, false) AS archived, coalesce(m.pinned, false) AS pinned,
             coalesce(m.marked_unread, false) AS marked_unread, coalesce(m.settings_revision, 0) AS settings_revision,
             CASE WHEN m.joined_revision <= m.hidden_revision THEN m.hidden_seq END AS hidden_through_seq,
             c.member_may, c.admin_may, c.member_count,
             g.name AS group_name, g.description AS group_description, g.avatar_url AS group_avatar_url,
             g.shows_history, g.state_revision, x.user_ids, x.read_seqs, x.joined_revisions, x.roles,
             x.delivered_seqs, greatest(m.read_seq, m.delivered_seq) AS delivered_seq,
             greatest(o.read_seq, o.delivered_seq) AS other_delivered_seq,
             o.user_id AS other_id, o.read_seq AS other_read_seq, o.joined_revision AS other_joined_revision, ",
            $crate::postgres::conversations::unread_count!(),
            " AS unread_count"
        )
    };
}
pub(super) use conversation_columns;

/// Of a conversation `c` that is a group: the group `g`, and `x`, its members in so many arrays, the first ones alone. Of a
/// direct one nothing is looked up.
macro_rules! group_of {
    ($members:literal) => {
        concat!(
            " LEFT JOIN LATERAL (
                 SELECT * FROM groups g WHERE c.low_user_id IS NULL AND g.conversation_id = c.conversation_id OFFSET 0
             ) g ON true LEFT JOIN LATERAL (
                 SELECT array_agg(x.user_id) AS user_ids, array_agg(x.read_seq) AS read_seqs,
                     array_agg(x.joined_revision) AS joined_revisions, array_agg(x.role) AS roles,
                     array_agg(greatest(x.read_seq, x.delivered_seq)) AS delivered_seqs
                 FROM (
                     SELECT * FROM members x
                     WHERE c.low_user_id IS NULL AND x.conversation_id = c.conversation_id AND x.ended_at IS NULL
                     ORDER BY x.user_id LIMIT ",
            $members,
            ") x
             ) x ON true "
        )
    };
}
pub(super) use group_of;

/// The members `m` of conversations `c`, each beside the other member `o`.
macro_rules! memberships {
    ($members:literal) => {
        concat!(
            "members m JOIN (SELECT * FROM conversations WHERE deleted_at IS NULL) c USING (conversation_id)
             LEFT JOIN members o ON o.conversation_id = c.conversation_id
                 AND o.user_id = CASE WHEN c.low_user_id = m.user_id THEN c.high_user_id ELSE c.low_user_id END",
            $crate::postgres::conversations::group_of!($members)
        )
    };
}
pub(super) use memberships;

/// The members `m`, who is `$1`, and `o` beside each conversation of the subquery `c`. By keys, whatever the planner thinks of
/// how many there are: OFFSET 0 keeps it from reading all that a user, or everybody, has.
macro_rules! members_by_keys {
    ($members:literal) => {
        concat!(
            "CROSS JOIN LATERAL (
                 SELECT * FROM members m
                 WHERE m.conversation_id = c.conversation_id AND m.user_id = $1 AND m.ended_at IS NULL OFFSET 0
             ) m LEFT JOIN LATERAL (
                 SELECT * FROM members o
                 WHERE o.conversation_id = c.conversation_id
                   AND o.user_id = CASE WHEN c.low_user_id = m.user_id THEN c.high_user_id ELSE c.low_user_id END
                 OFFSET 0
             ) o ON true",
            $crate::postgres::conversations::group_of!($members)
        )
    };
}
pub(super) use members_by_keys;

/// The newest seq of a conversation `c` that counts.
macro_rules! newest_seq {
    () => {
        "CASE WHEN c.uncounted_seq < c.message_count THEN c.message_count
              ELSE newest_counted(c.conversation_id, c.message_count) END AS newest_seq"
    };
}

/// The statement of [`Postgres::append`]. The statements of the busiest calls can be had, so that a benchmark compares the
/// service with the very same calls made bare.
pub const APPEND: &str = "SELECT * FROM take_place($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// The statement of [`Postgres::lookup_membership`].
pub const LOOKUP_MEMBERSHIP: &str =
    "SELECT c.revision, c.message_count, m.visible_from_seq, c.closed_seq,
         coalesce(m.visible_from_revision, 0) AS visible_from_revision,
         c.kind = 'group' AS is_group,
         CASE WHEN c.uncounted_seq > c.closed_seq THEN uncounted_above(c.conversation_id, c.closed_seq) END AS uncounted,
         c.allocated_at, clock_timestamp() AS now
     FROM members m JOIN conversations c USING (conversation_id)
     WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL AND c.deleted_at IS NULL";

/// What of the conversations `c` a list asks for: those above its page are `$2` and `$3`, the filters `$9` and `$10`.
macro_rules! is_listed {
    ($members:literal, $goes_on:literal) => {
        concat!(
            "b.wait_us = 0 AND c.conversation_id = ANY (ARRAY(",
            $members,
            ")) AND c.deleted_at IS NULL AND (",
            $goes_on,
            " OR (c.last_activity_at, c.conversation_id) < ($2, $3::uuid))
             AND ($9::text IS NULL OR c.kind = $9)
             AND ($10 IS NOT TRUE OR EXISTS (
                 SELECT FROM members m
                 WHERE m.conversation_id = c.conversation_id AND m.user_id = $1 AND (m.marked_unread OR ",
            unread_count!(),
            " > 0)))
             ORDER BY c.last_activity_at DESC, c.conversation_id DESC LIMIT $4"
        )
    };
}

/// The statement of [`Postgres::list_conversations`]. What costs is looked up for the conversations of the page only. The
/// arrays keep the planner from reading all conversations there are, and each is read from an index of its own. `$7`: whether
/// the page before ended among the pinned ones; `$8`: only archived ones, or none; null for all.
pub const LIST_CONVERSATIONS: &str = concat!(
    "SELECT b.wait_us, v.* FROM (SELECT charge($1, 'read', $5, $6) AS wait_us OFFSET 0) b LEFT JOIN LATERAL (SELECT ",
    conversation_columns!(),
    ", ",
    newest_seq!(),
    " FROM (
         SELECT * FROM (
             (SELECT c.*, true AS is_pinned FROM conversations c WHERE ($2::timestamptz IS NULL OR $7) AND ",
    is_listed!(
        "SELECT m.conversation_id FROM members m
         WHERE m.user_id = $1 AND m.pinned AND m.hidden_seq IS NULL AND m.ended_at IS NULL
           AND ($8::boolean IS NULL OR $8 = coalesce(m.archived, false))
         UNION ALL SELECT m.conversation_id FROM members m JOIN conversations h USING (conversation_id)
         WHERE m.user_id = $1 AND m.hidden_seq IS NOT NULL AND m.pinned AND m.ended_at IS NULL
           AND ($8 IS NULL OR $8 = coalesce(m.archived, false)) AND NOT is_hidden(m, h)",
        "$2 IS NULL"
    ),
    ") UNION ALL (SELECT c.*, false FROM conversations c WHERE ",
    is_listed!(
        "SELECT m.conversation_id FROM members m
         WHERE $8 IS NOT TRUE AND m.user_id = $1 AND m.archived IS NULL AND m.pinned IS NULL AND m.hidden_seq IS NULL
           AND m.ended_at IS NULL
         UNION ALL SELECT m.conversation_id FROM members m
         WHERE $8 IS NOT FALSE AND m.user_id = $1 AND m.archived AND m.pinned IS NULL AND m.hidden_seq IS NULL
           AND m.ended_at IS NULL
         UNION ALL SELECT m.conversation_id FROM members m JOIN conversations h USING (conversation_id)
         WHERE m.user_id = $1 AND m.hidden_seq IS NOT NULL AND m.pinned IS NULL AND m.ended_at IS NULL
           AND ($8 IS NULL OR $8 = coalesce(m.archived, false)) AND NOT is_hidden(m, h)",
        "$2 IS NULL OR $7"
    ),
    ")) c ORDER BY c.is_pinned DESC, c.last_activity_at DESC, c.conversation_id DESC LIMIT $4
       ) c ",
    members_by_keys!(10),
    ") v ON true
     ORDER BY v.pinned DESC, v.last_activity_at DESC, v.conversation_id DESC"
);

/// The statement of [`Postgres::count_unread_totals`].
const UNREAD_TOTALS: &str = concat!(
    "SELECT b.wait_us, t.* FROM (SELECT charge($1, 'read', $2, $3) AS wait_us OFFSET 0) b CROSS JOIN LATERAL (
         SELECT count(*) FILTER (WHERE NOT u.is_muted) AS conversations,
             least(coalesce(sum(least(u.unread, $4)) FILTER (WHERE NOT u.is_muted), 0), $5)::bigint AS messages,
             count(*) FILTER (WHERE u.is_muted) AS muted_conversations,
             least(coalesce(sum(least(u.unread, $4)) FILTER (WHERE u.is_muted), 0), $5)::bigint AS muted_messages
         FROM (
             SELECT (m.muted_until > clock_timestamp()) IS TRUE AS is_muted, m.marked_unread, ",
    unread_count!(),
    " AS unread
             FROM members m JOIN conversations c USING (conversation_id)
             WHERE b.wait_us = 0 AND m.user_id = $1 AND m.ended_at IS NULL AND c.deleted_at IS NULL AND m.archived IS NULL
               AND (m.marked_unread OR c.message_count > ",
    read_base!(),
    ") AND NOT is_hidden(m, c)
             OFFSET 0
         ) u
         WHERE u.unread > 0 OR u.marked_unread
     ) t"
);

#[derive(FromRow)]
pub(super) struct RawConversation {
    conversation_id: Uuid,
    revision: i64,
    message_count: i64,
    created_at: DateTime<Utc>,
    last_activity_at: DateTime<Utc>,
    user_id: String,
    read_seq: i64,
    joined_revision: i64,
    visible_from_seq: i64,
    visible_from_revision: i64,
    role: Option<String>,
    other_id: Option<String>,
    other_read_seq: Option<i64>,
    other_joined_revision: Option<i64>,
    other_delivered_seq: Option<i64>,
    delivered_seq: i64,
    delivered_seqs: Option<Vec<i64>>,
    member_may: Option<i32>,
    admin_may: Option<i32>,
    member_count: i32,
    group_name: Option<String>,
    group_description: Option<String>,
    group_avatar_url: Option<String>,
    shows_history: Option<bool>,
    state_revision: Option<i64>,
    user_ids: Option<Vec<String>>,
    read_seqs: Option<Vec<i64>>,
    joined_revisions: Option<Vec<i64>>,
    roles: Option<Vec<String>>,
    unread_count: i64,
    #[sqlx(flatten)]
    own: RawOwn,
}

#[derive(FromRow)]
struct RawOwn {
    visible_from_seq: i64,
    hidden_through_seq: Option<i64>,
    muted_until: Option<DateTime<Utc>>,
    archived: bool,
    pinned: bool,
    marked_unread: bool,
    settings_revision: i64,
}

impl From<RawOwn> for OwnRow {
    fn from(raw: RawOwn) -> Self {
        Self {
            muted_until: raw.muted_until,
            archived: raw.archived,
            pinned: raw.pinned,
            marked_unread: raw.marked_unread,
            revision: raw.settings_revision,
            visible_from_seq: raw.visible_from_seq,
            hidden_through_seq: raw.hidden_through_seq,
        }
    }
}

/// That a conversation is not marked as unread any more, if it was until now.
#[derive(FromRow)]
struct RawUnflagged {
    visible_from_seq: Option<i64>,
    hidden_through_seq: Option<i64>,
    feed_revision: Option<i64>,
    muted_until: Option<DateTime<Utc>>,
    archived: Option<bool>,
    pinned: Option<bool>,
}

impl RawUnflagged {
    fn at(self, at: DateTime<Utc>) -> Option<OwnChanged> {
        Some(OwnChanged {
            own: OwnRow {
                muted_until: self.muted_until,
                archived: self.archived?,
                pinned: self.pinned?,
                marked_unread: false,
                revision: self.feed_revision?,
                visible_from_seq: self.visible_from_seq?,
                hidden_through_seq: self.hidden_through_seq,
            },
            at,
        })
    }
}

impl RawConversation {
    /// What it is beyond a conversation.
    fn group(&mut self) -> Option<GroupRow> {
        Some(GroupRow {
            name: self.group_name.take()?,
            description: self.group_description.take()?,
            avatar_url: self.group_avatar_url.take()?,
            settings: GroupSettings {
                member_may: Permissions::from_bits(self.member_may?),
                admin_may: Permissions::from_bits(self.admin_may?),
                shows_history: self.shows_history?,
            },
            member_count: self.member_count,
            role: role_of(self.role.as_deref()?),
            state_revision: self.state_revision?,
        })
    }

    /// The members that were read, by user id; the one for whom it was read is always among them.
    fn members(&mut self) -> Vec<MemberRow> {
        let others = self.other_id.take().into_iter().map(|user_id| MemberRow {
            user_id,
            read_seq: self.other_read_seq.unwrap_or_default(),
            joined_revision: self.other_joined_revision.unwrap_or_default(),
            role: None,
            delivered_seq: self.other_delivered_seq.unwrap_or_default(),
        });
        let listed = self.user_ids.take().unwrap_or_default().into_iter();
        let listed = listed
            .zip(self.read_seqs.take().unwrap_or_default())
            .zip(self.joined_revisions.take().unwrap_or_default())
            .zip(self.roles.take().unwrap_or_default())
            .zip(self.delivered_seqs.take().unwrap_or_default());
        let listed = listed.map(
            |((((user_id, read_seq), joined_revision), role), delivered_seq)| MemberRow {
                user_id,
                read_seq,
                joined_revision,
                role: Some(role_of(&role)),
                delivered_seq,
            },
        );
        let mut members: Vec<MemberRow> = others.chain(listed).collect();
        members.retain(|member| member.user_id != self.user_id);
        members.push(MemberRow {
            user_id: std::mem::take(&mut self.user_id),
            read_seq: self.read_seq,
            joined_revision: self.joined_revision,
            role: self.role.as_deref().map(role_of),
            delivered_seq: self.delivered_seq,
        });
        members.sort_by(|one, other| one.user_id.cmp(&other.user_id));
        members
    }
}

/// Whom Postgres names as those to be told; null where they are too many.
pub(super) fn audience(members: Option<Vec<String>>) -> Audience {
    members.map_or(Audience::Members, |members| users(&members).into())
}

/// Stored ids. The tables hold no others.
pub(super) fn users(stored: &[String]) -> Vec<UserId> {
    stored.iter().filter_map(|user| user.parse().ok()).collect()
}

/// A stored role. The table holds no others.
pub(super) fn role_of(stored: &str) -> Role {
    Role::of(stored).unwrap_or(Role::Member)
}

impl From<RawConversation> for ConversationRow {
    fn from(mut raw: RawConversation) -> Self {
        Self {
            conversation: raw.conversation_id.into(),
            members: raw.members(),
            group: raw.group(),
            revision: raw.revision,
            counted_seq: raw.message_count,
            unread_count: raw.unread_count.min(UNREAD_COUNT_MAX),
            joined_revision: raw.joined_revision,
            window: Window::above(raw.visible_from_seq, raw.visible_from_revision),
            created_at: raw.created_at,
            last_activity_at: raw.last_activity_at,
            own: raw.own.into(),
        }
    }
}

#[derive(FromRow)]
struct RawListed {
    #[sqlx(flatten)]
    conversation: RawConversation,
    closed_seq: i64,
    newest_seq: i64,
}

impl From<RawListed> for ListedRow {
    fn from(raw: RawListed) -> Self {
        Self {
            closed_seq: raw.closed_seq,
            newest_seq: raw.newest_seq,
            conversation: raw.conversation.into(),
        }
    }
}

/// A row of a list; the row of an empty list, or of one that was refused, has no conversation.
struct RawListItem {
    wait_us: i64,
    listed: Option<RawListed>,
}

impl<'r> FromRow<'r, sqlx::postgres::PgRow> for RawListItem {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> sqlx::Result<Self> {
        use sqlx::Row as _;
        let id: Option<Uuid> = row.try_get("conversation_id")?;
        Ok(Self {
            wait_us: row.try_get("wait_us")?,
            listed: id.map(|_| RawListed::from_row(row)).transpose()?,
        })
    }
}

#[derive(FromRow)]
struct RawMembership {
    revision: i64,
    message_count: i64,
    visible_from_seq: i64,
    visible_from_revision: i64,
    is_group: bool,
    closed_seq: i64,
    uncounted: Option<Vec<i64>>,
    allocated_at: DateTime<Utc>,
    now: DateTime<Utc>,
}

impl From<RawMembership> for Membership {
    fn from(row: RawMembership) -> Self {
        Self {
            revision: row.revision,
            message_count: row.message_count,
            window: Window::above(row.visible_from_seq, row.visible_from_revision),
            is_group: row.is_group,
            closed_seq: row.closed_seq,
            uncounted: row.uncounted.unwrap_or_default(),
            allocated_at: row.allocated_at,
            now: row.now,
        }
    }
}

#[derive(FromRow)]
struct RawAppended {
    outcome: String,
    revision: Option<i64>,
    messages_after: Option<i64>,
    allocated_at: Option<DateTime<Utc>>,
    member_ids: Option<Vec<String>>,
    read_seq: Option<i64>,
    unread_count: Option<i64>,
    counted_seq: Option<i64>,
    at: Option<DateTime<Utc>>,
    wait_us: Option<i64>,
    #[sqlx(flatten)]
    unflagged: RawUnflagged,
}

#[derive(FromRow)]
struct RawOpened {
    outcome: String,
    conversation_id: Option<Uuid>,
    created: bool,
    feed_revision: Option<i64>,
    other_feed_revision: Option<i64>,
    wait_us: Option<i64>,
}

#[derive(FromRow)]
struct RawMarked {
    read_seq: Option<i64>,
    unread_count: Option<i64>,
    counted_seq: Option<i64>,
    announce: Option<bool>,
    at: Option<DateTime<Utc>>,
    member_ids: Option<Vec<String>>,
    wait_us: i64,
    #[sqlx(flatten)]
    unflagged: RawUnflagged,
}

#[derive(FromRow)]
struct RawOwnUpdated {
    outcome: String,
    feed_revision: Option<i64>,
    settings_revision: Option<i64>,
    muted_until: Option<DateTime<Utc>>,
    archived: Option<bool>,
    pinned: Option<bool>,
    marked_unread: Option<bool>,
    visible_from_seq: Option<i64>,
    hidden_through_seq: Option<i64>,
    at: DateTime<Utc>,
    wait_us: i64,
}

impl RawOwnUpdated {
    fn own(&self) -> Option<OwnRow> {
        Some(OwnRow {
            muted_until: self.muted_until,
            archived: self.archived?,
            pinned: self.pinned?,
            marked_unread: self.marked_unread?,
            revision: self.settings_revision?,
            visible_from_seq: self.visible_from_seq?,
            hidden_through_seq: self.hidden_through_seq,
        })
    }
}

#[derive(FromRow)]
struct RawWithdrawn {
    #[sqlx(flatten)]
    updated: RawOwnUpdated,
    read_seq: Option<i64>,
    unread_count: Option<i64>,
    counted_seq: Option<i64>,
}

/// What Postgres remembers of a hash.
fn remembered(hash: &[u8; 32]) -> &[u8] {
    hash.first_chunk::<8>().map_or(&[], |bytes| bytes.as_slice())
}

impl Postgres {
    /// Opens the direct conversation of `user` with `other`, or finds it.
    pub async fn open_direct_conversation(
        &self,
        candidate: ConversationId,
        user: &UserId,
        other: &UserId,
    ) -> Result<Result<Opened, OutOfBudget>, StoreError> {
        const ACTION: &str = "open a direct conversation";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: RawOpened = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM open_direct_conversation($1, $2, $3, $4, $5, $6)")
                    .bind(candidate.uuid())
                    .bind(user.as_str())
                    .bind(other.as_str())
                    .bind(CONVERSATIONS_MAX)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let revisions = row.feed_revision.zip(row.other_feed_revision);
        match (row.outcome.as_str(), row.conversation_id, revisions) {
            ("ok", Some(id), Some((feed_revision, other_feed_revision))) => Ok(Ok(Opened::Open(OpenedDirect {
                conversation: id.into(),
                created: row.created,
                feed_revision,
                other_feed_revision,
            }))),
            ("not_friends", ..) => Ok(Ok(Opened::NotFriends)),
            ("conversation_limit", ..) => Ok(Ok(Opened::TooManyConversations)),
            ("limited", ..) => Ok(Err(OutOfBudget::after(row.wait_us.unwrap_or_default()))),
            _ => Err(unknown_outcome(ACTION)),
        }
    }

    /// Reads a conversation as `user` sees it. None: it is not there, or they are not a member.
    pub async fn lookup_conversation(
        &self,
        conversation: ConversationId,
        user: &UserId,
    ) -> Result<Option<ListedRow>, StoreError> {
        let row: Option<RawListed> = self
            .fetch_optional("look up a conversation", || {
                sqlx::query_as(concat!(
                    "SELECT ",
                    conversation_columns!(),
                    ", ",
                    newest_seq!(),
                    " FROM ",
                    memberships!(100),
                    " WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL"
                ))
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
        let row: Option<RawMembership> = self
            .fetch_optional("look up a membership", || {
                sqlx::query_as(LOOKUP_MEMBERSHIP)
                    .bind(conversation.uuid())
                    .bind(user.as_str())
            })
            .await?;
        Ok(row.map(Into::into))
    }

    /// Reads whom a call of `user` that tells others again what it wrote has to tell, and takes it out of their budget. Who is
    /// not a member is charged nothing. In a group, others may have come since who are not to see it: the user alone is told.
    pub async fn charge_writer(
        &self,
        conversation: ConversationId,
        user: &UserId,
    ) -> Result<Result<Option<Writer>, OutOfBudget>, StoreError> {
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: Option<(i64, i64, i64, Option<Vec<String>>)> = self
            .fetch_optional("look up a membership and charge a call", || {
                sqlx::query_as(
                    "SELECT charge($2, 'write', $3, $4), m.visible_from_seq,
                         coalesce(m.visible_from_revision, 0),
                         CASE c.kind WHEN 'group' THEN ARRAY[m.user_id]
                             ELSE told(c.conversation_id, c.low_user_id, c.high_user_id, m.user_id) END
                     FROM members m JOIN conversations c USING (conversation_id)
                     WHERE m.conversation_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL AND c.deleted_at IS NULL",
                )
                .bind(conversation.uuid())
                .bind(user.as_str())
                .bind(charge.call_us)
                .bind(charge.burst_us)
            })
            .await?;
        Ok(match row {
            Some((wait_us, ..)) if wait_us > 0 => Err(OutOfBudget::after(wait_us)),
            row => Ok(row.map(|(_, visible_from_seq, visible_from_revision, members)| Writer {
                window: Window::above(visible_from_seq, visible_from_revision),
                members: audience(members),
            })),
        })
    }

    /// Lists conversations of a user, pinned ones first, then newest activity first.
    pub async fn list_conversations(
        &self,
        user: &UserId,
        filter: ConversationsFilter,
        page_size: PageSize,
        after: Option<&ConversationsToken>,
    ) -> Result<Result<ConversationsPage, OutOfBudget>, StoreError> {
        let charge = self.budgets.charge(READ_BUDGET);
        let items: Vec<RawListItem> = self
            .fetch_all("list conversations", || {
                sqlx::query_as(LIST_CONVERSATIONS)
                    .bind(user.as_str())
                    .bind(after.map(|token| token.time))
                    .bind(after.map(|token| token.conversation.uuid()))
                    .bind(page_size.rows())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
                    .bind(after.is_some_and(|token| token.pinned))
                    .bind(filter.archived)
                    .bind(filter.groups.map(|groups| if groups { "group" } else { "direct" }))
                    .bind(filter.only_unread)
            })
            .await?;
        if let Some(wait_us) = items.first().map(|item| item.wait_us).filter(|wait_us| *wait_us > 0) {
            return Ok(Err(OutOfBudget::after(wait_us)));
        }
        let rows = items.into_iter().filter_map(|item| item.listed);
        let mut rows: Vec<ListedRow> = rows.map(Into::into).collect();
        let more = rows.len() > page_size.get();
        rows.truncate(page_size.get());
        let last = rows.last().filter(|_| more).map(|row| &row.conversation);
        let next = last.map(|last| ConversationsToken {
            pinned: last.own.pinned,
            time: last.last_activity_at,
            conversation: last.conversation,
        });
        Ok(Ok(ConversationsPage { rows, next }))
    }

    /// Counts again how many messages `user` has not read of conversations in which the timeline lacked messages. In no
    /// order.
    pub async fn count_unread(
        &self,
        user: &UserId,
        missing: &[Missing],
    ) -> Result<Vec<(ConversationId, i64)>, StoreError> {
        let conversations: Vec<Uuid> = missing.iter().map(|missing| missing.conversation.uuid()).collect();
        let through: Vec<i64> = missing.iter().map(|missing| missing.through).collect();
        let (of, seqs): (Vec<Uuid>, Vec<i64>) = missing
            .iter()
            .flat_map(|missing| missing.seqs.iter().map(|seq| (missing.conversation.uuid(), *seq)))
            .unzip();
        let rows: Vec<(Uuid, i64)> = self
            .fetch_all("count what is unread", || {
                sqlx::query_as(concat!(
                    "SELECT m.conversation_id, count_unread(m.conversation_id, m.user_id, ",
                    read_base!(),
                    ", asked.through,
                         ARRAY(SELECT missing.seq FROM unnest($4::uuid[], $5::bigint[]) AS missing (conversation_id, seq)
                               WHERE missing.conversation_id = m.conversation_id))
                     FROM unnest($2::uuid[], $3::bigint[]) AS asked (conversation_id, through)
                     JOIN members m USING (conversation_id)
                     WHERE m.user_id = $1 AND m.ended_at IS NULL"
                ))
                .bind(user.as_str())
                .bind(&conversations)
                .bind(&through)
                .bind(&of)
                .bind(&seqs)
            })
            .await?;
        let counted = rows
            .into_iter()
            .map(|(id, unread)| (id.into(), unread.min(UNREAD_COUNT_MAX)));
        Ok(counted.collect())
    }

    /// Asks the sequencer for a place: locks the conversation, checks the actor's rights, hands out the place and keeps
    /// it with the actor's membership, in one round trip. May be repeated after a lost answer.
    pub async fn append(&self, append: &Append<'_>) -> Result<Appended, StoreError> {
        const ACTION: &str = "append";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: Option<RawAppended> = self
            .fetch_optional(ACTION, || {
                sqlx::query_as(APPEND)
                    .bind(append.conversation.uuid())
                    .bind(append.actor.as_str())
                    .bind(remembered(append.op_id_hash))
                    .bind(remembered(append.content_hash))
                    .bind(append.is_message)
                    .bind(append.after)
                    .bind(append.floor_revision)
                    .bind(append.floor_seq)
                    .bind(append.read_seq)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let Some(row) = row else {
            return Ok(Appended {
                outcome: Outcome::NotFound,
                read: None,
            });
        };
        let members = audience(row.member_ids);
        let read = match (row.read_seq, row.unread_count, row.counted_seq, row.at) {
            (Some(read_seq), Some(unread_count), Some(counted_seq), Some(at)) => Some(ReadPosition {
                read_seq,
                unread_count: unread_count.min(UNREAD_COUNT_MAX),
                counted_seq,
                announce: true,
                at,
                members: match &members {
                    Audience::Users(members) => members.clone(),
                    // Where they are too many to name, they are not told either.
                    Audience::Members | Audience::Remaining => vec![append.actor.clone()],
                },
                unflagged: row.unflagged.at(at),
            }),
            _ => None,
        };
        let place = match (row.revision, row.messages_after, row.allocated_at) {
            (Some(revision), Some(messages_after), Some(allocated_at)) => Some(Place {
                revision,
                messages_after,
                allocated_at,
                members,
            }),
            _ => None,
        };
        let outcome = match (row.outcome.as_str(), place) {
            ("placed", Some(place)) => Outcome::Placed(place),
            ("cannot_send", held) => Outcome::CannotSend {
                held,
                why: Refusal::NotFriends,
            },
            ("not_permitted", held) => Outcome::CannotSend {
                held,
                why: Refusal::NotPermitted,
            },
            ("reused", _) => Outcome::Reused,
            ("limited", _) => Outcome::Limited(OutOfBudget::after(row.wait_us.unwrap_or_default())),
            _ => return Err(unknown_outcome(ACTION)),
        };
        Ok(Appended { outcome, read })
    }

    /// Moves a member's read position forward, never past the newest seq, and takes off that they have marked the conversation
    /// as unread. None: the conversation is not there, or they are not a member.
    pub async fn mark_conversation_read(
        &self,
        conversation: ConversationId,
        user: &UserId,
        read_seq: i64,
    ) -> Result<Result<Option<ReadPosition>, OutOfBudget>, StoreError> {
        self.move_read_position(conversation, user, read_seq, false).await
    }

    /// The same for a position that was told before: what was marked as unread since stays so.
    pub async fn repeat_read_position(
        &self,
        conversation: ConversationId,
        user: &UserId,
        read_seq: i64,
    ) -> Result<Result<Option<ReadPosition>, OutOfBudget>, StoreError> {
        self.move_read_position(conversation, user, read_seq, true).await
    }

    async fn move_read_position(
        &self,
        conversation: ConversationId,
        user: &UserId,
        read_seq: i64,
        is_repeat: bool,
    ) -> Result<Result<Option<ReadPosition>, OutOfBudget>, StoreError> {
        const ACTION: &str = "mark a conversation as read";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: Option<RawMarked> = self
            .fetch_optional(ACTION, || {
                sqlx::query_as("SELECT * FROM mark_read($1, $2, $3, $4, $5, $6)")
                    .bind(conversation.uuid())
                    .bind(user.as_str())
                    .bind(read_seq)
                    .bind(is_repeat)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let Some(row) = row else { return Ok(Ok(None)) };
        if row.wait_us > 0 {
            return Ok(Err(OutOfBudget::after(row.wait_us)));
        }
        match (row.read_seq, row.unread_count, row.counted_seq, row.announce, row.at) {
            (Some(read_seq), Some(unread_count), Some(counted_seq), Some(announce), Some(at)) => {
                Ok(Ok(Some(ReadPosition {
                    read_seq,
                    unread_count: unread_count.min(UNREAD_COUNT_MAX),
                    counted_seq,
                    announce,
                    at,
                    members: users(&row.member_ids.unwrap_or_default()),
                    unflagged: row.unflagged.at(at),
                })))
            }
            _ => Err(unknown_outcome(ACTION)),
        }
    }

    /// Changes what a conversation is to a member, unless that has changed since its revision was `seen`.
    pub async fn update_own(
        &self,
        conversation: ConversationId,
        user: &UserId,
        seen: i64,
        update: &OwnUpdate,
    ) -> Result<Result<OwnUpdated, OutOfBudget>, StoreError> {
        const ACTION: &str = "change what a conversation is to a member";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: RawOwnUpdated = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM change_own($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
                    .bind(conversation.uuid())
                    .bind(user.as_str())
                    .bind(seen)
                    .bind(update.muted_until.is_some())
                    .bind(update.muted_until.flatten())
                    .bind(update.archived)
                    .bind(update.pinned)
                    .bind(update.marked_unread)
                    .bind(PINNED_CONVERSATIONS_MAX)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let updated = match (row.outcome.as_str(), row.own()) {
            ("ok", Some(own)) if row.feed_revision.is_some() => OwnUpdated::Changed(OwnChanged { own, at: row.at }),
            ("ok", Some(own)) => OwnUpdated::AsAsked(own),
            ("changed", _) => OwnUpdated::ChangedSince,
            ("pinned_limit", _) => OwnUpdated::TooManyPinned,
            ("missing", _) => OwnUpdated::NotFound,
            ("limited", _) => return Ok(Err(OutOfBudget::after(row.wait_us))),
            _ => return Err(unknown_outcome(ACTION)),
        };
        Ok(Ok(updated))
    }

    /// Shows a member nothing with a seq up to `through` any more. None: the conversation is not there, or they are not a member.
    pub async fn clear_history(
        &self,
        conversation: ConversationId,
        user: &UserId,
        through: i64,
    ) -> Result<Result<Option<Withdrawn>, OutOfBudget>, StoreError> {
        self.withdraw(conversation, user, through, true).await
    }

    /// Hides a conversation from a member's lists until something is said above `through`. None: it is not there, or they are
    /// not a member.
    pub async fn hide_conversation(
        &self,
        conversation: ConversationId,
        user: &UserId,
        through: i64,
    ) -> Result<Result<Option<Withdrawn>, OutOfBudget>, StoreError> {
        self.withdraw(conversation, user, through, false).await
    }

    async fn withdraw(
        &self,
        conversation: ConversationId,
        user: &UserId,
        through: i64,
        clears: bool,
    ) -> Result<Result<Option<Withdrawn>, OutOfBudget>, StoreError> {
        const ACTION: &str = "clear or hide a conversation";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: RawWithdrawn = self
            .fetch_one(ACTION, || {
                sqlx::query_as("SELECT * FROM withdraw($1, $2, $3, $4, $5, $6)")
                    .bind(conversation.uuid())
                    .bind(user.as_str())
                    .bind(through)
                    .bind(clears)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let updated = &row.updated;
        match (
            updated.outcome.as_str(),
            updated.own(),
            row.read_seq,
            row.unread_count,
            row.counted_seq,
        ) {
            ("ok", Some(own), Some(read_seq), Some(unread_count), Some(counted_seq)) => Ok(Ok(Some(Withdrawn {
                own,
                position: ReadPosition {
                    read_seq,
                    unread_count: unread_count.min(UNREAD_COUNT_MAX),
                    counted_seq,
                    announce: false,
                    at: updated.at,
                    members: Vec::new(),
                    unflagged: None,
                },
                changed: updated.feed_revision.is_some(),
            }))),
            ("missing", ..) => Ok(Ok(None)),
            ("limited", ..) => Ok(Err(OutOfBudget::after(updated.wait_us))),
            _ => Err(unknown_outcome(ACTION)),
        }
    }

    /// Moves what has reached a member's devices forward, never past the newest seq. None: the conversation is not there, or they
    /// are not a member.
    pub async fn mark_conversation_delivered(
        &self,
        conversation: ConversationId,
        user: &UserId,
        delivered_seq: i64,
    ) -> Result<Result<Option<Delivered>, OutOfBudget>, StoreError> {
        #[derive(FromRow)]
        struct Row {
            delivered_seq: Option<i64>,
            at: Option<DateTime<Utc>>,
            member_ids: Option<Vec<String>>,
            wait_us: i64,
        }
        const ACTION: &str = "mark a conversation as delivered";
        let charge = self.budgets.charge(WRITE_BUDGET);
        let row: Option<Row> = self
            .fetch_optional(ACTION, || {
                sqlx::query_as("SELECT * FROM mark_delivered($1, $2, $3, $4, $5)")
                    .bind(conversation.uuid())
                    .bind(user.as_str())
                    .bind(delivered_seq)
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        let Some(row) = row else { return Ok(Ok(None)) };
        if row.wait_us > 0 {
            return Ok(Err(OutOfBudget::after(row.wait_us)));
        }
        match (row.delivered_seq, row.at) {
            (Some(delivered_seq), Some(at)) => Ok(Ok(Some(Delivered {
                delivered_seq,
                at,
                members: users(&row.member_ids.unwrap_or_default()),
            }))),
            _ => Err(unknown_outcome(ACTION)),
        }
    }

    /// Counts what is unread to a user over all of their conversations, as far as Postgres knows.
    pub async fn count_unread_totals(&self, user: &UserId) -> Result<Result<UnreadTotals, OutOfBudget>, StoreError> {
        #[derive(FromRow)]
        struct Row {
            wait_us: i64,
            #[sqlx(flatten)]
            totals: UnreadTotals,
        }
        let charge = self.budgets.charge(READ_BUDGET);
        let row: Row = self
            .fetch_one("count what is unread in all conversations", || {
                sqlx::query_as(UNREAD_TOTALS)
                    .bind(user.as_str())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
                    .bind(UNREAD_COUNT_MAX)
                    .bind(UNREAD_TOTAL_MAX)
            })
            .await?;
        Ok(if row.wait_us > 0 {
            Err(OutOfBudget::after(row.wait_us))
        } else {
            Ok(row.totals)
        })
    }

    /// Takes a call out of the user's budget of costly reads.
    pub async fn charge_read(&self, user: &UserId) -> Result<Result<(), OutOfBudget>, StoreError> {
        let charge = self.budgets.charge(READ_BUDGET);
        let (wait_us,): (i64,) = self
            .fetch_one("charge a read", || {
                sqlx::query_as("SELECT charge($1, 'read', $2, $3)")
                    .bind(user.as_str())
                    .bind(charge.call_us)
                    .bind(charge.burst_us)
            })
            .await?;
        Ok(if wait_us > 0 {
            Err(OutOfBudget::after(wait_us))
        } else {
            Ok(())
        })
    }
}
