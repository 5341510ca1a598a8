//! Sealing: making sure that a conversation is whole, and keeping how far that was done.
//!
//! Postgres hands out places and seqs, MongoDB keeps what is written there, and a writer may die in between. What it leaves
//! open is closed by whoever meets it: the sender of every so many places ([`SEAL_EVERY`]), a sync, a page of history. This
//! crate is where all of them do it, so that there is one rule for what an open place is, when it may be closed, and what has
//! to be told Postgres about it: how far every place is taken, and which seqs no message has, which therefore count nowhere.
//!
//! Closing a place is safe at any moment, since a late writer meets the unique index and takes another one. What is told
//! Postgres is only what a read *after* closing did not find. Everything here may be repeated, and may stop half-way.

#![warn(missing_docs)]

mod walk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chat_domain::{
    ConversationId, RESTART_PLACES_AT_ONCE_MAX, RESTART_PLACES_MAX, RESTART_PLACES_READ_MAX, SEAL_EVERY,
    SEAL_PLACES_MAX, VOIDS_MAX,
};
use chat_stores::mongo::{PlaceEntry, SeqRange, Timeline};
use chat_stores::postgres::{LastSaid, Postgres, SealState, Sealed};
use chat_stores::{GroupEntry, StoreError};

use tokio::time::Instant;

pub use walk::{Placed, Stretch, Walk};

/// Seqs that one sealing reports as uncounted, at most: more than the places that it looks at only has a conversation whose
/// sequencer was lifted over a stretch that nobody ever handed out.
const UNCOUNTED_MAX: i64 = 65_536;
/// For how long one call begins to count further places.
const COUNTING_DURATION_MAX: Duration = Duration::from_millis(700);
/// How often changes that found their places taken get others, within one call.
const LIFTS_MAX: usize = 4;
/// Progress of less than this is not worth a write of its own.
const KEPT_STEP: i64 = 1_000;

/// Whether the sender of this place makes sure, after the answer, that those before are taken.
pub fn is_due(revision: i64) -> bool {
    revision % SEAL_EVERY == 0
}

/// How many places one restart looks at.
#[derive(Clone, Copy, Debug)]
pub struct RestartBudget {
    /// How many it counts, at most.
    pub counted: i64,
    /// How many of them it counts with one call of the timeline, at most.
    pub counted_at_once: i64,
    /// How many it reads one by one, at most, where some turned out to be missing.
    pub read: i64,
}

impl Default for RestartBudget {
    fn default() -> Self {
        Self {
            counted: RESTART_PLACES_MAX,
            counted_at_once: RESTART_PLACES_AT_ONCE_MAX,
            read: RESTART_PLACES_READ_MAX,
        }
    }
}

/// Seals conversations.
#[derive(Clone, Copy, Debug)]
pub struct Sealer<'a> {
    postgres: &'a Postgres,
    timeline: &'a Timeline,
}

/// What became of changes of groups that were to be written in their places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filled {
    /// All stand there, or are on their way.
    InPlace,
    /// Something else stood there: they have moved above it, or somebody else has moved them.
    Moved,
}

/// How far a conversation is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed {
    /// Every place up to this revision is taken.
    pub through: i64,
    /// Whether what is above is being written, if there is anything; else more was to look at than one call may.
    pub is_done: bool,
    /// Whether seqs turned out to be no message's, so that what was counted before has to be counted again.
    pub had_gaps: bool,
}

impl<'a> Sealer<'a> {
    /// A sealer on the stores of an operation.
    pub fn new(postgres: &'a Postgres, timeline: &'a Timeline) -> Self {
        Self { postgres, timeline }
    }

