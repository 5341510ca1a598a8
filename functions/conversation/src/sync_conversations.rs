//! Brings a client up to date: everything that changed since its cursors, in order and without gaps.
//!
//! A revision is shown only once every smaller one is there, or closed, by majority. Who meets a place whose writer died
//! closes it; who meets one that is being written ends the page there. Only this operation hands out cursors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chat_contract::v1::{
    Change, ConversationCursor, ConversationGained, ConversationSync, SyncConversationsRequest,
    SyncConversationsResponse, Void, change,
};
use chat_domain::{
    ConversationId, PageToken, SYNC_BACKLOG_MAX, SYNC_BYTES_MAX, SYNC_CHANGES_MAX, SYNC_CURSORS_MAX,
    SYNC_RESTART_BACKLOG, SYNC_VOIDS_MAX, Violation,
};
use chat_rpc::{Answer, CallContext, Failure, Fields, Operation, view};
use chat_stores::mongo::{Entry, EntryKind, RevisionRange, Timeline};
use chat_stores::postgres::{Discover, Postgres, SyncRow};
use chat_stores::{Settings, SettingsError, StoreError};

use crate::prefix;
use crate::walk::{Stretch, Walk, contiguous};

/// What an entry weighs beside its text, at most about: ids, times, and the excerpt of what it replies to.
const ENTRY_BYTES: usize = 1_024;

/// How long a client waits for a gap that was abandoned and still could not be closed.
const CLOSING_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The RPC `SyncConversations`.
#[derive(Debug)]
pub struct SyncConversations {
    postgres: Postgres,
    timeline: Timeline,
}

impl Operation for SyncConversations {
    type Request = SyncConversationsRequest;

    fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            postgres: Postgres::new(settings)?,
            timeline: Timeline::new(settings)?,
        })
    }

    async fn call(
        &self,
        context: &CallContext,
        request: SyncConversationsRequest,
    ) -> Result<Answer<SyncConversationsResponse>, Failure> {
        let user = &context.caller()?.user;
        let Asked { cursors, discover } = parse(&request)?;
        let named: Vec<ConversationId> = cursors.iter().map(|cursor| cursor.conversation).collect();
        let rows = self.postgres.list_for_sync(user, &named, discover.as_ref()).await?;
        let (mut known, unnamed): (HashMap<ConversationId, SyncRow>, Vec<SyncRow>) = split(rows);

        let mut plan = Plan::default();
        let mut lost_conversation_ids = Vec::new();
        for cursor in &cursors {
            match known.remove(&cursor.conversation) {
                Some(row) => plan.add(*cursor, row),
                None => lost_conversation_ids.push(cursor.conversation.to_string()),
            }
        }
        let next_gained = unnamed
            .get(SYNC_CURSORS_MAX - 1)
            .filter(|_| unnamed.len() > SYNC_CURSORS_MAX);
        let next_gained_page_token = next_gained.map(|last| page_token(last).to_string()).unwrap_or_default();
        for row in unnamed.into_iter().take(SYNC_CURSORS_MAX) {
            plan.restart(row, false);
        }

        let (ranges, restart_ranges, prefixes) = (plan.ranges(), plan.restart_ranges(), plan.prefixes());
        let (entries, present, open) = tokio::try_join!(
            self.timeline.list_revisions(&ranges),
            self.timeline.list_present_revisions(&restart_ranges),
            prefix::open_stretches(&self.timeline, &prefixes),
        )?;
        prefix::close(&self.postgres, &self.timeline, &prefixes, &open).await?;
        let walks = self.walk(&plan, entries).await?;
        let (conversations, gained) = plan.answer(walks, &present);
        Ok(SyncConversationsResponse {
            conversations,
            gained,
            lost_conversation_ids,
            next_gained_page_token,
        }
        .into())
    }
}

