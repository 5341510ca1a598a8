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

/// Which of the stretches, each from what is known to be closed, have open places.
pub(crate) async fn open_stretches(
    timeline: &Timeline,
    stretches: &[RevisionRange],
) -> Result<Vec<RevisionRange>, StoreError> {
    let taken = timeline.count_revisions(stretches).await?;
    let is_open = |stretch: &&RevisionRange| {
        taken.get(&stretch.conversation).copied().unwrap_or_default() < stretch.through - stretch.after
    };
    Ok(stretches.iter().filter(is_open).copied().collect())
}

/// Closes the open stretches, and keeps how far all are closed now.
pub(crate) async fn close(
    postgres: &Postgres,
    timeline: &Timeline,
    stretches: &[RevisionRange],
    open: &[RevisionRange],
) -> Result<(), Failure> {
    let mut places = Vec::new();
    for stretch in open {
        let left = SYNC_PREFIX_VOIDS_MAX - places.len();
        if left == 0 {
            break;
        }
        let missing = timeline.list_missing_revisions(*stretch, left).await?;
        places.extend(missing.into_iter().map(|revision| (stretch.conversation, revision)));
    }
    timeline.close(&places).await?;
    // Counted again, since writers may have been faster, and there may be more than one sync closes.
    if !open_stretches(timeline, open).await?.is_empty() {
        return Err(Failure::unavailable(
            "TIMELINE_REPAIRING",
            "a conversation has many abandoned places, which are being closed; repeat the call",
        ));
    }
    let kept: Vec<_> = stretches
        .iter()
        .filter(|stretch| stretch.through - stretch.after >= KEPT_STEP)
        .map(|stretch| (stretch.conversation, stretch.through))
        .collect();
    if !kept.is_empty() {
        postgres.raise_closed_revisions(kept.into_iter()).await?;
    }
    Ok(())
}
