//! What a sync answers of the caller's own feed. No IO, no clock.

use chat_contract::v1::{Conversation, FeedChange, FeedCursor, FeedSync, Membership, MembershipState, feed_change};
use chat_domain::FEED_PAGE_SIZE;
use chat_stores::postgres::{self, FeedHead, FeedRow};

/// Where a client says it is in its user's feed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FeedAsked {
    pub(crate) epoch: i64,
    pub(crate) revision: i64,
    pub(crate) listing_through: i64,
}

/// What to read of a feed, and where it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedPlan {
    epoch: i64,
    after: i64,
    /// What had ended by this revision is left out.
    listing_through: i64,
    head: i64,
    reset: bool,
    starts_over: bool,
}

impl FeedPlan {
    pub(crate) fn new(asked: FeedAsked, epoch: i64, head: FeedHead) -> Self {
        let FeedAsked {
            epoch: asked_epoch,
            revision,
            listing_through,
        } = asked;
        let starts = asked_epoch == 0 && revision == 0;
        // A client that lists from the start needs nothing that had ended before.
        let knows_through = revision.max(listing_through);
        let goes_on = asked_epoch == epoch && knows_through <= head.revision && knows_through >= head.floor_revision;
        if goes_on {
            return Self {
                epoch,
                after: revision,
                listing_through,
                head: head.revision,
                reset: false,
                // Page by page, a listing costs what its start costs.
                starts_over: revision < listing_through,
            };
        }
        Self {
            epoch,
            after: 0,
            listing_through: head.revision,
            head: head.revision,
            reset: !starts,
            starts_over: true,
        }
    }

    /// Whether everything has to be told from the start.
    pub(crate) fn starts_over(self) -> bool {
        self.starts_over
    }

    /// What to read: above which revision, and up to which one without what had ended. None: there is nothing.
    pub(crate) fn read(self) -> Option<(i64, i64)> {
        (self.after < self.head).then_some((self.after, self.listing_through))
    }

    /// The answer, of the rows that were read: at most one more than a page has.
    pub(crate) fn answer(self, mut rows: Vec<FeedRow>) -> FeedSync {
        let incomplete = rows.len() > FEED_PAGE_SIZE;
        rows.truncate(FEED_PAGE_SIZE);
        let last = rows.last().map_or(self.after, |row| row.revision);
        // Rows read after the head was may lie above it. What the page did not show up to the head had ended, or moved on.
        let revision = if incomplete { last } else { last.max(self.head) };
        FeedSync {
            cursor: Some(FeedCursor {
                epoch: self.epoch,
                revision,
                listing_through: if revision < self.listing_through {
                    self.listing_through
                } else {
                    0
                },
            }),
            reset: self.reset,
            changes: rows.into_iter().map(change).collect(),
            incomplete,
            revision: revision.max(self.head),
        }
    }
}

fn change(row: FeedRow) -> FeedChange {
    let change = match row.change {
        postgres::FeedChange::Friend(friend) => feed_change::Change::Friend(chat_view::friend(friend)),
        postgres::FeedChange::Membership(membership) => feed_change::Change::Membership(Membership {
            state: MembershipState::Active.into(),
            conversation: Some(chat_view::own_conversation(*membership)),
        }),
        postgres::FeedChange::MembershipEnded(conversation) => feed_change::Change::Membership(Membership {
            state: MembershipState::Ended.into(),
            conversation: Some(Conversation {
                conversation_id: conversation.to_string(),
                ..Conversation::default()
            }),
        }),
    };
    FeedChange {
        revision: row.revision,
        change: Some(change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: FeedHead = FeedHead {
        revision: 500,
        floor_revision: 100,
    };

    fn plan(epoch: i64, revision: i64, listing_through: i64) -> FeedPlan {
        let asked = FeedAsked {
            epoch,
            revision,
            listing_through,
        };
        FeedPlan::new(asked, 7, HEAD)
    }

    #[test]
    fn an_empty_cursor_lists_all_that_is() {
        let plan = plan(0, 0, 0);
        assert_eq!(
            (plan.read(), plan.reset, plan.starts_over()),
            (Some((0, 500)), false, true)
        );
    }

    #[test]
    fn a_cursor_at_the_head_reads_nothing() {
        let plan = plan(7, 500, 0);
        assert_eq!((plan.read(), plan.reset, plan.starts_over()), (None, false, false));
        let answer = plan.answer(Vec::new());
        assert_eq!((answer.cursor.unwrap().revision, answer.incomplete), (500, false));
    }

    #[test]
    fn a_cursor_below_the_floor_above_the_head_or_of_another_life_starts_over() {
        for (epoch, revision, listing_through) in [(7, 99, 0), (7, 501, 0), (6, 300, 0), (0, 300, 0), (7, 200, 501)] {
            let plan = plan(epoch, revision, listing_through);
            assert_eq!((plan.read(), plan.reset), (Some((0, 500)), true), "{epoch} {revision}");
        }
        assert_eq!(plan(7, 100, 0).read(), Some((100, 0)));
    }

    #[test]
    fn a_listing_goes_on_below_the_floor() {
        let plan = plan(7, 50, 450);
        assert_eq!((plan.read(), plan.reset), (Some((50, 450)), false));
        assert!(plan.starts_over());
    }
}
