//! The endpoint on the wire, driven with a small operation of its own and compared byte by byte.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod after_answer;
mod connect;
mod deadlines;
mod failures;
mod garbage;
mod grpc_web;
mod interop;
mod operation;
mod unfinished;
mod wire;
