//! What a client knows of one conversation, and the rules by which it learns. No IO, no clock.
//!
//! Every change has a revision, 1, 2, 3 …, and the *cursor* is the revision up to which all of them are known. Live events
//! are hints: they may be lost, repeated and reordered, so one only moves the cursor when nothing is missing before it.
//! What arrives above a gap is shown at once, in the order of the seqs; only the cursor waits. An answer of
//! `SyncConversations` closes gaps. What is known only ever grows, by the greater `state_revision`, seq or read position,
//! so that in whatever order hints and answers come, the same things shown follow from the same things known.
//!
//! A conversation starts *closed*: a line of a list, with a count of what is unread. Opened, it gets a cursor from a sync,
//! then its newest page, and shows messages from then on.
//!
//! A clone shares everything with its original that neither has changed since: clones are cheap, however long the history.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use chat_contract::Timestamp;
use chat_contract::v1::{
    Conversation, ConversationCursor, ConversationKind, ConversationSettings, ConversationSync, Group, GroupAction,
    GroupChange, GroupChanged, GroupRole, LastMessage, ListMessagesResponse, Member, Message, ReadPositionMoved,
    change,
};
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use unicode_segmentation::UnicodeSegmentation;

/// Hints above a gap that are kept; a client that misses more has to sync anyway.
pub const HINTS_MAX: usize = 1_000;
/// Where counts of unread messages end: this many or more.
pub const UNREAD_MAX: i64 = 1_000;

/// Members of a group, at most, whom its conversation names; of more, the first ones by user id, and the user.
pub(crate) const NAMED_MEMBERS_MAX: i32 = 100;
/// The length of an excerpt, in characters.
const EXCERPT_CHARS: usize = 140;

/// What a client knows of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    about: Arc<About>,
    phase: Phase,
    joined_revision: i64,
    epoch: i64,
    /// Everything above this and up to the cursor came as changes; up to this, as pages, which tell nothing of voids.
    known_from: i64,
    /// Everything up to here is known.
    cursor: i64,
    /// The greatest seq known at a cursor that a sync gave.
    cursor_seq: i64,
    /// The greatest revision heard of.
    head: i64,
    /// All messages that are known. The id is part of the key so that two messages with one seq, which no correct service
    /// hands out, would both be seen.
    messages: RedBlackTreeMapSync<(i64, Arc<str>), Arc<Message>>,
    voids: RedBlackTreeSetSync<i64>,
    /// How the group changed, by revision, as far as history was loaded.
    changes: RedBlackTreeMapSync<i64, Arc<GroupChange>>,
    /// Hints above a gap: revision → the revision before it.
    hints: BTreeMap<i64, i64>,
    /// The newest message heard of, and the revision of its state, while there is no history to take it from.
    last_message: Option<(Arc<LastMessage>, i64)>,
    last_activity_at: Option<Timestamp>,
    counted: Counted,
    /// The greatest seq that the user has marked as read, here or elsewhere, told to the service or not.
    read_seq: i64,
    /// The greatest seq that was marked as read here.
    marked_seq: i64,
    /// Seqs of others' messages above what is counted and read, while there is no history to count in.
    heard: RedBlackTreeSetSync<i64>,
    has_older: bool,
    /// Where the pages begin. What changes below is no news while that part of history is not loaded: it would stand there
    /// without its neighbours, and older pages would go on below it.
    from_seq: i64,
    /// Kept here since whoever changes a timeline looks for it each time.
    pub(crate) place: Place,
}

/// Where a conversation stands in the plan of what to ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Not to be asked for.
    Nowhere,
    /// A sync has to give it a cursor.
    ToStart,
    /// Its history is to be loaded.
    ToLoad,
    /// A sync has to go on from its cursor.
    Moved,
    /// It is named when it has its turn.
    Whole,
}

/// What seldom changes, in one place: a copy of a timeline shares it.
#[derive(Clone, Debug, PartialEq)]
struct About {
    conversation_id: String,
    user_id: Arc<str>,
    kind: ConversationKind,
    created_at: Option<Timestamp>,
    group: Option<Group>,
    /// By user id, with those of whom is known that they are no members any more.
    members: BTreeMap<String, Standing>,
    /// The revision of the group as of which a list named all members. Older lists are no news.
    listed_at: i64,
    /// The greatest seq that each user has marked as read, members or not: news of a new member may come early.
    read_positions: BTreeMap<String, i64>,
    /// The greatest seq that has reached a device of each user's, where that is more than they have read.
    delivered_positions: BTreeMap<String, i64>,
    /// What it is to the user alone.
    settings: ConversationSettings,
    marked_unread: bool,
}

