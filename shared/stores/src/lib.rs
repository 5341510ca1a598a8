//! The stores: Postgres (who may, in what order), MongoDB (what was said), DynamoDB (who is connected), SQS (who is yet to be
//! told).
//!
//! Handles are concrete, made from [`Settings`] without IO, and connect at first use; an execution environment has its
//! own. Calls answer typed rows, `Option` for absence and [`StoreError`] for failure. This crate never sees the contract
//! and never decides who may: the rules that need a lock are in Postgres' functions, the others in the operations.

#![warn(missing_docs)]

pub mod aws;
pub mod dynamo;
mod error;
mod group;
pub mod mongo;
pub mod postgres;
pub mod sqs;

pub use error::{StoreError, StoreErrorKind};
pub use group::{GroupAction, GroupEntry};
