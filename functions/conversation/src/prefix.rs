//! Making sure that nothing far below the head is still open, before a client starts over near the head.
//!
//! A client that continues from a cursor has everything below it. One that starts over gets a cursor near the head, and
//! would never see a place below it that a writer, frozen for long, fills later. So such places are closed first; that is
//! safe at any time, since the late writer takes another place. What was made sure of is kept with the conversation, so
//! that nobody counts it again.

use chat_domain::SYNC_PREFIX_VOIDS_MAX;
use chat_rpc::Failure;
use chat_stores::StoreError;
use chat_stores::mongo::{RevisionRange, Timeline};
use chat_stores::postgres::Postgres;

/// A prefix of at least this many places more than the one known is worth a write.
const KEPT_STEP: i64 = 1_000;

/// Which of the stretches, each from what is known to be closed, have open places, and how many.
pub(crate) async fn open_places(
    timeline: &Timeline,
    stretches: &[RevisionRange],
) -> Result<Vec<(RevisionRange, i64)>, StoreError> {
    let taken = timeline.count_revisions(stretches).await?;
    let open = stretches.iter().filter_map(|stretch| {
        let places = stretch.through - stretch.after;
        let open = places - taken.get(&stretch.conversation).copied().unwrap_or_default();
        (open > 0).then_some((*stretch, open))
    });
    Ok(open.collect())
}

/// Closes the open places, and keeps how far all stretches are closed now.
pub(crate) async fn close(
    postgres: &Postgres,
    timeline: &Timeline,
    stretches: &[RevisionRange],
    open: &[(RevisionRange, i64)],
) -> Result<(), Failure> {
    let mut left = SYNC_PREFIX_VOIDS_MAX;
    let mut places = Vec::new();
    for (stretch, _) in open {
        let missing = timeline.list_missing_revisions(*stretch, left).await?;
        left -= missing.len();
        places.extend(missing.into_iter().map(|revision| (stretch.conversation, revision)));
    }
    timeline.close(&places).await?;
    let all: i64 = open.iter().map(|(_, open)| open).sum();
    if all > i64::try_from(places.len()).unwrap_or(i64::MAX) {
        return Err(Failure::unavailable(
            "TIMELINE_REPAIRING",
            "a conversation has many abandoned places, which are being closed; repeat the call",
        ));
    }
    let kept: Vec<RevisionRange> = stretches
        .iter()
        .filter(|stretch| stretch.through - stretch.after >= KEPT_STEP)
        .copied()
        .collect();
    if !kept.is_empty() {
        let kept = kept.iter().map(|stretch| (stretch.conversation, stretch.through));
        postgres.raise_closed_revisions(kept).await?;
    }
    Ok(())
}
