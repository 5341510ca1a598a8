//! Walking a stretch of a timeline: how far it is known without a gap, and what to do about the first gap.
//!
//! Nothing here reads a clock or a store. Safety does not rest on the times: a place may be closed at any moment, and its
//! late writer takes another one. They only decide how long to wait for a writer that is probably still at work.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_domain::{ConversationId, HOLE_AGE_MAX};
use chat_stores::mongo::{Entry, EntryKind, PlaceEntry, RevisionRange};
use chrono::{DateTime, Utc};

/// What a client waits at least before asking again for a place that is being written.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);

/// Something that takes a place of a timeline.
pub trait Placed {
    /// Its place.
    fn revision(&self) -> i64;

    /// When the place was handed out; none where that is not kept, as of voids.
    fn handed_out_at(&self) -> Option<DateTime<Utc>>;
}

impl Placed for Entry {
    fn revision(&self) -> i64 {
        self.revision
    }

    fn handed_out_at(&self) -> Option<DateTime<Utc>> {
        match &self.kind {
            EntryKind::Message(message) => Some(message.allocated_at),
            EntryKind::Group(change) => Some(change.allocated_at),
            EntryKind::Void | EntryKind::Unknown => None,
        }
    }
}

impl Placed for PlaceEntry {
    fn revision(&self) -> i64 {
        self.revision
    }

    fn handed_out_at(&self) -> Option<DateTime<Utc>> {
        self.message.map(|(_, at)| at)
    }
}

/// A stretch of a timeline, to be walked.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Where it starts, exclusive.
    pub after: i64,
    /// Where it ends, inclusive.
    pub through: i64,
    /// When the newest place of the conversation was handed out.
    pub allocated_at: DateTime<Utc>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// What a walk found.
#[derive(Debug, Eq, PartialEq)]
pub struct Walk<P> {
    /// What is there up to the first gap, by increasing revision.
    pub entries: Vec<P>,
    /// The revision up to which there is no gap.
    pub through: i64,
    /// The gaps that their writers have abandoned, wherever they are in the stretch.
    pub abandoned: Vec<i64>,
    /// How long to wait for the writer of the first gap; none when there is no gap or it is abandoned.
    pub retry_after: Option<Duration>,
}

impl<P: Placed> Walk<P> {
    /// Leaves what is there from a revision on to a later walk.
    pub fn end_below(&mut self, revision: i64) {
        self.entries.retain(|entry| entry.revision() < revision);
        self.through = self.through.min(revision - 1);
        self.abandoned.clear();
        self.retry_after = None;
    }
}

impl Stretch {
    /// Walks the stretch over what it holds, which is sorted by revision.
    ///
    /// The age of a gap is counted from the time of the next place whose time is known: places are handed out in order, so
    /// the gap is at least as old. Without one it is counted from the conversation's newest place.
    pub fn walk<P: Placed>(&self, entries: Vec<P>) -> Walk<P> {
        let mut walk = Walk {
            entries: Vec::new(),
            through: self.after,
            abandoned: Vec::new(),
            retry_after: None,
        };
        let mut gaps: Vec<i64> = Vec::new();
        let mut next = self.after + 1;
        for entry in entries {
            let revision = entry.revision();
            gaps.extend(next..revision);
            next = revision + 1;
            if let Some(handed_out_at) = entry.handed_out_at() {
                self.judge(&mut gaps, handed_out_at, &mut walk);
            }
            if walk.through + 1 == revision {
                walk.through = revision;
                walk.entries.push(entry);
            }
        }
        gaps.extend(next..=self.through);
        self.judge(&mut gaps, self.allocated_at, &mut walk);
        walk
    }

    /// The places of the stretch that nothing takes.
    pub fn holes<P: Placed>(&self, entries: &[P]) -> Vec<i64> {
        let taken: BTreeSet<i64> = entries.iter().map(Placed::revision).collect();
        (self.after + 1..=self.through)
            .filter(|revision| !taken.contains(revision))
            .collect()
    }

    /// The stretch in this conversation.
    pub fn range(&self, conversation: ConversationId) -> RevisionRange {
        RevisionRange {
            conversation,
            after: self.after,
            through: self.through,
        }
    }

