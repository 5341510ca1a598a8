//! MongoDB: the timeline, an append-only log per conversation whose places are written once.

mod entry;
mod timeline;

pub use entry::{Entry, EntryKind, MessageEntry, PlaceEntry, PreviewEntry, ReplyEntry};
pub use timeline::{Consistency, GroupStretch, Heads, HistoryRange, Inserted, RevisionRange, SeqRange, Slot, Timeline};