/// What a user is to a conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    is_member: bool,
    role: GroupRole,
    /// The revision of the group as of which this is so. What is older is no news, in whatever order it comes.
    as_of: i64,
}

/// How much of a conversation a client has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// A line of a list.
    Closed,
    /// Wanted: a sync has to give it a cursor.
    Starting,
    /// It has a cursor; its newest page has to be loaded.
    Paging,
    /// It has history.
    Loaded,
}

/// What the service counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Counted {
    /// Above this read position …
    read_seq: i64,
    /// … and up to this seq, so many messages of others are unread.
    seq: i64,
    unread: i64,
}

impl Counted {
    const NOTHING: Self = Self {
        read_seq: -1,
        seq: 0,
        unread: 0,
    };

    /// Whether this is what the service says later. Positions and seqs only grow; while both stay, a count only falls.
    fn is_after(&self, other: &Self) -> bool {
        (self.read_seq, self.seq, -self.unread) > (other.read_seq, other.seq, -other.unread)
    }
}

/// What a live event, or an answer, means for the cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing is missing below anything that was heard of.
    Whole,
    /// Something is missing. It may still come by itself; if it does not come soon, sync.
    Gap,
}

impl Timeline {
    /// A conversation as the feed or a list tells of it: closed.
    pub fn new(user_id: &str, conversation: &Conversation) -> Self {
        let about = About {
            conversation_id: conversation.conversation_id.clone(),
            user_id: user_id.into(),
            kind: ConversationKind::Unspecified,
            created_at: None,
            group: None,
            members: BTreeMap::new(),
            listed_at: 0,
            read_positions: BTreeMap::new(),
            delivered_positions: BTreeMap::new(),
            settings: ConversationSettings::default(),
            marked_unread: false,
        };
        let mut timeline = Self {
            about: Arc::new(about),
            phase: Phase::Closed,
            joined_revision: 0,
            epoch: 0,
            known_from: 0,
            cursor: 0,
            cursor_seq: 0,
            head: 0,
            messages: RedBlackTreeMapSync::default(),
            voids: RedBlackTreeSetSync::default(),
            changes: RedBlackTreeMapSync::default(),
            hints: BTreeMap::new(),
            last_message: None,
            last_activity_at: None,
            counted: Counted::NOTHING,
            read_seq: 0,
            marked_seq: 0,
            heard: RedBlackTreeSetSync::default(),
            has_older: false,
            from_seq: 0,
            place: Place::Nowhere,
        };
        timeline.take_conversation(conversation);
        timeline
    }

    /// The conversation.
    pub fn conversation_id(&self) -> &str {
        &self.about.conversation_id
    }

    /// What kind it is.
    pub fn kind(&self) -> ConversationKind {
        self.about.kind
    }

    /// What it is beyond a conversation, if it is a group; its role is the user's.
    pub fn group(&self) -> Option<Group> {
        let mut group = self.about.group.clone()?;
        let own = self.about.members.get(&*self.about.user_id);
        group.role = own.map_or(GroupRole::Unspecified, |own| own.role).into();
        Some(group)
    }

    /// The members that are known, by user id, each with their role: all of up to 100, once a sync has named them; of more, the
    /// first hundred, and those of whom something was heard.
    pub fn roles(&self) -> impl Iterator<Item = (&str, GroupRole)> {
        let members = self.about.members.iter().filter(|(_, standing)| standing.is_member);
        members.map(|(user, standing)| (user.as_str(), standing.role))
    }

    /// How the group changed, by increasing revision, as far as history was loaded. A change stands below the message whose seq
    /// is its `after_seq`.
    pub fn group_changes(&self) -> impl DoubleEndedIterator<Item = &GroupChange> {
        let changes = self.changes.values().map(|change| &**change);
        changes.filter(|_| self.is_loaded())
    }

    /// What it is to the user alone: until when it is muted, whether it is archived or pinned, and the revision to name when
    /// that is to be changed.
    pub fn settings(&self) -> &ConversationSettings {
        &self.about.settings
    }

    /// Whether the user has hidden it, and nothing was said since, as far as the client heard.
    pub fn is_hidden(&self) -> bool {
        let through = self.settings().hidden_through_seq;
        through.is_some_and(|through| self.newest_seq() <= through)
    }

    /// The newest seq that was heard of: of the newest message, or what was counted where there is none to show, as after
    /// history was cleared.
    pub(crate) fn newest_seq(&self) -> i64 {
        self.last_message().map_or(self.counted.seq, |message| message.seq)
    }

