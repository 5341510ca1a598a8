//! MongoDB: the timeline, an append-only log per conversation whose places are written once.

mod entry;
mod timeline;

pub use entry::{Entry, EntryKind, MessageEntry, ReplyEntry};
pub use timeline::{Heads, HistoryRange, Inserted, RevisionRange, Slot, Timeline};
