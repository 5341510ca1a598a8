//! Functions as Lambda calls them: in this process through `Environment`, and as a process of their own.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod echo;
mod events;
mod gateway;
mod handlers;
mod operations;
mod process;
mod unfinished;