    /// Whether the user has marked it as unread.
    pub fn is_marked_unread(&self) -> bool {
        self.about.marked_unread
    }

    /// When it was opened.
    pub fn created_at(&self) -> Option<&Timestamp> {
        self.about.created_at.as_ref()
    }

    /// When something was last said, or when it was opened, as far as the client heard.
    pub fn last_activity_at(&self) -> Option<&Timestamp> {
        self.last_activity_at.as_ref()
    }

    /// The newest message that the client heard of, for a list.
    pub fn last_message(&self) -> Option<&LastMessage> {
        self.last_message.as_ref().map(|(message, _)| &**message)
    }

    /// How far the client is; what to sync from. As a sync handed it out, moved on by contiguous events.
    pub fn cursor(&self) -> ConversationCursor {
        ConversationCursor {
            conversation_id: self.about.conversation_id.clone(),
            joined_revision: self.joined_revision,
            revision: self.cursor,
            epoch: self.epoch,
        }
    }

    /// The revision of [`cursor`](Self::cursor).
    pub fn cursor_revision(&self) -> i64 {
        self.cursor
    }

    /// The greatest revision heard of.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// How much of it the client has.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether history was loaded. Until then nothing is shown: at first, and again after a reset.
    pub fn is_loaded(&self) -> bool {
        self.phase == Phase::Loaded
    }

    /// Whether there may be messages older than those that are shown.
    pub fn has_older(&self) -> bool {
        self.has_older
    }

    /// Whether history was loaded and nothing is missing below anything that was pushed or synced. While it is not,
    /// messages may still appear between those that are shown.
    pub fn is_whole(&self) -> bool {
        self.is_loaded() && self.cursor >= self.head
    }

