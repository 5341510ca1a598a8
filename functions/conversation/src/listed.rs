//! Conversations as lists show them: each with its newest message, and with an exact count of what is unread.
//!
//! Postgres counts what it handed out. What is on its way, or was abandoned and not yet closed, only the timeline can tell,
//! so the part of each count that is not sealed is compared with it, from an index alone.

use std::collections::{BTreeMap, BTreeSet};

use chat_contract::v1::Conversation;
use chat_domain::{ConversationId, MessageId, PREVIEW_BACKLOG_MAX, UNREAD_COUNT_MAX, UserId};
use chat_stores::StoreError;
use chat_stores::mongo::{PreviewEntry, SeqRange, Timeline};
use chat_stores::postgres::{ListedRow, Missing, Postgres};

/// Conversations as a list shows them.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) conversations: Vec<Conversation>,
    /// Those in which something was not as it should be.
    pub(crate) seal: Vec<ConversationId>,
}

/// Completes rows with what the timeline knows. One round trip; one more where the newest message is not there, or something
/// that was counted.
pub(crate) async fn complete(
    postgres: &Postgres,
    timeline: &Timeline,
    user: &UserId,
    mut rows: Vec<ListedRow>,
) -> Result<Listed, StoreError> {
    let newest = rows.iter().filter(|row| row.conversation.window.shows(row.newest_seq));
    let newest: Vec<MessageId> = newest.map(ListedRow::newest_message).collect();
    let unsettled: Vec<SeqRange> = rows.iter().filter_map(unsettled).collect();
    let (previews, present) =
        tokio::try_join!(timeline.list_previews(&newest), timeline.list_present_seqs(&unsettled))?;
    let mut previews: BTreeMap<ConversationId, PreviewEntry> = by_conversation(previews);
    let mut seal: BTreeSet<ConversationId> = rows.iter().filter(|row| is_stale(row, &previews)).map(id).collect();

    let below: Vec<SeqRange> = rows
        .iter()
        .filter(|row| row.newest_seq > 0 && !previews.contains_key(&id(row)))
        .map(|row| SeqRange {
            conversation: id(row),
            after: (row.newest_seq - 1 - PREVIEW_BACKLOG_MAX).max(row.conversation.window.edge()),
            through: row.newest_seq,
        })
        .collect();
    let missing: Vec<Missing> = unsettled
        .into_iter()
        .filter_map(|range| missing(range, present.get(&range.conversation)))
        .collect();
    seal.extend(missing.iter().map(|missing| missing.conversation));
    let recount = async {
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        postgres.count_unread(user, &missing).await
    };
    let (more_previews, counted) = tokio::try_join!(timeline.list_newest_previews(&below), recount)?;
    previews.extend(by_conversation(more_previews));
    let through = |id| {
        missing
            .iter()
            .find(|missing| missing.conversation == id)
            .map(|missing| missing.through)
    };
    let counted = counted
        .into_iter()
        .filter_map(|(id, unread)| Some((id, (unread, through(id)?))));
    let counted: BTreeMap<ConversationId, (i64, i64)> = counted.collect();
    for row in &mut rows {
        if let Some((unread, through)) = counted.get(&id(row)) {
            (row.conversation.unread_count, row.conversation.counted_seq) = (*unread, *through);
        }
    }
    let conversations = rows
        .into_iter()
        .map(|row| Conversation {
            last_message: previews.remove(&id(&row)).map(chat_view::last_message),
            ..chat_view::own_conversation(row.conversation)
        })
        .collect();
    Ok(Listed {
        conversations,
        seal: seal.into_iter().collect(),
    })
}

fn id(row: &ListedRow) -> ConversationId {
    row.conversation.conversation
}

fn by_conversation(previews: Vec<PreviewEntry>) -> BTreeMap<ConversationId, PreviewEntry> {
    let previews = previews.into_iter();
    previews.map(|preview| (preview.conversation, preview)).collect()
}

/// Whether the list's order knows of another newest message than the timeline.
fn is_stale(row: &ListedRow, previews: &BTreeMap<ConversationId, PreviewEntry>) -> bool {
    if row.newest_seq > 0 && !row.conversation.window.shows(row.newest_seq) {
        // The newest was said before they came, and is not theirs to look at.
        return false;
    }
    let preview = previews.get(&id(row));
    let said_at = match preview {
        Some(preview) => Some(preview.allocated_at),
        None if row.newest_seq == 0 => Some(row.conversation.created_at),
        None => None,
    };
    said_at != Some(row.conversation.last_activity_at)
}

/// The seqs that count as unread and of which only the timeline can tell whether messages have them. More than count exactly
/// are never looked at.
fn unsettled(row: &ListedRow) -> Option<SeqRange> {
    let conversation = &row.conversation;
    let range = SeqRange {
        conversation: conversation.conversation,
        after: row.closed_seq.max(conversation.counted_seq - UNREAD_COUNT_MAX),
        through: conversation.counted_seq,
    };
    (conversation.unread_count > 0 && range.after < range.through).then_some(range)
}

/// The seqs of a range that are not among those present, which are sorted. Those at its end may be on their way: counting ends
/// below them, and who hears of them adds them.
fn missing(range: SeqRange, present: Option<&Vec<i64>>) -> Option<Missing> {
    let present = present.map_or(&[][..], Vec::as_slice);
    let through = present.last().copied().unwrap_or(range.after);
    let seqs: Vec<i64> = (range.after + 1..=through)
        .filter(|seq| present.binary_search(seq).is_err())
        .collect();
    (through < range.through || !seqs.is_empty()).then_some(Missing {
        conversation: range.conversation,
        through,
        seqs,
    })
}

#[cfg(test)]
mod tests;
