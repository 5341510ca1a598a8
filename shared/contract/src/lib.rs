//! The contract of the chat service as Rust types: what `proto/` says, generated.
//!
//! Every request type implements [`Rpc`], which names its response and its path, so that one type is enough to call,
//! to serve and to route an RPC. All types also speak protobuf's JSON mapping: they are written through `serde`, and read by
//! [`json`].
//!
//! The generated files are committed. After a change in `proto/`, run the tests of this crate: they write the files
//! anew, and fail once to say so. This crate never holds logic.

mod field_mask;
pub mod json;
mod timestamp;

use serde::Serialize;

pub use field_mask::FieldMask;
pub use pbjson_types::Duration;
pub use timestamp::{OutOfRange, Timestamp};

/// A request of the contract, with all that calling or serving it needs to know.
pub trait Rpc: json::Schema + Serialize + Send + Sync + 'static {
    /// What answers it.
    type Response: json::Schema + Serialize + Send + Sync + 'static;

    /// The full name of its service, such as `chat.v1.MessageService`.
    const SERVICE: &'static str;

    /// The RPC's name, such as `SendMessage`.
    const NAME: &'static str;

    /// The path of its HTTP request, such as `/chat.v1.MessageService/SendMessage`.
    const PATH: &'static str;
}

macro_rules! generated {
    ($($file:literal),+) => {
        $(include!(concat!("generated/", $file));)+
    };
}

/// The types of `chat.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::cloned_instead_of_copied,
    clippy::doc_markdown,
    clippy::large_enum_variant,
    clippy::uninlined_format_args,
    reason = "generated"
)]
pub mod v1 {
    generated!("chat.v1.rs", "chat.v1.serde.rs", "chat.v1.json.rs");
}

/// The types of the standard `grpc.health.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::doc_markdown,
    reason = "generated"
)]
pub mod health {
    generated!("grpc.health.v1.rs", "grpc.health.v1.serde.rs", "grpc.health.v1.json.rs");
}
