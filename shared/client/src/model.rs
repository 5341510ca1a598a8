//! A conversation as the service keeps it, for this crate's tests.

use chat_contract::v1::{
    Change, ConversationCursor, ConversationSync, ListMessagesResponse, Member, Message, Void, change,
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
        })
        .into()
}

/// A conversation as the service keeps it: what each revision holds.
#[derive(Default)]
pub(crate) struct Service {
    pub(crate) places: Vec<Place>,
    pub(crate) message_count: i64,
    /// Alice's and Bob's read positions.
    pub(crate) read: [i64; 2],
    /// The greatest seq that is not unread to Alice.
    pub(crate) cleared: i64,
}

#[derive(Clone)]
pub(crate) enum Place {
    Sent { seq: i64, sender: &'static str },
    Changed { seq: i64 },
    Void,
}

impl Service {
    pub(crate) fn head(&self) -> i64 {
        i64::try_from(self.places.len()).unwrap()
    }

    pub(crate) fn place(&self, revision: i64) -> &Place {
        &self.places[usize::try_from(revision - 1).unwrap()]
    }

    /// A message in its state as of a revision.
    pub(crate) fn state(&self, wanted: i64, as_of: i64) -> Message {
        let mut state = None;
        for revision in 1..=as_of {
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
            Place::Void => change::Kind::Void(Void {}),
        };
        Change {
            revision,
            kind: Some(kind),
        }
    }

    pub(crate) fn sync(&self, asked: &ConversationCursor, changes_max: i64) -> ConversationSync {
        let through = self.head().min(asked.revision + changes_max);
        ConversationSync {
            cursor: Some(ConversationCursor {
                revision: through,
                ..asked.clone()
            }),
            changes: (asked.revision + 1..=through)
                .map(|revision| self.change(revision))
                .collect(),
            incomplete: through < self.head(),
            revision: self.head(),
            message_count: self.message_count,
            unread_count: self.message_count - self.cleared,
            members: members(self.read[0], self.read[1]),
            ..ConversationSync::default()
        }
    }

    /// A message is sent. Answers it.
    pub(crate) fn send(&mut self, sender: &'static str) -> Message {
        self.message_count += 1;
        self.places.push(Place::Sent {
            seq: self.message_count,
            sender,
        });
        if sender == ALICE {
            self.cleared = self.message_count;
        }
        self.state(self.message_count, self.head())
    }

    /// A page of history below a seq, leaving out revisions that are not written yet.
    pub(crate) fn page(&self, before: i64, size: usize, unwritten: &[i64]) -> ListMessagesResponse {
        let below = (1..=self.head())
            .filter(|revision| !unwritten.contains(revision))
            .filter_map(|revision| match self.place(revision) {
                Place::Sent { seq, .. } if *seq < before => Some(self.state(*seq, self.head())),
                _ => None,
            });
        let mut messages: Vec<_> = below.collect();
        let left = messages.len().saturating_sub(size);
        ListMessagesResponse {
            messages: messages.split_off(left),
            has_more_before: left > 0,
            has_more_after: false,
        }
    }
}
