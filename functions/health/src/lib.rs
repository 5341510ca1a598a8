//! The standard gRPC health service.

mod check;

use chat_runtime::Function;

pub use check::Check;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[Function::operation::<Check>()];
