//! How a client follows the user's own feed: which announcement of a friend or a membership is the newest, and what is
//! gone. No IO, no clock; what friends and memberships look like is kept elsewhere.
//!
//! The feed's revisions are contiguous, 1, 2, 3 …, and each thing has the revision of its newest state. Live events announce
//! states too, may be lost, repeated and late, and know nothing of a listing that goes on meanwhile. Hence two rules: a state
//! is only replaced by one with a revision that is not less, and after a listing, what it did not name is gone, unless it was
//! announced after the listing had been asked for and lies above where the listing ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chat_contract::v1::{FeedCursor, FeedSync};

use crate::timeline::{HINTS_MAX, Step};

/// One thing in a user's feed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Key {
    /// How the user and another stand.
    Friend(Arc<str>),
    /// A membership of the user.
    Membership(Arc<str>),
}

/// A moment of this side, counted in announcements.
pub(crate) type Moment = u64;

/// How far a client is in the user's own feed.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    cursor: FeedCursor,
    /// The greatest revision heard of.
    head: i64,
    now: Moment,
    /// The greatest revision that was announced, and when.
    newest: (i64, Moment),
    /// Where the cursor was before the answer that is being taken: what is gone by then is not remembered any more.
    passed: i64,
    /// Announced above a gap: revision → when.
    above: BTreeMap<i64, Moment>,
    listing: Listing,
    known: HashMap<Key, Known>,
    /// What is gone, by the revision at which it went, until the cursor has passed that.
    gone: BTreeMap<i64, Key>,
}

/// A listing of all that there is.
#[derive(Debug)]
struct Listing {
    number: u64,
    /// When it was asked for.
    since: Moment,
    is_over: bool,
}

/// At first, everything is still to be listed.
impl Default for Listing {
    fn default() -> Self {
        Self {
            number: 1,
            since: 0,
            is_over: false,
        }
    }
}

/// The newest state of a thing that a client heard of.
#[derive(Debug)]
struct Known {
    revision: i64,
    heard: Moment,
    /// The number of the last listing that named it.
    named_in: u64,
    /// Whether it is there; what is gone is remembered while an older announcement of it may come.
    is_there: bool,
}

