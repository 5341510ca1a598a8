//! A conversation and a user's feed as the service keeps them, for this crate's tests.

use std::collections::{BTreeMap, BTreeSet};

use chat_contract::v1::{
    Change, Conversation, ConversationCursor, ConversationSync, FeedChange, FeedCursor, FeedSync, Friend, FriendState,
    ListMessagesResponse, Member, Membership, MembershipState, Message, ReadPositionMoved, Void, change, feed_change,
};

pub(crate) const ALICE: &str = "alice";
pub(crate) const BOB: &str = "bob";

pub(crate) fn message(revision: i64, seq: i64, sender: &str) -> Message {
    Message {
        message_id: format!("m{seq}"),
        seq,
        revision,
        state_revision: revision,
        sender_id: sender.into(),
        text: format!("{seq} as of {revision}"),
        ..Message::default()
    }
}

pub(crate) fn members(alice: i64, bob: i64) -> Vec<Member> {
    [(ALICE, alice), (BOB, bob)]
        .map(|(user, read_seq)| Member {
            user_id: user.into(),
            read_seq,
            joined_revision: 0,
            ..Member::default()
        })
        .into()
}

/// A conversation as the service keeps it: what each revision holds.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) places: Vec<Place>,
    /// Revisions whose writers are still at work.
    pub(crate) unwritten: BTreeSet<i64>,
    pub(crate) message_count: i64,
    /// Alice's and Bob's read positions.
    pub(crate) read: [i64; 2],
}