impl SyncConversations {
    /// Walks what was read; where that meets abandoned gaps, closes them, reads again and walks again.
    async fn walk(
        &self,
        plan: &Plan,
        mut entries: BTreeMap<ConversationId, Vec<Entry>>,
    ) -> Result<HashMap<ConversationId, Walk>, StoreError> {
        let mut walks: HashMap<ConversationId, Walk> = plan
            .continued()
            .map(|(conversation, stretch)| {
                (
                    conversation,
                    stretch.walk(entries.remove(&conversation).unwrap_or_default()),
                )
            })
            .collect();
        let abandoned: Vec<(ConversationId, i64)> = walks
            .iter()
            .flat_map(|(conversation, walk)| walk.abandoned.iter().map(|revision| (*conversation, *revision)))
            .take(SYNC_VOIDS_MAX)
            .collect();
        if abandoned.is_empty() {
            return Ok(walks);
        }
        if let Err(error) = self.timeline.close(&abandoned).await {
            // What is below the gaps can be shown all the same; the client comes again for the rest.
            drop(Failure::from(error));
            return Ok(walks);
        }
        let reread: Vec<(ConversationId, Stretch)> = plan
            .continued()
            .filter(|(conversation, _)| abandoned.iter().any(|(closed, _)| closed == conversation))
            .collect();
        let ranges: Vec<RevisionRange> = reread
            .iter()
            .map(|(conversation, stretch)| range(*conversation, stretch))
            .collect();
        let mut entries = self.timeline.list_revisions(&ranges).await?;
        for (conversation, stretch) in reread {
            walks.insert(
                conversation,
                stretch.walk(entries.remove(&conversation).unwrap_or_default()),
            );
        }
        Ok(walks)
    }
}

/// Where a client says it is in a conversation.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    conversation: ConversationId,
    joined_revision: i64,
    revision: i64,
}

/// What a client asks.
struct Asked {
    cursors: Vec<Cursor>,
    discover: Option<Discover>,
}

fn parse(request: &SyncConversationsRequest) -> Result<Asked, Failure> {
    let mut fields = Fields::default();
    if request.cursors.len() > SYNC_CURSORS_MAX {
        let problem = format!(
            "has {} entries; at most {SYNC_CURSORS_MAX} are allowed",
            request.cursors.len()
        );
        fields.take::<()>("cursors", Err(Violation::new(problem)));
        return Err(fields.refuse());
    }
    let not_negative = |value: i64| {
        if value < 0 {
            Err(Violation::new(format!("is {value}; it must not be negative")))
        } else {
            Ok(value)
        }
    };
    let mut seen = HashSet::new();
    let mut cursors = Vec::with_capacity(request.cursors.len());
    for cursor in &request.cursors {
        let conversation = cursor
            .conversation_id
            .parse::<ConversationId>()
            .and_then(|conversation| {
                if seen.insert(conversation) {
                    Ok(conversation)
                } else {
                    Err(Violation::new("names a conversation twice"))
                }
            });
        let conversation = fields.take("cursors.conversation_id", conversation);
        let joined_revision = fields.take("cursors.joined_revision", not_negative(cursor.joined_revision));
        let revision = fields.take("cursors.revision", not_negative(cursor.revision));
        if let (Some(conversation), Some(joined_revision), Some(revision)) = (conversation, joined_revision, revision) {
            cursors.push(Cursor {
                conversation,
                joined_revision,
                revision,
            });
        }
    }
    let after = fields.take("gained_page_token", PageToken::parse(&request.gained_page_token));
    let discover = request.discover.then(|| Discover { after: after.flatten() });
    fields.accept(Asked { cursors, discover })
}

/// Where the next page of gained conversations goes on after this one.
fn page_token(last: &SyncRow) -> PageToken {
    PageToken {
        time: last.conversation.last_activity_at,
        key: last.conversation.conversation.to_string(),
    }
}

/// The named memberships by conversation, and the others, newest activity first.
fn split(rows: Vec<SyncRow>) -> (HashMap<ConversationId, SyncRow>, Vec<SyncRow>) {
    let (named, mut unnamed): (Vec<SyncRow>, Vec<SyncRow>) = rows.into_iter().partition(|row| row.named);
    unnamed.sort_by_key(|row| std::cmp::Reverse((row.conversation.last_activity_at, row.conversation.conversation)));
    (
        named
            .into_iter()
            .map(|row| (row.conversation.conversation, row))
            .collect(),
        unnamed,
    )
}

