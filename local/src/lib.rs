//! The local stack: what `cargo chat …` does on a laptop, with real databases, no Docker and no AWS account.
//!
//! `stack` brings the databases up, `gateway` serves the functions as API Gateway would, `commands` are what people
//! type. Nothing here is ever deployed.

pub mod commands;
pub mod gateway;
pub mod stack;