impl Feed {
    pub(crate) fn cursor(&self) -> FeedCursor {
        self.cursor
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// Whether something is missing, or was never listed.
    pub(crate) fn is_behind(&self) -> bool {
        !self.listing.is_over || self.cursor.revision < self.head
    }

    /// Hears a live announcement. Answers whether it is news, and whether something is missing before it.
    pub(crate) fn hears(&mut self, key: Key, is_there: bool, revision: i64) -> (bool, Step) {
        let known = self.known.get(&key);
        let is_news = match known {
            Some(known) if !self.is_comparable(known) => true,
            Some(known) if known.is_there => revision >= known.revision,
            Some(known) => revision > known.revision,
            // All up to the cursor is known: this was something that is gone.
            None => revision > self.cursor.revision,
        };
        self.pokes(revision);
        if revision > self.cursor.revision {
            self.above.insert(revision, self.now);
        }
        self.advance();
        if is_news {
            self.note(key, is_there, revision, None);
            self.forget_gone();
        }
        (is_news, self.step())
    }

    /// Hears that there is a revision, without what it holds: only a sync leads over it.
    pub(crate) fn pokes(&mut self, revision: i64) -> Step {
        self.now += 1;
        self.head = self.head.max(revision);
        if revision >= self.newest.0 {
            self.newest = (revision, self.now);
        }
        self.step()
    }

    fn step(&self) -> Step {
        if self.is_behind() { Step::Gap } else { Step::Whole }
    }

    /// Takes the head of an answer that was asked for at `since` from a cursor: what follows are its changes. Answers whether
    /// they are of another life of the databases.
    pub(crate) fn begins(&mut self, since: Moment, asked: &FeedCursor, sync: &FeedSync) -> bool {
        let cursor = sync.cursor.unwrap_or_default();
        let is_another_life = sync.reset && self.cursor.epoch != 0 && self.cursor.epoch != cursor.epoch;
        // What it tells is heard now: after whatever is still to be answered was asked.
        self.now += 1;
        // Who knows nothing, since there was nothing, is told all that there is as well, and not what has ended by then.
        let is_listing = sync.reset || (asked.revision == 0 && self.listing.is_over);
        self.passed = if is_listing { 0 } else { self.cursor.revision };
        if is_listing {
            self.listing = Listing {
                number: self.listing.number + 1,
                since,
                is_over: false,
            };
            // What was announced before belongs to a feed that may be another by now.
            self.above.retain(|_, heard| *heard > since);
            if self.newest.1 <= since {
                self.newest = (0, self.now);
            }
            self.head = self.newest.0;
            self.cursor = cursor;
        } else if cursor.revision >= self.cursor.revision {
            self.cursor = cursor;
        }
        self.head = self.head.max(sync.revision).max(self.cursor.revision);
        is_another_life
    }

    /// Takes a change of the answer. Answers whether it is news.
    pub(crate) fn takes(&mut self, key: Key, is_there: bool, revision: i64) -> bool {
        let number = self.listing.number;
        let known = self.known.get_mut(&key);
        let is_stale = match known {
            Some(known) => {
                known.named_in = number;
                let is_comparable = self.listing.is_over || known.heard > self.listing.since;
                is_comparable && revision < known.revision
            }
            None => self.listing.is_over && revision <= self.passed,
        };
        if !is_stale {
            self.note(key, is_there, revision, Some(number));
        }
        !is_stale
    }

    /// Ends the answer. Answers what is gone since a listing that is complete did not name it.
    pub(crate) fn ends(&mut self, sync: &FeedSync) -> Vec<Key> {
        let mut gone = Vec::new();
        if !sync.incomplete && !self.listing.is_over {
            let (number, since, end) = (self.listing.number, self.listing.since, self.cursor.revision);
            self.known.retain(|key, known| {
                let is_left = known.named_in == number || (known.heard > since && known.revision > end);
                if !is_left && known.is_there {
                    gone.push(key.clone());
                }
                is_left
            });
            self.listing.is_over = true;
        }
        self.advance();
        gone
    }

    /// Takes the word that a membership is lost, from an answer that was asked for at `since`. Answers whether it is, since
    /// it may have been gained again meanwhile.
    pub(crate) fn loses(&mut self, since: Moment, key: &Key) -> bool {
        match self.known.get_mut(key) {
            Some(known) if known.heard > since => false,
            Some(known) => {
                known.is_there = false;
                self.gone.insert(known.revision, key.clone());
                true
            }
            None => true,
        }
    }

    fn note(&mut self, key: Key, is_there: bool, revision: i64, named_in: Option<u64>) {
        let heard = self.now;
        if !is_there {
            self.gone.insert(revision, key.clone());
        }
        let known = self.known.entry(key).or_insert(Known {
            revision,
            heard,
            named_in: 0,
            is_there,
        });
        (known.revision, known.heard, known.is_there) = (revision, heard, is_there);
        known.named_in = named_in.unwrap_or(known.named_in);
    }

    /// Whether a state's revision can be compared with one that comes now: before a listing, the feed may have been another.
    fn is_comparable(&self, known: &Known) -> bool {
        self.listing.is_over || known.heard > self.listing.since || known.named_in == self.listing.number
    }

    /// Moves the cursor over what was announced without a gap. While things are listed, only the listing moves it.
    fn advance(&mut self) {
        while self.listing.is_over
            && let Some(revision) = self.above.keys().next().copied()
            && revision <= self.cursor.revision + 1
        {
            self.above.remove(&revision);
            self.cursor.revision = self.cursor.revision.max(revision);
        }
        while self.above.len() > HINTS_MAX {
            self.above.pop_last();
        }
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        while self.listing.is_over
            && let Some(oldest) = self.gone.first_entry()
            && *oldest.key() <= self.cursor.revision
        {
            let (revision, key) = oldest.remove_entry();
            if self
                .known
                .get(&key)
                .is_some_and(|known| !known.is_there && known.revision <= revision)
            {
                self.known.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