    /// Decides about gaps that are at least as old as `handed_out_at`.
    fn judge<P>(&self, gaps: &mut Vec<i64>, handed_out_at: DateTime<Utc>, walk: &mut Walk<P>) {
        // A negative age, of a clock that went back, is young.
        let age = (self.now - handed_out_at).to_std().unwrap_or_default();
        for gap in gaps.drain(..) {
            if age >= HOLE_AGE_MAX {
                walk.abandoned.push(gap);
            } else if walk.through + 1 == gap {
                walk.retry_after = Some(HOLE_AGE_MAX.saturating_sub(age).max(RETRY_AFTER_MIN));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_domain::{ConversationId, MessageId};
    use chat_stores::mongo::MessageEntry;
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn message(revision: i64, seconds: i64) -> Entry {
        let conversation = ConversationId::from(uuid::Uuid::nil());
        let kind = EntryKind::Message(Box::new(MessageEntry {
            message: MessageId::from(uuid::Uuid::nil()),
            conversation,
            revision,
            seq: revision,
            sender: "alice".parse().unwrap(),
            op: "op".parse().unwrap(),
            op_hash: [0; 32],
            text: "x".to_owned(),
            reply_to: None,
            allocated_at: at(seconds),
            state_revision: revision,
        }));
        Entry {
            conversation,
            revision,
            kind,
        }
    }

    fn void(revision: i64) -> Entry {
        Entry {
            kind: EntryKind::Void,
            ..message(revision, 0)
        }
    }

    fn revisions(walk: &Walk<Entry>) -> Vec<i64> {
        walk.entries.iter().map(|entry| entry.revision).collect()
    }

    fn stretch(after: i64, through: i64, allocated: i64, now: i64) -> Stretch {
        Stretch {
            after,
            through,
            allocated_at: at(allocated),
            now: at(now),
        }
    }

    #[test]
    fn a_whole_stretch_is_walked_to_its_end() {
        let walk = stretch(1, 4, 0, 100).walk(vec![message(2, 0), void(3), message(4, 0)]);
        assert_eq!((revisions(&walk), walk.through), (vec![2, 3, 4], 4));
        assert_eq!((walk.abandoned, walk.retry_after), (vec![], None));
    }

    #[test]
    fn a_young_gap_ends_the_walk_and_says_how_long_to_wait() {
        let walk = stretch(0, 3, 9, 10).walk(vec![message(1, 0), message(3, 9)]);
        assert_eq!((revisions(&walk), walk.through, walk.abandoned.len()), (vec![1], 1, 0));
        assert_eq!(walk.retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_old_gap_is_abandoned_and_what_is_above_it_stays_hidden() {
        let walk = stretch(0, 3, 5, 10).walk(vec![message(1, 0), message(3, 5)]);
        assert_eq!((revisions(&walk), walk.through), (vec![1], 1));
        assert_eq!((walk.abandoned, walk.retry_after), (vec![2], None));
    }

    #[test]
    fn a_gap_at_the_end_is_as_old_as_the_newest_place() {
        assert_eq!(stretch(0, 2, 0, 3).walk(vec![message(1, 0)]).abandoned, [2]);
        assert_eq!(
            stretch(0, 2, 0, 2).walk(vec![message(1, 0)]).retry_after,
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn a_void_tells_nothing_about_the_age_of_a_gap() {
        let walk = stretch(0, 3, 9, 10).walk(vec![void(2), message(3, 9)]);
        assert_eq!(
            (walk.abandoned.len(), walk.retry_after),
            (0, Some(Duration::from_secs(2)))
        );
    }

    #[test]
    fn all_abandoned_gaps_of_a_stretch_are_found_at_once() {
        let walk = stretch(0, 9, 9, 10).walk(vec![message(2, 1), message(5, 2), message(8, 9)]);
        assert_eq!(walk.abandoned, [1, 3, 4]);
        assert_eq!((walk.through, walk.retry_after), (0, None));
    }

    #[test]
    fn a_clock_that_went_back_makes_gaps_young() {
        let walk = stretch(0, 1, 60, 0).walk(Vec::<Entry>::new());
        assert_eq!(walk.retry_after, Some(HOLE_AGE_MAX));
    }

    #[test]
    fn a_wait_is_never_shorter_than_its_minimum() {
        let now = at(3) - TimeDelta::milliseconds(1);
        let walk = Stretch {
            after: 0,
            through: 1,
            allocated_at: at(0),
            now,
        }
        .walk(Vec::<Entry>::new());
        assert_eq!(walk.retry_after, Some(RETRY_AFTER_MIN));
    }
}