    /// What the client shows: all messages that it knows, by increasing seq, above a gap as well.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages_between(i64::MIN, if self.is_loaded() { i64::MAX } else { i64::MIN })
    }

    /// The messages up to the cursor, by increasing seq: between them, no other will ever appear.
    pub fn messages_through_cursor(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages().filter(|message| message.revision <= self.cursor)
    }

    /// The revision above which every change up to the cursor is known, voids included. Of what is below it, pages of
    /// history tell the messages only.
    pub fn known_from(&self) -> i64 {
        self.known_from
    }

    /// The revisions above [`known_from`](Self::known_from) that hold nothing, in order.
    pub fn voids(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.voids.iter().copied()
    }

    /// How many messages of others the user has not read, as far as the client heard; [`UNREAD_MAX`] means that many or
    /// more. What the service counted, less what was marked as read since, and more what came since.
    pub fn unread_count(&self) -> i64 {
        let Counted { read_seq, seq, unread } = self.counted;
        let counted = match (self.read_seq >= seq, unread >= UNREAD_MAX) {
            (true, _) => 0,
            (false, true) => UNREAD_MAX,
            (false, false) => (unread - self.others_between(read_seq, self.read_seq)).max(0),
        };
        let floor = self.read_seq.max(seq);
        let above = if self.is_loaded() {
            self.others_between(floor, i64::MAX)
        } else {
            self.heard.iter().filter(|seq| **seq > floor).map(|_| 1).sum()
        };
        (counted + above).min(UNREAD_MAX)
    }

    /// How many messages of others are known above one seq and up to another; at most [`UNREAD_MAX`] are counted.
    fn others_between(&self, above: i64, through: i64) -> i64 {
        let others = self.messages_between(above, through);
        let others = others.filter(|message| *message.sender_id != *self.about.user_id);
        others
            .map(|_| 1)
            .take(usize::try_from(UNREAD_MAX).unwrap_or(usize::MAX))
            .sum()
    }

    fn messages_between(&self, above: i64, through: i64) -> impl DoubleEndedIterator<Item = &Message> {
        let start = (above.saturating_add(1), Arc::<str>::from(""));
        let end = match through.checked_add(1) {
            Some(seq) if seq > start.0 => Bound::Excluded((seq, Arc::<str>::from(""))),
            Some(_) => Bound::Excluded(start.clone()),
            None => Bound::Unbounded,
        };
        let range = self.messages.range((Bound::Included(start), end));
        range.map(|(_, message)| &**message)
    }

    /// The members, each with the greatest seq that they have marked as read.
    pub fn read_positions(&self) -> impl Iterator<Item = (&str, i64)> {
        let position = |member| self.about.read_positions.get(member).copied().unwrap_or_default();
        self.roles().map(move |(member, _)| (member, position(member)))
    }

    /// The greatest seq that has reached a device of a member's, as far as they have said; never less than they have read.
    pub fn delivered_position(&self, user_id: &str) -> Option<i64> {
        let read = self.read_position(user_id)?;
        let delivered = self.about.delivered_positions.get(user_id).copied();
        Some(delivered.unwrap_or_default().max(read))
    }

    /// The greatest seq that a member has marked as read; nothing for one who is no member.
    pub fn read_position(&self, user_id: &str) -> Option<i64> {
        self.read_positions()
            .find_map(|(member, read_seq)| (member == user_id).then_some(read_seq))
    }

    /// The greatest seq that the user has marked as read, on this device or another.
    pub fn read_seq(&self) -> i64 {
        self.read_seq
    }

    /// What was marked as read here and is not known to have reached the service.
    pub fn unsent_mark(&self) -> Option<i64> {
        (self.marked_seq > self.counted.read_seq.max(0)).then_some(self.marked_seq)
    }

    /// The seq below which older history goes on: that of the oldest message at hand.
    pub fn oldest_seq(&self) -> Option<i64> {
        self.messages.first().map(|((seq, _), _)| *seq)
    }

    /// The greatest seq that may be marked as read: of a message that is shown, or known at the cursor of a sync.
    fn shown_seq(&self) -> i64 {
        let newest = match self.messages.last() {
            Some(((seq, _), _)) if self.is_loaded() => *seq,
            _ => self.last_message().map(|message| message.seq).unwrap_or_default(),
        };
        newest.max(self.cursor_seq)
    }

    /// Names the user, once that is known.
    pub(crate) fn take_user_id(&mut self, user_id: &Arc<str>) {
        Arc::make_mut(&mut self.about).user_id = user_id.clone();
        let read_seq = self.about.read_positions.get(&**user_id).copied().unwrap_or_default();
        self.read_seq = self.read_seq.max(read_seq);
        self.counted.read_seq = self.counted.read_seq.max(read_seq);
    }

    /// Wants history.
    pub fn open(&mut self) {
        if self.phase == Phase::Closed {
            self.phase = Phase::Starting;
        }
    }

    /// Gives history up and keeps the line of the list.
    pub fn close(&mut self) {
        let floor = self.counted.seq.max(self.read_seq);
        let others = self
            .messages_between(floor, i64::MAX)
            .filter(|it| *it.sender_id != *self.about.user_id);
        let heard = others
            .take(usize::try_from(UNREAD_MAX).unwrap_or(usize::MAX))
            .map(|message| message.seq)
            .collect();
        self.forget();
        self.heard = heard;
        self.phase = Phase::Closed;
        (self.joined_revision, self.epoch, self.known_from, self.cursor) = (0, 0, 0, 0);
    }

    /// Takes what the feed or a list says of the conversation. Answers whether less or more of it is to be seen now.
    pub fn take_conversation(&mut self, conversation: &Conversation) -> bool {
        self.head = self.head.max(conversation.revision);
        let about = Arc::make_mut(&mut self.about);
        (about.kind, about.created_at) = (conversation.kind(), conversation.created_at);
        self.take_activity(conversation.last_activity_at.as_ref());
        let has_window_moved = self.take_settings(conversation.settings.as_ref(), conversation.marked_unread);
        if let Some(last) = &conversation.last_message {
            self.take_last_message(last.clone(), 0);
        }
        self.take_members(&conversation.members, conversation.group.as_ref());
        let read_seq = self.own_position(&conversation.members);
        self.take_counts(read_seq, conversation.unread_count, conversation.counted_seq);
        has_window_moved
    }

    /// Takes what it is to the user alone, unless something newer is known; none is nothing that was said about it. Answers
    /// whether less or more of it is to be seen now.
    pub fn take_settings(&mut self, settings: Option<&ConversationSettings>, marked_unread: bool) -> bool {
        let Some(settings) = settings.filter(|settings| settings.revision >= self.about.settings.revision) else {
            return false;
        };
        let before = self.window_edge();
        if (&self.about.settings, self.about.marked_unread) != (settings, marked_unread) {
            let about = Arc::make_mut(&mut self.about);
            (about.settings, about.marked_unread) = (*settings, marked_unread);
        }
        if self.window_edge() > before {
            self.drop_cleared();
        }
        self.window_edge() != before
    }

    /// The seq up to which the user sees nothing.
    fn window_edge(&self) -> i64 {
        self.about.settings.visible_from_seq
    }

    /// Drops what the user does not see any more.
    fn drop_cleared(&mut self) {
        let edge = self.window_edge();
        while let Some(key) = self
            .messages
            .first()
            .map(|(key, _)| key.clone())
            .filter(|key| key.0 <= edge)
        {
            self.messages.remove_mut(&key);
            self.has_older = false;
        }
        while let Some(revision) = self
            .changes
            .first()
            .filter(|(_, change)| change.after_seq < edge)
            .map(|(revision, _)| *revision)
        {
            self.changes.remove_mut(&revision);
        }
        while let Some(seq) = self.heard.first().copied().filter(|seq| *seq <= edge) {
            self.heard.remove_mut(&seq);
        }
        if self.last_message().is_some_and(|last| last.seq <= edge) {
            self.last_message = None;
        }
    }

    /// Takes a page of history: the newest when there is none yet, or one of older messages.
    pub fn take_page(&mut self, page: ListMessagesResponse) {
        if !matches!(self.phase, Phase::Paging | Phase::Loaded) {
            return;
        }
        let oldest = self.oldest_seq();
        let is_older = oldest.is_none_or(|oldest| page.messages.iter().all(|message| message.seq < oldest));
        if !self.is_loaded() || is_older {
            self.has_older = page.has_more_before;
            if let Some(first) = page.messages.first() {
                self.from_seq = if self.has_older { first.seq } else { 0 };
            }
        }
        self.phase = Phase::Loaded;
        while let Some(key) = self
            .messages
            .first()
            .map(|(key, _)| key.clone())
            .filter(|key| key.0 < self.from_seq)
        {
            self.messages.remove_mut(&key);
        }
        for message in page.messages {
            self.take_message(message);
        }
        while let Some(revision) = self
            .changes
            .first()
            .filter(|(_, change)| change.after_seq < self.from_seq)
            .map(|(revision, _)| *revision)
        {
            self.changes.remove_mut(&revision);
        }
        for change in page.group_changes {
            self.take_change(change);
        }
        self.heard = RedBlackTreeSetSync::default();
    }

    /// Takes a message that a live event tells of, with the revision before it.
    pub fn take_pushed_message(&mut self, message: Message, revision: i64, previous_revision: i64) -> Step {
        self.take_message(message);
        // Without the revision before it, nothing says what else is missing.
        if self.phase != Phase::Closed && (previous_revision > 0 || revision == 1) {
            self.hints.insert(revision, previous_revision);
        }
        self.take_poke(revision)
    }

    /// Takes a change of the group that a live event tells of, with the revision before it.
    pub fn take_pushed_change(&mut self, changed: GroupChanged, previous_revision: i64) -> Step {
        let GroupChanged { change, group, members } = changed;
        let Some(change) = change else {
            return self.advance();
        };
        let as_of = group.as_ref().map_or(change.revision, |group| group.state_revision);
        let about = Arc::make_mut(&mut self.about);
        for member in &members {
            about.put(&member.user_id, true, member.role(), as_of);
        }
        let gone: &[String] = match change.action() {
            GroupAction::MemberRemoved => &change.user_ids,
            GroupAction::MemberLeft => std::slice::from_ref(&change.actor_id),
            _ => &[],
        };
        for user in gone.iter().filter(|user| members.iter().all(|it| it.user_id != **user)) {
            about.put(user, false, GroupRole::Unspecified, as_of);
        }
        for member in &members {
            self.raise_read_position(&member.user_id, member.read_seq);
            self.take_delivered_position(&member.user_id, member.delivered_seq);
        }
        self.take_group(group.as_ref());
        let revision = change.revision;
        self.take_change(change);
        if self.phase != Phase::Closed && (previous_revision > 0 || revision == 1) {
            self.hints.insert(revision, previous_revision);
        }
        self.take_poke(revision)
    }

    /// Takes the news that there is a revision, without what it holds.
    pub fn take_poke(&mut self, revision: i64) -> Step {
        self.head = self.head.max(revision);
        self.advance()
    }

    /// Takes a message of the user's own from the answer to its call. It is shown at once; whether the others were told
    /// is another question, so it counts as nothing that was heard of.
    pub fn take_sent_message(&mut self, message: Message) {
        self.take_message(message);
    }

    /// Takes what has reached a device of a member's.
    pub fn take_delivered_position(&mut self, user_id: &str, delivered_seq: i64) {
        let known = self.about.delivered_positions.get(user_id).copied().unwrap_or_default();
        if delivered_seq > known {
            let about = Arc::make_mut(&mut self.about);
            about.delivered_positions.insert(user_id.to_owned(), delivered_seq);
        }
    }

    /// Takes a read position.
    pub fn take_read_position(&mut self, moved: &ReadPositionMoved) {
        self.raise_read_position(&moved.user_id, moved.read_seq);
        if *moved.user_id == *self.about.user_id {
            match moved.unread_count {
                Some(unread) => self.take_counts(moved.read_seq, unread, moved.counted_seq),
                None => self.read_seq = self.read_seq.max(moved.read_seq),
            }
        }
    }

    /// Takes how many messages of others are unread above the user's read position and up to `counted_seq`.
    pub fn take_counts(&mut self, read_seq: i64, unread_count: i64, counted_seq: i64) {
        let counted = Counted {
            read_seq,
            seq: counted_seq,
            unread: unread_count,
        };
        if counted.is_after(&self.counted) {
            self.counted = counted;
        }
        self.read_seq = self.read_seq.max(read_seq);
        self.trim_heard();
    }

    /// Marks messages as read, up to a seq or to the newest that is shown, whichever is less. Answers the seq to tell the
    /// service of, unless that much is read already.
    pub fn mark_read(&mut self, seq: i64) -> Option<i64> {
        let seq = seq.min(self.shown_seq());
        if seq <= self.read_seq {
            return None;
        }
        (self.read_seq, self.marked_seq) = (seq, seq);
        self.trim_heard();
        Some(seq)
    }

    /// Takes the answer to a sync that was asked from `asked`, however much later it comes.
    pub fn take_sync(&mut self, asked: &ConversationCursor, sync: &ConversationSync) -> Step {
        let Some(cursor) = &sync.cursor else {
            return self.advance();
        };
        if self.phase == Phase::Closed || (asked.joined_revision, asked.epoch) != (self.joined_revision, self.epoch) {
            // The membership that was asked about has been replaced meanwhile.
            return self.advance();
        }
        let moves_on = cursor.revision > 0 || !sync.incomplete;
        // To name a conversation without history is to ask for a start: nothing new, when all of it is known.
        let is_known = self.is_loaded() && asked.revision == 0 && cursor.revision <= self.cursor;
        if sync.reset && !is_known {
            self.restart(cursor);
            // Changes have been passed over, and a list may not name all.
            if let Some(group) = sync.group.as_ref().filter(|_| !sync.members.is_empty()) {
                let as_of = group.state_revision;
                let about = Arc::make_mut(&mut self.about);
                about.members.retain(|_, it| it.as_of > as_of);
                about.listed_at = about.listed_at.max(as_of);
            }
        }
        if self.phase == Phase::Starting && moves_on {
            self.phase = Phase::Paging;
        }
        (self.joined_revision, self.epoch) = (cursor.joined_revision, cursor.epoch);
        self.head = self.head.max(sync.revision);
        self.cursor_seq = self.cursor_seq.max(sync.cursor_seq);
        self.take_members(&sync.members, sync.group.as_ref());
        let read_seq = self.own_position(&sync.members);
        self.take_counts(read_seq, sync.unread_count, sync.counted_seq);
        for change in &sync.changes {
            match &change.kind {
                Some(change::Kind::MessageSent(message)) => self.take_message(message.clone()),
                Some(change::Kind::Void(_)) => self.voids.insert_mut(change.revision),
                Some(change::Kind::GroupChanged(changed)) => {
                    self.take_standings(changed);
                    self.take_change(changed.clone());
                }
                // Of a later version of the service: stepped over.
                None => {}
            }
        }
        if asked.revision <= self.cursor {
            self.cursor = self.cursor.max(cursor.revision);
        }
        self.advance()
    }

    /// Forgets what was cached and goes on from here. Nothing is shown until the newest page is loaded.
    fn restart(&mut self, cursor: &ConversationCursor) {
        self.forget();
        let (before, now) = (
            (self.joined_revision, self.epoch),
            (cursor.joined_revision, cursor.epoch),
        );
        if before != now && before != (0, 0) {
            // Another membership, or another life of the databases.
            self.forget_numbers();
        }
        self.counted = Counted::NOTHING;
        self.phase = Phase::Starting;
        (self.known_from, self.cursor, self.head) = (cursor.revision, cursor.revision, cursor.revision);
    }

    /// Another life of the databases begins. What has a cursor finds out by itself, and starts over.
    pub(crate) fn forget_former_life(&mut self) {
        let about = Arc::make_mut(&mut self.about);
        (about.settings, about.marked_unread) = (ConversationSettings::default(), false);
        if self.phase == Phase::Closed {
            self.forget_numbers();
            (self.counted, self.head) = (Counted::NOTHING, 0);
            self.heard = RedBlackTreeSetSync::default();
        }
    }

    /// Forgets what is told from older news by its number: what was read then is not read now.
    fn forget_numbers(&mut self) {
        (self.read_seq, self.marked_seq) = (0, 0);
        let about = Arc::make_mut(&mut self.about);
        about.read_positions.clear();
        about.delivered_positions.clear();
        about.members.clear();
        (about.group, about.listed_at) = (None, 0);
        self.last_message = None;
    }

    fn forget(&mut self) {
        self.messages = RedBlackTreeMapSync::default();
        self.voids = RedBlackTreeSetSync::default();
        self.changes = RedBlackTreeMapSync::default();
        self.heard = RedBlackTreeSetSync::default();
        self.hints.clear();
        self.cursor_seq = 0;
        (self.has_older, self.from_seq) = (false, 0);
    }

    fn take_message(&mut self, message: Message) {
        if message.seq <= self.window_edge() {
            return;
        }
        let is_newest = self.last_message().is_none_or(|last| last.seq <= message.seq);
        if is_newest {
            let last = LastMessage {
                seq: message.seq,
                sender_id: message.sender_id.clone(),
                excerpt: excerpt(&message.text),
                sent_at: message.sent_at,
                message_id: message.message_id.clone(),
            };
            self.take_activity(message.sent_at.as_ref());
            self.take_last_message(last, message.state_revision);
        }
        if !self.is_loaded() && *message.sender_id != *self.about.user_id {
            self.heard.insert_mut(message.seq);
            self.trim_heard();
        }
        if self.phase == Phase::Closed || message.seq < self.from_seq {
            return;
        }
        let key = (message.seq, Arc::from(message.message_id.as_str()));
        let at_hand = self.messages.get(&key);
        if at_hand.is_none_or(|at_hand| message.state_revision > at_hand.state_revision) {
            self.messages.insert_mut(key, Arc::new(message));
        }
    }

    fn take_last_message(&mut self, message: LastMessage, state_revision: i64) {
        let is_after = |(last, state): &(Arc<LastMessage>, i64)| (message.seq, state_revision) > (last.seq, *state);
        if message.seq > self.window_edge() && self.last_message.as_ref().is_none_or(is_after) {
            self.last_message = Some((Arc::new(message), state_revision));
        }
    }

    fn take_activity(&mut self, at: Option<&Timestamp>) {
        let moment = |at: Option<&Timestamp>| at.map(|at| (at.seconds, at.nanos));
        if moment(at) > moment(self.last_activity_at.as_ref()) {
            self.last_activity_at = at.copied();
        }
    }

    fn take_change(&mut self, change: GroupChange) {
        if self.phase != Phase::Closed && change.after_seq >= self.from_seq.max(self.window_edge()) {
            self.changes.insert_mut(change.revision, Arc::new(change));
        }
    }

    fn take_group(&mut self, group: Option<&Group>) {
        let Some(group) = group else { return };
        let known = self.about.group.as_ref().map_or(-1, |known| known.state_revision);
        if group.state_revision > known {
            Arc::make_mut(&mut self.about).group = Some(group.clone());
        }
    }

    /// A list of members, as of the state of the group that comes with it; lists of groups may name some only. None at all is
    /// nothing that was said about them.
    fn take_members(&mut self, members: &[Member], group: Option<&Group>) {
        self.take_group(group);
        let as_of = group.map_or(0, |group| group.state_revision);
        let names_all = group.is_none_or(|group| usize::try_from(group.member_count) == Ok(members.len()));
        let is_known = self.about.listed_at == as_of && {
            let known = self.roles().map(|(user, role)| (user, role as i32));
            known.eq(members.iter().map(|member| (member.user_id.as_str(), member.role)))
        };
        if !members.is_empty() && !is_known && as_of >= self.about.listed_at {
            let about = Arc::make_mut(&mut self.about);
            for member in members {
                about.put(&member.user_id, true, member.role(), as_of);
            }
            if names_all {
                about.listed_at = as_of;
                about
                    .members
                    .retain(|user, it| it.as_of > as_of || members.iter().any(|member| member.user_id == *user));
            } else if group.is_some_and(|group| group.member_count > NAMED_MEMBERS_MAX) {
                about.leave_out(members, as_of);
            }
        }
        for member in members {
            self.raise_read_position(&member.user_id, member.read_seq);
            self.take_delivered_position(&member.user_id, member.delivered_seq);
        }
    }

    /// Notes what a change makes of users, which no list may tell where there are too many members for one.
    fn take_standings(&mut self, change: &GroupChange) {
        let (as_of, actor) = (change.revision, [&change.actor_id]);
        let (is_member, role, users): (bool, GroupRole, Vec<&String>) = match change.action() {
            GroupAction::Created | GroupAction::MembersAdded => {
                (true, GroupRole::Member, change.user_ids.iter().collect())
            }
            GroupAction::MemberJoined => (true, GroupRole::Member, actor.to_vec()),
            GroupAction::RoleChanged | GroupAction::OwnershipTransferred => {
                (true, change.role(), change.user_ids.iter().collect())
            }
            GroupAction::MemberRemoved => (false, GroupRole::Unspecified, change.user_ids.iter().collect()),
            GroupAction::MemberLeft => (false, GroupRole::Unspecified, actor.to_vec()),
            _ => return,
        };
        let about = Arc::make_mut(&mut self.about);
        for user in users {
            about.put(user, is_member, role, as_of);
        }
        match change.action() {
            GroupAction::Created => about.put(&change.actor_id, true, GroupRole::Owner, as_of),
            GroupAction::OwnershipTransferred => about.put(&change.actor_id, true, GroupRole::Admin, as_of),
            _ => {}
        }
    }

    /// The user's own read position, as a list of members tells it. Zero when it does not.
    fn own_position(&self, members: &[Member]) -> i64 {
        let own = members.iter().find(|member| *member.user_id == *self.about.user_id);
        own.map(|member| member.read_seq).unwrap_or_default()
    }

    fn raise_read_position(&mut self, user_id: &str, read_seq: i64) {
        if self
            .about
            .read_positions
            .get(user_id)
            .is_none_or(|known| *known < read_seq)
        {
            let about = Arc::make_mut(&mut self.about);
            about.read_positions.insert(user_id.to_owned(), read_seq);
        }
    }

    /// Drops what is counted or read from what was heard, and the newest above the bound of counts.
    fn trim_heard(&mut self) {
        let floor = self.counted.seq.max(self.read_seq);
        while let Some(seq) = self.heard.first().copied().filter(|seq| *seq <= floor) {
            self.heard.remove_mut(&seq);
        }
        while i64::try_from(self.heard.size()).is_ok_and(|size| size > UNREAD_MAX)
            && let Some(seq) = self.heard.last().copied()
        {
            self.heard.remove_mut(&seq);
        }
    }

    /// Moves the cursor over every hint that nothing is missing before.
    fn advance(&mut self) -> Step {
        if self.phase == Phase::Closed {
            return Step::Whole;
        }
        while let Some(revision) = self.next_hint() {
            self.cursor = revision;
        }
        self.hints = self.hints.split_off(&(self.cursor + 1));
        while self.hints.len() > HINTS_MAX {
            self.hints.pop_last();
        }
        self.head = self.head.max(self.cursor);
        if self.cursor < self.head {
            Step::Gap
        } else {
            Step::Whole
        }
    }

    /// A revision up to which a hint leads on from the cursor.
    fn next_hint(&self) -> Option<i64> {
        let mut hints = self.hints.range(self.cursor + 1..);
        hints.find_map(|(revision, previous)| (*previous <= self.cursor).then_some(*revision))
    }
}