/// What to do for each conversation of the answer.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<Step>,
    /// How many revisions the continued conversations read so far.
    planned: usize,
}

#[derive(Debug)]
struct Step {
    row: SyncRow,
    kind: StepKind,
}

#[derive(Debug)]
enum StepKind {
    /// Go on from the client's cursor.
    Continue(Stretch),
    /// Start over near the head: the client's cursor is of no use, or it has none.
    Restart {
        /// Whether the client named the conversation.
        named: bool,
        /// Where the last stretch before the head starts, exclusive.
        after: i64,
    },
}

impl Plan {
    /// Plans a conversation that the client named.
    fn add(&mut self, cursor: Cursor, row: SyncRow) {
        let head = row.conversation.revision;
        let behind = head.saturating_sub(cursor.revision);
        if cursor.joined_revision != row.conversation.joined_revision || !(0..=SYNC_BACKLOG_MAX).contains(&behind) {
            self.restart(row, true);
            return;
        }
        // Earlier conversations may leave nothing for later ones; those are then incomplete, and the client comes again.
        let left = i64::try_from(SYNC_CHANGES_MAX.saturating_sub(self.planned)).unwrap_or(0);
        let through = head.min(cursor.revision.saturating_add(left));
        self.planned += usize::try_from(through - cursor.revision).unwrap_or(0);
        let stretch = Stretch {
            after: cursor.revision,
            through,
            allocated_at: row.allocated_at,
            now: row.now,
        };
        self.steps.push(Step {
            row,
            kind: StepKind::Continue(stretch),
        });
    }

    /// Plans a conversation that the client starts over, or has never seen.
    fn restart(&mut self, row: SyncRow, named: bool) {
        let conversation = &row.conversation;
        let after = conversation
            .joined_revision
            .max(conversation.revision - SYNC_RESTART_BACKLOG);
        self.steps.push(Step {
            row,
            kind: StepKind::Restart { named, after },
        });
    }

    fn continued(&self) -> impl Iterator<Item = (ConversationId, Stretch)> + '_ {
        self.steps.iter().filter_map(|step| match step.kind {
            StepKind::Continue(stretch) => Some((step.row.conversation.conversation, stretch)),
            StepKind::Restart { .. } => None,
        })
    }

    fn ranges(&self) -> Vec<RevisionRange> {
        self.continued()
            .map(|(conversation, stretch)| range(conversation, &stretch))
            .collect()
    }

    fn restart_ranges(&self) -> Vec<RevisionRange> {
        self.steps
            .iter()
            .filter_map(|step| match step.kind {
                StepKind::Continue(_) => None,
                StepKind::Restart { after, .. } => Some(RevisionRange {
                    conversation: step.row.conversation.conversation,
                    after,
                    through: step.row.conversation.revision,
                }),
            })
            .collect()
    }

    /// What lies below where clients start over, as far as it is not known to be closed.
    fn prefixes(&self) -> Vec<RevisionRange> {
        self.steps
            .iter()
            .filter_map(|step| match step.kind {
                StepKind::Continue(_) => None,
                StepKind::Restart { after, .. } => Some(RevisionRange {
                    conversation: step.row.conversation.conversation,
                    after: step.row.closed_revision,
                    through: after,
                }),
            })
            .filter(|prefix| prefix.after < prefix.through)
            .collect()
    }

    /// Puts the answer together, in the order of the request.
    fn answer(
        self,
        mut walks: HashMap<ConversationId, Walk>,
        present: &BTreeMap<ConversationId, Vec<i64>>,
    ) -> (Vec<ConversationSync>, Vec<ConversationGained>) {
        let (mut conversations, mut gained) = (Vec::new(), Vec::new());
        let mut bytes_left = SYNC_BYTES_MAX;
        for Step { row, kind } in self.steps {
            let id = row.conversation.conversation;
            match kind {
                StepKind::Continue(stretch) => {
                    let walk = walks.remove(&id).unwrap_or_else(|| stretch.walk(Vec::new()));
                    conversations.push(continued(row, walk, &mut bytes_left));
                }
                StepKind::Restart { named, after } => {
                    // The client loads its page after this answer, so it sees at least what is there now.
                    let through = contiguous(after, present.get(&id).map_or(&[], Vec::as_slice));
                    if named {
                        conversations.push(ConversationSync {
                            reset: true,
                            ..synced(row, through, Vec::new())
                        });
                    } else {
                        let cursor = Some(cursor(&row, through));
                        gained.push(ConversationGained {
                            cursor,
                            conversation: Some(view::conversation(row.conversation)),
                        });
                    }
                }
            }
        }
        (conversations, gained)
    }
}