#[derive(Clone)]
pub(crate) enum Place {
    Sent { seq: i64, sender: &'static str },
    Changed { seq: i64 },
    Void { seq: i64, sender: &'static str },
}

impl Service {
    pub(crate) fn head(&self) -> i64 {
        i64::try_from(self.places.len()).unwrap()
    }

    /// Up to where all places are taken.
    pub(crate) fn contiguous(&self) -> i64 {
        self.unwritten.first().map_or(self.head(), |hole| hole - 1)
    }

    pub(crate) fn place(&self, revision: i64) -> &Place {
        &self.places[usize::try_from(revision - 1).unwrap()]
    }

    /// Who has been given a seq by a revision, if it is that of a message or of a void.
    fn seq(&self, revision: i64) -> Option<(i64, &'static str)> {
        match *self.place(revision) {
            Place::Sent { seq, sender } | Place::Void { seq, sender } => Some((seq, sender)),
            Place::Changed { .. } => None,
        }
    }

    /// What is unread to Alice: stored messages of Bob above her read position, and what may become one.
    pub(crate) fn unread(&self) -> i64 {
        let unread = (1..=self.head()).filter(|revision| {
            let is_void = matches!(self.place(*revision), Place::Void { .. });
            (!is_void || self.unwritten.contains(revision))
                && self
                    .seq(*revision)
                    .is_some_and(|(seq, sender)| seq > self.read[0] && sender == BOB)
        });
        i64::try_from(unread.count()).unwrap().min(1_000)
    }

    /// A message in its state as of a revision.
    pub(crate) fn state(&self, wanted: i64, as_of: i64) -> Message {
        let mut state = None;
        for revision in (1..=as_of).filter(|revision| !self.unwritten.contains(revision)) {
            match self.place(revision) {
                Place::Sent { seq, sender } if *seq == wanted => state = Some(message(revision, *seq, sender)),
                Place::Changed { seq } if *seq == wanted => {
                    let state = state.as_mut().unwrap();
                    state.state_revision = revision;
                    state.text = format!("{seq} as of {revision}");
                }
                _ => {}
            }
        }
        state.unwrap()
    }

    pub(crate) fn change(&self, revision: i64) -> Change {
        let kind = match self.place(revision) {
            Place::Sent { seq, .. } | Place::Changed { seq } => {
                change::Kind::MessageSent(self.state(*seq, self.head()))
            }
            Place::Void { .. } => change::Kind::Void(Void {}),
        };
        Change {
            revision,
            kind: Some(kind),
        }
    }

    pub(crate) fn conversation(&self, conversation_id: &str) -> Conversation {
        Conversation {
            conversation_id: conversation_id.into(),
            revision: self.head(),
            counted_seq: self.message_count,
            unread_count: self.unread(),
            members: members(self.read[0], self.read[1]),
            ..Conversation::default()
        }
    }

    /// Answers a start when nothing is known, else what follows the cursor.
    pub(crate) fn sync(&self, asked: &ConversationCursor, changes_max: i64) -> ConversationSync {
        let reset = asked.revision == 0;
        let end = self.contiguous();
        let through = if reset {
            end
        } else {
            end.min(asked.revision + changes_max)
        };
        let seqs = (1..=through).filter_map(|revision| self.seq(revision));
        let cursor_seq = seqs.map(|(seq, _)| seq).max().unwrap_or_default();
        let incomplete = through < self.head();
        let changes = if reset { 0..0 } else { asked.revision + 1..through + 1 };
        ConversationSync {
            cursor: Some(ConversationCursor {
                revision: through,
                epoch: 1,
                ..asked.clone()
            }),
            reset,
            changes: changes.map(|revision| self.change(revision)).collect(),
            incomplete,
            retry_after: (incomplete && through == end).then(|| std::time::Duration::from_millis(20).into()),
            revision: self.head(),
            cursor_seq,
            counted_seq: self.message_count,
            unread_count: self.unread(),
            members: members(self.read[0], self.read[1]),
            ..ConversationSync::default()
        }
    }

    /// A place is taken. Answers its revision.
    pub(crate) fn take(&mut self, place: Place) -> i64 {
        if let Place::Sent { seq, .. } | Place::Void { seq, .. } = place {
            self.message_count = self.message_count.max(seq);
        }
        self.places.push(place);
        self.head()
    }

    /// A message is sent. Answers it.
    pub(crate) fn send(&mut self, sender: &'static str) -> Message {
        let seq = self.message_count + 1;
        let revision = self.take(Place::Sent { seq, sender });
        self.state(seq, revision)
    }

    /// A writer dies: its place and its seq are used up.
    pub(crate) fn die(&mut self, sender: &'static str) -> i64 {
        let seq = self.message_count + 1;
        self.take(Place::Void { seq, sender })
    }

    /// Somebody reads on. Answers what is pushed to Alice.
    pub(crate) fn read(&mut self, reader: usize, seq: i64) -> ReadPositionMoved {
        self.read[reader] = self.read[reader].max(seq.min(self.message_count));
        ReadPositionMoved {
            user_id: [ALICE, BOB][reader].to_owned(),
            read_seq: self.read[reader],
            unread_count: (reader == 0).then(|| self.unread()),
            counted_seq: if reader == 0 { self.message_count } else { 0 },
        }
    }

    /// The messages of a page, below the first open place.
    fn messages(&self) -> (Vec<Message>, bool) {
        let open = self.unwritten.iter().filter_map(|revision| self.seq(*revision));
        let open = open.map(|(seq, _)| seq).min();
        let written = (1..=self.head()).filter(|revision| !self.unwritten.contains(revision));
        let sent = written.filter_map(|revision| match self.place(revision) {
            Place::Sent { seq, .. } if open.is_none_or(|open| *seq < open) => Some(self.state(*seq, self.head())),
            _ => None,
        });
        (sent.collect(), open.is_some())
    }

    /// A page of history below a seq.
    pub(crate) fn page(&self, before: i64, size: usize) -> ListMessagesResponse {
        let (mut messages, has_more_after) = self.messages();
        messages.retain(|message| message.seq < before);
        let left = messages.len().saturating_sub(size);
        ListMessagesResponse {
            messages: messages.split_off(left),
            has_more_before: left > 0,
            has_more_after,
            ..ListMessagesResponse::default()
        }
    }

    /// A page of history above a seq.
    pub(crate) fn page_after(&self, after: i64, size: usize) -> ListMessagesResponse {
        let (mut messages, is_cut) = self.messages();
        messages.retain(|message| message.seq > after);
        let has_more_after = is_cut || messages.len() > size;
        messages.truncate(size);
        ListMessagesResponse {
            messages,
            has_more_before: after > 0,
            has_more_after,
            ..ListMessagesResponse::default()
        }
    }
}

/// A user's feed as the service keeps it: the state of each thing, and when it last changed.
#[derive(Default)]
pub(crate) struct FeedModel {
    pub(crate) epoch: i64,
    pub(crate) head: i64,
    /// Name → revision, state, and whether that is an end.
    pub(crate) rows: BTreeMap<String, (i64, feed_change::Change, bool)>,
}

impl FeedModel {
    /// Something changes. Answers its revision.
    fn put(&mut self, name: &str, change: feed_change::Change, is_end: bool) -> i64 {
        self.head += 1;
        self.rows.insert(name.into(), (self.head, change, is_end));
        self.head
    }

    pub(crate) fn befriend(&mut self, user_id: &str, state: FriendState) -> (i64, Friend) {
        let friend = Friend {
            user_id: user_id.into(),
            state: state.into(),
            ..Friend::default()
        };
        let change = feed_change::Change::Friend(friend.clone());
        (self.put(user_id, change, state == FriendState::Unspecified), friend)
    }

    pub(crate) fn join(&mut self, conversation: Conversation, is_member: bool) -> i64 {
        let id = conversation.conversation_id.clone();
        let state = if is_member {
            MembershipState::Active
        } else {
            MembershipState::Unspecified
        };
        let membership = Membership {
            state: state.into(),
            conversation: Some(conversation),
        };
        self.put(&id, feed_change::Change::Membership(membership), !is_member)
    }

    /// The rows above a cursor, a page of them.
    pub(crate) fn sync(&self, asked: &FeedCursor, size: usize) -> FeedSync {
        let is_start = *asked == FeedCursor::default();
        let reset = !is_start && (asked.epoch != self.epoch || asked.revision > self.head);
        let (above, listing_through) = match (is_start || reset, asked.listing_through) {
            (true, _) => (0, self.head),
            (false, through) => (asked.revision, through),
        };
        let mut rows: Vec<_> = self.rows.values().filter(|row| row.0 > above).collect();
        rows.retain(|(revision, _, is_end)| !is_end || *revision > listing_through);
        rows.sort_by_key(|row| row.0);
        let incomplete = rows.len() > size;
        rows.truncate(size);
        let end = if incomplete {
            rows.last().map_or(above, |row| row.0)
        } else {
            self.head
        };
        FeedSync {
            cursor: Some(FeedCursor {
                epoch: self.epoch,
                revision: end,
                listing_through: if incomplete { listing_through } else { 0 },
            }),
            reset,
            changes: rows
                .into_iter()
                .map(|(revision, change, _)| FeedChange {
                    revision: *revision,
                    change: Some(change.clone()),
                })
                .collect(),
            incomplete,
            revision: self.head,
        }
    }

    /// The names of what is there.
    pub(crate) fn there(&self) -> Vec<&str> {
        let there = self.rows.iter().filter(|(_, row)| !row.2);
        there.map(|(name, _)| name.as_str()).collect()
    }
}