    /// Closes places that nobody has filled: with the change that Postgres keeps for them, and else for good. Those that are
    /// already taken stay as they are. The places are known from a head that was read before, so what belongs there is in the
    /// outbox by now, or was.
    pub async fn close(&self, places: &[(ConversationId, i64)]) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        let changes = self.postgres.list_outbox(places).await?;
        let kept: BTreeSet<(ConversationId, i64)> = changes
            .iter()
            .map(|change| (change.conversation, change.revision))
            .collect();
        let voids: Vec<(ConversationId, i64)> = places.iter().filter(|place| !kept.contains(place)).copied().collect();
        self.fill(&changes, &voids).await?;
        Ok(())
    }

    /// Writes changes of groups where they belong, and closes other places for good. A change in whose place something else
    /// stands gets another one: the sequencer went back, or a version of this service that knows nothing of groups has
    /// closed the place.
    pub async fn fill(&self, changes: &[GroupEntry], voids: &[(ConversationId, i64)]) -> Result<Filled, StoreError> {
        let mut filled = Filled::InPlace;
        let mut displaced = self.timeline.fill(changes, voids).await?;
        for _ in 0..LIFTS_MAX {
            if displaced.is_empty() {
                return Ok(filled);
            }
            filled = Filled::Moved;
            displaced.sort_by_key(|change| (change.conversation, change.revision));
            let mut lifted = Vec::with_capacity(displaced.len());
            for change in displaced {
                let conversation = change.conversation;
                let heads = self.timeline.lookup_heads(conversation).await?;
                tracing::error!(
                    conversation_id = %conversation, revision = change.revision, head = heads.revision,
                    "the place of a change of a group is taken: it gets another one"
                );
                let floors = (heads.revision, heads.seq);
                lifted.extend(self.postgres.lift_change(conversation, change.revision, floors).await?);
            }
            displaced = self.timeline.fill(&lifted, &[]).await?;
        }
        // Whoever seals goes on.
        tracing::warn!(changes = displaced.len(), "changes of groups found no place");
        Ok(filled)
    }

    /// Seals these conversations one after the other. What fails is logged: another call seals.
    pub async fn seal_all(&self, conversations: &[ConversationId]) {
        for conversation in conversations {
            if let Err(error) = self.seal(*conversation).await {
                tracing::warn!(conversation_id = %conversation, error = %error, causes = error.causes(), "not sealed");
            }
        }
    }

    /// Seals a conversation from where it is sealed, over at most [`SEAL_PLACES_MAX`] places: closes what was abandoned there,
    /// and keeps how far everything is taken and which seqs no message has. At the head it also sets right when something
    /// was last said.
    pub async fn seal(&self, conversation: ConversationId) -> Result<(), StoreError> {
        if let Some(state) = self.postgres.lookup_seal(conversation).await? {
            self.seal_stretch(conversation, &state, SEAL_PLACES_MAX).await?;
        }
        Ok(())
    }

    /// Tells Postgres that no message will ever have this seq: its place was closed by the caller, whose operation is not in
    /// there. Then seals the conversation, so that nothing of the place is left to see.
    pub async fn uncount(&self, conversation: ConversationId, seq: i64) -> Result<(), StoreError> {
        let sealed = Sealed {
            uncounted: vec![seq],
            ..Sealed::default()
        };
        self.postgres.seal(conversation, &sealed).await?;
        self.seal(conversation).await
    }

    /// Makes sure, for clients that start over near the heads of these conversations, that nothing below is open: a writer
    /// that was frozen for long could fill it, and such a client would never see it.
    ///
    /// What costs least comes first, and what was made sure of is kept at once, so that a call that has too much to look at
    /// leaves less for the next one.
    pub async fn restart(
        &self,
        mut starts: Vec<(ConversationId, SealState)>,
        budget: RestartBudget,
    ) -> Result<BTreeMap<ConversationId, Closed>, StoreError> {
        starts.sort_by_key(|(_, state)| state.revision - state.closed_revision);
        let mut closed: BTreeMap<ConversationId, Closed> = starts
            .iter()
            .map(|(conversation, state)| (*conversation, counted_through(state)))
            .collect();
        starts.retain(|(_, state)| state.closed_revision < state.revision);
        // Where not every place has a seq, counting seqs does not tell.
        let has_seqs = |(_, state): &(ConversationId, SealState)| {
            state.revision - state.closed_revision == state.message_count - state.closed_seq
        };
        let (counted, mut read): (Vec<_>, Vec<_>) = starts.into_iter().partition(has_seqs);
        self.count(counted.into(), budget, &mut closed, &mut read).await?;

        let mut left = budget.read;
        for (conversation, state) in read {
            let stretch = (state.revision - state.closed_revision).min(left);
            left -= stretch;
            if stretch > 0 {
                let through = self.seal_stretch(conversation, &state, stretch).await?;
                closed.insert(conversation, through);
            }
        }
        Ok(closed)
    }

    /// Counts the messages of what is open in these conversations, at most so many places, and notes in `closed` how far all
    /// are there; those where some are missing go to `read`. It counts piece by piece and keeps each, so that a call that
    /// is slow or dies has moved on.
    async fn count(
        &self,
        mut waiting: VecDeque<(ConversationId, SealState)>,
        budget: RestartBudget,
        closed: &mut BTreeMap<ConversationId, Closed>,
        read: &mut Vec<(ConversationId, SealState)>,
    ) -> Result<(), StoreError> {
        let until = Instant::now() + COUNTING_DURATION_MAX;
        let (mut left, mut has_moved_on) = (budget.counted, false);
        while left > 0 && !waiting.is_empty() && Instant::now() < until {
            let mut room = budget.counted_at_once.min(left);
            let mut piece: Vec<(SealState, SeqRange)> = Vec::new();
            while room > 0
                && let Some((conversation, state)) = waiting.pop_front()
            {
                let stretch = room.min(state.revision - state.closed_revision);
                (room, left) = (room - stretch, left - stretch);
                let range = SeqRange {
                    conversation,
                    after: state.closed_seq,
                    through: state.closed_seq + stretch,
                };
                piece.push((state, range));
            }
            let ranges: Vec<SeqRange> = piece.iter().map(|(_, range)| *range).collect();
            let messages = match self.timeline.count_messages(&ranges).await {
                Ok(messages) => messages,
                Err(error) if has_moved_on => {
                    tracing::warn!(error = %error, causes = error.causes(), "a restart is counted by the next call");
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            for (mut state, range) in piece {
                let conversation = range.conversation;
                let stretch = range.through - range.after;
                if messages.get(&conversation).copied().unwrap_or_default() < stretch {
                    read.push((conversation, state));
                    continue;
                }
                state.closed_revision += stretch;
                state.closed_seq = range.through;
                let through = counted_through(&state);
                closed.insert(conversation, through);
                if stretch >= KEPT_STEP || !through.is_done {
                    let sealed = Sealed {
                        closed_revision: state.closed_revision,
                        closed_seq: state.closed_seq,
                        ..Sealed::default()
                    };
                    if let Err(error) = self.postgres.seal(conversation, &sealed).await {
                        // Counted all the same; only the next one counts it again.
                        tracing::warn!(conversation_id = %conversation, error = %error, causes = error.causes(), "not kept");
                    }
                }
                if !through.is_done {
                    waiting.push_front((conversation, state));
                }
                has_moved_on = true;
            }
        }
        Ok(())
    }

    /// Looks at the places from where a conversation is sealed, at most so many; closes those that were abandoned, and keeps
    /// what was found out.
    async fn seal_stretch(
        &self,
        conversation: ConversationId,
        state: &SealState,
        places_max: i64,
    ) -> Result<Closed, StoreError> {
        let stretch = Stretch {
            after: state.closed_revision,
            through: state.revision.min(state.closed_revision + places_max),
            allocated_at: state.allocated_at,
            now: state.now,
        };
        let pending = async {
            if !state.is_group {
                return Ok(Vec::new());
            }
            self.postgres
                .list_pending(conversation, stretch.through, places_max)
                .await
        };
        let (mut walk, pending) = tokio::try_join!(self.walk(conversation, &stretch), pending)?;
        if !pending.is_empty() {
            // The rows go with the seal: that what they hold stands in its place is to be seen before. Those of what has
            // moved have another place by then, and stay.
            self.fill(&pending, &[]).await?;
            walk = self.walk(conversation, &stretch).await?;
        }
        let pending = pending.iter().map(|change| change.revision);
        if !walk.abandoned.is_empty() {
            let places: Vec<(ConversationId, i64)> = walk
                .abandoned
                .iter()
                .take(VOIDS_MAX)
                .map(|revision| (conversation, *revision))
                .collect();
            self.close(&places).await?;
            // Writers may have been faster; what counts is what stands there now.
            walk = self.walk(conversation, &stretch).await?;
        }
        let is_whole = walk.through == state.revision;
        let newest = walk.entries.iter().rev().find_map(|place| place.message);
        let closed_seq = if is_whole {
            // All places that were handed out are taken, and with them all seqs.
            state.message_count
        } else {
            newest.map_or(state.closed_seq, |(seq, _)| seq)
        };
        let uncounted = uncounted(state.closed_seq, closed_seq, &walk.entries);
        let had_gaps = !uncounted.is_empty();
        let sealed = Sealed {
            closed_revision: walk.through,
            closed_seq,
            uncounted,
            written: pending.filter(|revision| *revision <= walk.through).collect(),
            last_said: if is_whole {
                self.last_said(conversation, state, newest).await?
            } else {
                None
            },
        };
        let has_news = walk.through > state.closed_revision || closed_seq > state.closed_seq;
        if has_news || sealed.last_said.is_some() || !sealed.written.is_empty() {
            self.postgres.seal(conversation, &sealed).await?;
        }
        Ok(Closed {
            through: walk.through,
            // At the end of a stretch that ends below the head, nothing tells how old a gap is.
            is_done: is_whole || (walk.retry_after.is_some() && stretch.through == state.revision),
            had_gaps,
        })
    }

    async fn walk(&self, conversation: ConversationId, stretch: &Stretch) -> Result<Walk<PlaceEntry>, StoreError> {
        let places = self.timeline.list_places(stretch.range(conversation)).await?;
        Ok(stretch.walk(places))
    }

    /// When something was last said in a conversation whose places are all taken; None when that is what lists say.
    async fn last_said(
        &self,
        conversation: ConversationId,
        state: &SealState,
        newest: Option<(i64, chrono::DateTime<chrono::Utc>)>,
    ) -> Result<Option<LastSaid>, StoreError> {
        let newest = match newest {
            None => {
                let newest = self.timeline.lookup_newest(conversation).await?;
                newest.and_then(|place| place.message)
            }
            newest => newest,
        };
        let at = newest.map_or(state.created_at, |(_, at)| at);
        Ok(Some(at).filter(|at| *at != state.last_activity_at).map(|at| LastSaid {
            message_count: state.message_count,
            at,
        }))
    }
}

/// How far a conversation is closed that was counted this far.
fn counted_through(state: &SealState) -> Closed {
    Closed {
        through: state.closed_revision,
        is_done: state.closed_revision >= state.revision,
        had_gaps: false,
    }
}

/// The seqs `after < seq <= through` that none of these places has.
fn uncounted(after: i64, through: i64, places: &[PlaceEntry]) -> Vec<i64> {
    let stored: BTreeSet<i64> = places
        .iter()
        .filter_map(|place| place.message.map(|(seq, _)| seq))
        .collect();
    let lifted_over = through - after - UNCOUNTED_MAX;
    if lifted_over > 0 {
        tracing::error!(
            seqs = lifted_over,
            "a stretch of seqs was never handed out; the oldest of them stay counted"
        );
    }
    let after = after.max(through - UNCOUNTED_MAX);
    (after + 1..=through).filter(|seq| !stored.contains(seq)).collect()
}