/// The answer for a conversation that goes on from the client's cursor: what fits of the walk.
fn continued(row: SyncRow, walk: Walk, bytes_left: &mut usize) -> ConversationSync {
    let before = walk.through - i64::try_from(walk.entries.len()).unwrap_or(0);
    let mut through = before;
    let mut changes = Vec::with_capacity(walk.entries.len());
    for entry in walk.entries {
        let bytes = ENTRY_BYTES
            + match &entry.kind {
                EntryKind::Message(message) => weight(&message.text),
                EntryKind::Void | EntryKind::Unknown => 0,
            };
        let Some(left) = bytes_left.checked_sub(bytes) else {
            break;
        };
        *bytes_left = left;
        through = entry.revision;
        changes.push(change(entry));
    }
    let cut = through < walk.through;
    let retry_after = walk
        .retry_after
        .or((!walk.abandoned.is_empty()).then_some(CLOSING_RETRY_AFTER));
    ConversationSync {
        retry_after: retry_after.filter(|_| !cut).map(Into::into),
        ..synced(row, through, changes)
    }
}

/// The bytes of a text in an answer, at most. As JSON within the JSON that a function answers, a quote, a backslash or a
/// control character takes four.
fn weight(text: &str) -> usize {
    let is_escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    text.len() + 3 * text.as_bytes().iter().filter(is_escaped).count()
}

/// The answer for a conversation at a revision.
fn synced(row: SyncRow, through: i64, changes: Vec<Change>) -> ConversationSync {
    let conversation = &row.conversation;
    let newest_seq = changes.iter().rev().find_map(|change| match &change.kind {
        Some(change::Kind::MessageSent(message)) => Some(message.seq),
        _ => None,
    });
    let at_head = through >= conversation.revision;
    ConversationSync {
        cursor: Some(cursor(&row, through)),
        reset: false,
        incomplete: !at_head,
        retry_after: None,
        revision: conversation.revision,
        cursor_seq: if at_head {
            conversation.message_count
        } else {
            newest_seq.unwrap_or_default()
        },
        message_count: conversation.message_count,
        unread_count: conversation.unread_count,
        members: row.conversation.members.into_iter().map(view::member).collect(),
        changes,
    }
}

fn cursor(row: &SyncRow, revision: i64) -> ConversationCursor {
    ConversationCursor {
        conversation_id: row.conversation.conversation.to_string(),
        joined_revision: row.conversation.joined_revision,
        revision,
    }
}

fn change(entry: Entry) -> Change {
    Change {
        revision: entry.revision,
        kind: match entry.kind {
            EntryKind::Message(message) => Some(change::Kind::MessageSent(view::message(*message))),
            EntryKind::Void => Some(change::Kind::Void(Void {})),
            // Of a later version of this service: the client steps over it.
            EntryKind::Unknown => None,
        },
    }
}

fn range(conversation: ConversationId, stretch: &Stretch) -> RevisionRange {
    RevisionRange {
        conversation,
        after: stretch.after,
        through: stretch.through,
    }
}

#[cfg(test)]
mod tests;
