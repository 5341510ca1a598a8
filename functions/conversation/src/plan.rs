//! What a sync reads and answers for each conversation. No IO, no clock.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chat_contract::v1::{Change, ConversationCursor, ConversationSync, Void, change};
use chat_domain::{ConversationId, SYNC_BACKLOG_MAX, SYNC_BYTES_MAX, SYNC_CHANGES_MAX};
use chat_sealing::{Closed, Stretch, Walk};
use chat_stores::mongo::{Entry, EntryKind, PreviewEntry, RevisionRange};
use chat_stores::postgres::{SealState, SyncRow};
use chrono::{DateTime, Utc};

/// What an entry weighs beside its text, at most about: ids, times, and the quote of what it replies to.
const ENTRY_BYTES: usize = 1_024;

/// What a member weighs beside their id, as JSON: names, positions, the role.
const MEMBER_BYTES: usize = 100;

/// How long a client waits for a gap that was abandoned and still could not be closed.
const CLOSING_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where a client says it is in a conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub(crate) conversation: ConversationId,
    pub(crate) joined_revision: i64,
    pub(crate) revision: i64,
    pub(crate) epoch: i64,
}

/// What to do for each conversation of the answer, in the order of the request.
#[derive(Debug)]
pub(crate) struct Plan {
    epoch: i64,
    now: DateTime<Utc>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    asked: Cursor,
    row: SyncRow,
    /// The newest seq at the row's revision, however much later it was counted.
    head_seq: i64,
    /// What to read from the client's cursor on; none for a client that starts over.
    stretch: Option<Stretch>,
}

impl Plan {
    pub(crate) fn new(epoch: i64, now: DateTime<Utc>) -> Self {
        Self {
            epoch,
            now,
            steps: Vec::new(),
        }
    }

    /// Plans a conversation: the client goes on from its cursor, or starts over.
    pub(crate) fn add(&mut self, asked: Cursor, row: SyncRow) {
        let head = row.conversation.revision;
        let goes_on = asked.epoch == self.epoch
            && asked.joined_revision == row.conversation.joined_revision
            && (head - SYNC_BACKLOG_MAX..=head).contains(&asked.revision)
            // Nobody goes on from before they came, whatever they say.
            && asked.revision >= row.conversation.window.edge_revision();
        let stretch = goes_on.then_some(Stretch {
            after: asked.revision,
            through: head,
            allocated_at: row.allocated_at,
            now: self.now,
        });
        self.steps.push(Step {
            head_seq: row.conversation.counted_seq,
            asked,
            row,
            stretch,
        });
    }

    /// Shares what one answer may bring among the conversations: those that want little get it, the others alike, so that
    /// none keeps others from going on.
    pub(crate) fn share(&mut self) {
        let mut wanting: Vec<&mut Stretch> = self.steps.iter_mut().filter_map(|step| step.stretch.as_mut()).collect();
        wanting.retain(|stretch| stretch.after < stretch.through);
        wanting.sort_by_key(|stretch| stretch.through - stretch.after);
        let mut left = i64::try_from(SYNC_CHANGES_MAX).unwrap_or(i64::MAX);
        let mut others = i64::try_from(wanting.len()).unwrap_or(i64::MAX);
        for stretch in wanting {
            let share = (left / others).min(stretch.through - stretch.after);
            stretch.through = stretch.after + share;
            left -= share;
            others -= 1;
        }
    }