impl About {
    /// Notes who is no member by a list of the first ones by user id, and the user: whoever would stand among them.
    fn leave_out(&mut self, listed: &[Member], as_of: i64) {
        let listed: BTreeSet<&str> = listed.iter().map(|member| member.user_id.as_str()).collect();
        let others = listed.iter().filter(|user| ***user != *self.user_id);
        let Some(last) = others.max().copied() else { return };
        for (user, standing) in &mut self.members {
            if standing.is_member && standing.as_of <= as_of && user.as_str() < last && !listed.contains(user.as_str())
            {
                (standing.is_member, standing.as_of) = (false, as_of);
            }
        }
    }

    /// Notes what a user is to the conversation, unless something newer is known.
    fn put(&mut self, user: &str, is_member: bool, role: GroupRole, as_of: i64) {
        let standing = Standing { is_member, role, as_of };
        match self.members.get_mut(user) {
            Some(known) if known.as_of > as_of => {}
            Some(known) => *known = standing,
            // Who was not on a list of all was no member by then.
            None if as_of < self.listed_at => {}
            None => drop(self.members.insert(user.to_owned(), standing)),
        }
    }
}

/// The first characters of a text, on one line, as the service cuts them.
fn excerpt(text: &str) -> String {
    let mut chars = 0;
    let whole = text.graphemes(true).take_while(|grapheme| {
        chars += grapheme.chars().count();
        chars <= EXCERPT_CHARS
    });
    let length = match whole.map(|grapheme| grapheme.chars().count()).sum() {
        0 => EXCERPT_CHARS,
        length => length,
    };
    let chars = text.chars().take(length);
    chars.map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests;
