//! The `UserService`: what people show of themselves.

mod get_profiles;
mod upsert_profile;

use chat_runtime::Function;

pub use get_profiles::GetProfiles;
pub use upsert_profile::UpsertProfile;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<GetProfiles>(),
    Function::operation::<UpsertProfile>(),
];
