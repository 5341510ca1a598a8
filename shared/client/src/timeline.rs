//! What a client knows of one conversation, and the rules by which it learns. No IO, no clock.
//!
//! Every change has a revision, 1, 2, 3 …, and the *cursor* is the revision up to which all of them are known. Live events
//! are hints: they may be lost, repeated and reordered, so one only moves the cursor when nothing is missing before it,
//! and what arrives above a gap is kept but not shown. An answer of `SyncConversations` closes gaps. What is known only
//! ever grows, by the greater `state_revision`, seq or read position, so that in whatever order hints and answers come,
//! the same things shown follow from the same things known.

use std::collections::{BTreeMap, BTreeSet};

use chat_contract::v1::{
    ConversationCursor, ConversationGained, ConversationSync, ListMessagesResponse, Member, Message, ReadPositionMoved,
    change,
};

/// Hints above a gap that are kept; a client that misses more has to sync anyway.
pub const HINTS_MAX: usize = 1_000;

/// What a client knows of one conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    conversation_id: String,
    user_id: String,
    joined_revision: i64,
    /// Everything above this and up to the cursor came as changes; up to this, as pages, which tell nothing of voids.
    known_from: i64,
    /// Everything up to here is known.
    cursor: i64,
    /// The greatest revision heard of.
    head: i64,
    /// All messages that are known, shown or not. The id is part of the key so that two messages with one seq, which no
    /// correct service hands out, would both be seen.
    messages: BTreeMap<(i64, String), Message>,
    voids: BTreeSet<i64>,
    /// Hints above a gap: revision → the revision before it.
    hints: BTreeMap<i64, i64>,
    message_count: i64,
    /// The greatest seq that is not unread to the user: read, or not above a message of their own.
    cleared_seq: i64,
    members: BTreeSet<String>,
    /// The greatest seq that each user has marked as read, members or not: news of a new member may come early.
    read_positions: BTreeMap<String, i64>,
    has_older: bool,
    loaded: bool,
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
    /// A conversation that a sync answered as gained: known up to its cursor once its newest page is loaded.
    ///
    /// Answers nothing for an answer without conversation or cursor, which no correct service gives.
    pub fn gained(user_id: &str, gained: &ConversationGained) -> Option<Self> {
        let (conversation, cursor) = (gained.conversation.as_ref()?, gained.cursor.as_ref()?);
        let mut timeline = Self {
            conversation_id: conversation.conversation_id.clone(),
            user_id: user_id.to_owned(),
            joined_revision: cursor.joined_revision,
            known_from: cursor.revision,
            cursor: cursor.revision,
            head: conversation.revision,
            messages: BTreeMap::new(),
            voids: BTreeSet::new(),
            hints: BTreeMap::new(),
            message_count: 0,
            cleared_seq: 0,
            members: BTreeSet::new(),
            read_positions: BTreeMap::new(),
            has_older: false,
            loaded: false,
        };
        timeline.take_members(&conversation.members);
        timeline.take_counts(conversation.message_count, conversation.unread_count);
        Some(timeline)
    }

    /// The conversation.
    pub fn conversation_id(&self) -> &str {
        &self.conversation_id
    }

    /// How far the client is; what to sync from.
    pub fn cursor(&self) -> ConversationCursor {
        ConversationCursor {
            conversation_id: self.conversation_id.clone(),
            joined_revision: self.joined_revision,
            revision: self.cursor,
        }
    }

    /// The greatest revision heard of.
    pub fn head(&self) -> i64 {
        self.head
    }

    /// Whether history was loaded. Until then nothing is shown: at first, and again after a reset.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Whether there may be messages older than those that are shown.
    pub fn has_older(&self) -> bool {
        self.has_older
    }

    /// Whether history was loaded and nothing is missing below anything that was heard of.
    pub fn is_whole(&self) -> bool {
        self.loaded && self.cursor >= self.head
    }

    /// What the client shows: the messages up to the cursor, by increasing seq.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages
            .values()
            .filter(|message| self.loaded && message.revision <= self.cursor)
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

    /// The newest seq handed out, as far as the client heard.
    pub fn message_count(&self) -> i64 {
        self.message_count
    }

    /// How many messages the user has not read.
    pub fn unread_count(&self) -> i64 {
        (self.message_count - self.cleared_seq).max(0)
    }

    /// The members, each with the greatest seq that they have marked as read.
    pub fn read_positions(&self) -> impl Iterator<Item = (&str, i64)> {
        let position = |member| self.read_positions.get(member).copied().unwrap_or_default();
        self.members
            .iter()
            .map(move |member| (member.as_str(), position(member)))
    }

    /// The greatest seq that a member has marked as read; nothing for one who is no member.
    pub fn read_position(&self, user_id: &str) -> Option<i64> {
        self.read_positions()
            .find_map(|(member, read_seq)| (member == user_id).then_some(read_seq))
    }

    /// The seq below which older history goes on: that of the oldest message at hand.
    pub fn oldest_seq(&self) -> Option<i64> {
        self.messages.keys().next().map(|(seq, _)| *seq)
    }

    /// Takes a page of history: the newest when there is none yet, or one of older messages.
    pub fn take_page(&mut self, page: ListMessagesResponse) {
        let is_older = self
            .oldest_seq()
            .is_none_or(|oldest| page.messages.iter().all(|message| message.seq < oldest));
        if !self.loaded || is_older {
            self.has_older = page.has_more_before;
        }
        for message in page.messages {
            self.take_message(message);
        }
        self.loaded = true;
    }

    /// Takes a message that a live event tells of, with the revision before it.
    pub fn take_pushed_message(&mut self, message: Message, revision: i64, previous_revision: i64) -> Step {
        self.take_message(message);
        // Without the revision before it, nothing says what else is missing.
        if previous_revision > 0 || revision == 1 {
            self.hints.insert(revision, previous_revision);
        }
        self.take_poke(revision)
    }

    /// Takes the news that there is a revision, without what it holds.
    pub fn take_poke(&mut self, revision: i64) -> Step {
        self.head = self.head.max(revision);
        self.advance()
    }

    /// Takes a read position.
    pub fn take_read_position(&mut self, moved: &ReadPositionMoved) {
        self.raise_read_position(&moved.user_id, moved.read_seq);
        if moved.user_id == self.user_id {
            self.cleared_seq = self.cleared_seq.max(moved.read_seq);
        }
    }

    /// Takes the answer to a sync that was asked from `asked`, however much later it comes.
    pub fn take_sync(&mut self, asked: &ConversationCursor, sync: &ConversationSync) -> Step {
        let Some(cursor) = &sync.cursor else {
            return self.advance();
        };
        if asked.joined_revision != self.joined_revision {
            // The membership that was asked about has been replaced meanwhile.
            return self.advance();
        }
        if sync.reset {
            self.restart(cursor);
        }
        self.head = self.head.max(sync.revision);
        self.take_members(&sync.members);
        self.take_counts(sync.message_count, sync.unread_count);
        for change in &sync.changes {
            match &change.kind {
                Some(change::Kind::MessageSent(message)) => self.take_message(message.clone()),
                Some(change::Kind::Void(_)) => {
                    self.voids.insert(change.revision);
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

    /// Forgets what was cached. Nothing is shown until the newest page is loaded.
    fn restart(&mut self, cursor: &ConversationCursor) {
        self.joined_revision = cursor.joined_revision;
        self.known_from = cursor.revision;
        self.cursor = cursor.revision;
        self.head = cursor.revision;
        self.messages.clear();
        self.voids.clear();
        self.hints.clear();
        self.members.clear();
        self.read_positions.clear();
        (self.message_count, self.cleared_seq) = (0, 0);
        (self.has_older, self.loaded) = (false, false);
    }

    fn take_message(&mut self, message: Message) {
        self.message_count = self.message_count.max(message.seq);
        if message.sender_id == self.user_id {
            self.cleared_seq = self.cleared_seq.max(message.seq);
        }
        let key = (message.seq, message.message_id.clone());
        let at_hand = self.messages.entry(key).or_insert_with(|| message.clone());
        if message.state_revision > at_hand.state_revision {
            *at_hand = message;
        }
    }

    fn take_members(&mut self, members: &[Member]) {
        self.members = members.iter().map(|member| member.user_id.clone()).collect();
        for member in members {
            self.raise_read_position(&member.user_id, member.read_seq);
        }
    }

    fn raise_read_position(&mut self, user_id: &str, read_seq: i64) {
        let position = self.read_positions.entry(user_id.to_owned()).or_default();
        *position = read_seq.max(*position);
    }

    fn take_counts(&mut self, message_count: i64, unread_count: i64) {
        self.message_count = self.message_count.max(message_count);
        self.cleared_seq = self.cleared_seq.max(message_count - unread_count);
    }

    /// Moves the cursor over every hint that nothing is missing before.
    fn advance(&mut self) -> Step {
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

#[cfg(test)]
mod tests;
