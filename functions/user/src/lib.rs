//! The `UserService`: what people show of themselves.

mod get_profiles;
mod get_user_settings;
mod update_user_settings;
mod upsert_profile;

use chat_runtime::Function;

pub use get_profiles::GetProfiles;
pub use get_user_settings::GetUserSettings;
pub use update_user_settings::UpdateUserSettings;
pub use upsert_profile::UpsertProfile;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<GetProfiles>(),
    Function::operation::<GetUserSettings>(),
    Function::operation::<UpdateUserSettings>(),
    Function::operation::<UpsertProfile>(),
];