    /// What to walk, by conversation.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (ConversationId, Stretch)> + '_ {
        let steps = self.steps.iter();
        steps.filter_map(|step| Some((step.row.conversation.conversation, step.stretch?)))
    }

    pub(crate) fn ranges(&self) -> Vec<RevisionRange> {
        self.stretches()
            .map(|(conversation, stretch)| stretch.range(conversation))
            .collect()
    }

    /// The conversations that the client starts over.
    pub(crate) fn starts(&self) -> Vec<(ConversationId, SealState)> {
        let steps = self.steps.iter().filter(|step| step.stretch.is_none());
        steps
            .map(|Step { row, .. }| {
                let conversation = &row.conversation;
                let state = SealState {
                    revision: conversation.revision,
                    message_count: conversation.counted_seq,
                    closed_revision: row.closed_revision,
                    closed_seq: row.closed_seq,
                    is_group: conversation.group.is_some(),
                    allocated_at: row.allocated_at,
                    last_activity_at: conversation.last_activity_at,
                    created_at: conversation.created_at,
                    now: self.now,
                };
                (conversation.conversation, state)
            })
            .collect()
    }

    /// How far a conversation of the plan is sealed.
    pub(crate) fn closed_revision(&self, conversation: ConversationId) -> i64 {
        let mut rows = self.steps.iter().map(|step| &step.row);
        rows.find(|row| row.conversation.conversation == conversation)
            .map_or(0, |row| row.closed_revision)
    }

    /// Takes over what is unread as it was counted later.
    pub(crate) fn recount(&mut self, later: &SyncRow) {
        let later = &later.conversation;
        let mut rows = self.steps.iter_mut().map(|step| &mut step.row.conversation);
        if let Some(row) = rows.find(|row| row.conversation == later.conversation) {
            row.unread_count = later.unread_count;
            row.counted_seq = later.counted_seq;
        }
    }

    /// Puts the answer together, in the order of the request.
    pub(crate) fn answer(
        self,
        mut walks: HashMap<ConversationId, Walk<Entry>>,
        closed: &BTreeMap<ConversationId, Closed>,
        quoted: &[PreviewEntry],
    ) -> Vec<ConversationSync> {
        let mut bytes_left = SYNC_BYTES_MAX;
        let epoch = self.epoch;
        let answer = |step: Step| {
            let id = step.row.conversation.conversation;
            let Some(left) = bytes_left.checked_sub(weight_of_members(&step.row)) else {
                return asked_again(step, epoch);
            };
            bytes_left = left;
            match step.stretch {
                Some(stretch) => {
                    let walk = walks.remove(&id).unwrap_or_else(|| stretch.walk(Vec::new()));
                    continued(step, walk, quoted, &mut bytes_left, epoch)
                }
                None => started_over(step, closed.get(&id).copied(), epoch),
            }
        };
        self.steps.into_iter().map(answer).collect()
    }
}

/// The answer for a conversation that the client starts over.
fn started_over(step: Step, closed: Option<Closed>, epoch: i64) -> ConversationSync {
    if let Some(Closed {
        through, is_done: true, ..
    }) = closed
    {
        // Nobody goes on from before they came, so nobody is sent there, however far it is closed.
        let through = through.max(step.row.conversation.window.edge_revision());
        return ConversationSync {
            reset: true,
            ..synced(step, through, Vec::new(), epoch)
        };
    }
    // There is more to make sure of than one call may.
    asked_again(step, epoch)
}

/// The answer for a conversation of which this call can say no more: the client asks again as it did.
fn asked_again(mut step: Step, epoch: i64) -> ConversationSync {
    let asked = step.asked;
    step.row.conversation.members.clear();
    step.row.conversation.group = None;
    let cursor = ConversationCursor {
        conversation_id: asked.conversation.to_string(),
        joined_revision: asked.joined_revision,
        revision: asked.revision,
        epoch: asked.epoch,
    };
    ConversationSync {
        cursor: Some(cursor),
        incomplete: true,
        cursor_seq: 0,
        ..synced(step, 0, Vec::new(), epoch)
    }
}

/// The answer for a conversation that goes on from the client's cursor: what fits of the walk.
fn continued(
    step: Step,
    walk: Walk<Entry>,
    quoted: &[PreviewEntry],
    bytes_left: &mut usize,
    epoch: i64,
) -> ConversationSync {
    let Walk {
        mut entries,
        through: walked_through,
        abandoned,
        retry_after,
    } = walk;
    let before = walked_through - i64::try_from(entries.len()).unwrap_or(0);
    let fitting = entries.iter().take_while(|entry| {
        let left = bytes_left.checked_sub(weight(entry));
        *bytes_left = left.unwrap_or(*bytes_left);
        left.is_some()
    });
    let fitting = fitting.count();
    entries.truncate(fitting);
    let through = before + i64::try_from(fitting).unwrap_or(0);
    let cut = through < walked_through;
    let retry_after = retry_after.or((!abandoned.is_empty()).then_some(CLOSING_RETRY_AFTER));
    let changes = changes(entries, quoted, &step.row);
    ConversationSync {
        retry_after: retry_after.filter(|_| !cut).map(Into::into),
        ..synced(step, through, changes, epoch)
    }
}

/// The bytes of a text in an answer, at most about. As JSON within the JSON that a function answers, a quote, a backslash or a
/// control character takes four.
fn bytes(text: &str) -> usize {
    let is_escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    text.len() + 3 * text.as_bytes().iter().filter(is_escaped).count()
}

/// The bytes of what an answer says of a conversation's members, at most about.
fn weight_of_members(row: &SyncRow) -> usize {
    let members = row.conversation.members.iter();
    members.map(|member| MEMBER_BYTES + bytes(&member.user_id)).sum()
}

/// The bytes of an entry in an answer, at most about.
fn weight(entry: &Entry) -> usize {
    let said = match &entry.kind {
        EntryKind::Message(message) => bytes(&message.text),
        EntryKind::Group(change) => {
            bytes(&change.name) + change.users.iter().map(|user| 8 + bytes(user)).sum::<usize>()
        }
        EntryKind::Void | EntryKind::Unknown => 0,
    };
    ENTRY_BYTES + said
}

/// The answer for a conversation at a revision.
fn synced(step: Step, through: i64, changes: Vec<Change>, epoch: i64) -> ConversationSync {
    let Step { head_seq, row, .. } = step;
    let conversation = row.conversation;
    let newest_seq = changes.iter().rev().find_map(|change| match &change.kind {
        Some(change::Kind::MessageSent(message)) => Some(message.seq),
        _ => None,
    });
    let at_head = through >= conversation.revision;
    ConversationSync {
        cursor: Some(ConversationCursor {
            conversation_id: conversation.conversation.to_string(),
            joined_revision: conversation.joined_revision,
            revision: through,
            epoch,
        }),
        reset: false,
        incomplete: !at_head,
        retry_after: None,
        revision: conversation.revision,
        // At the head, everything that was handed out is known to the client.
        cursor_seq: if at_head {
            head_seq
        } else {
            newest_seq.unwrap_or_default()
        },
        counted_seq: conversation.counted_seq,
        unread_count: conversation.unread_count,
        group: conversation.group.map(chat_view::group),
        members: conversation.members.into_iter().map(chat_view::member).collect(),
        changes,
    }
}

fn changes(entries: Vec<Entry>, quoted: &[PreviewEntry], row: &SyncRow) -> Vec<Change> {
    let mut sent = Vec::new();
    let mut changes: Vec<Change> = Vec::with_capacity(entries.len());
    let mut message_at = Vec::new();
    for entry in entries {
        let kind = match entry.kind {
            // Cleared by the member, who went on from above what they have cleared last.
            EntryKind::Message(message) if !row.conversation.window.shows(message.seq) => {
                Some(change::Kind::Void(Void {}))
            }
            EntryKind::Message(message) => {
                message_at.push(changes.len());
                sent.push(*message);
                None
            }
            EntryKind::Group(change) if change.after_seq < row.conversation.window.edge() => {
                Some(change::Kind::Void(Void {}))
            }
            EntryKind::Group(change) => Some(change::Kind::GroupChanged(chat_view::group_change(*change))),
            EntryKind::Void => Some(change::Kind::Void(Void {})),
            // Of a later version of this service: the client steps over it.
            EntryKind::Unknown => None,
        };
        changes.push(Change {
            revision: entry.revision,
            kind,
        });
    }
    // Together, since they quote each other.
    let sent = chat_view::messages(sent, quoted, row.conversation.window);
    for (at, message) in message_at.into_iter().zip(sent) {
        if let Some(change) = changes.get_mut(at) {
            change.kind = Some(change::Kind::MessageSent(message));
        }
    }
    changes
}
