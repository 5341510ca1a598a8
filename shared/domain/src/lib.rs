//! The rules of chat that need no IO: typed ids, validated text, limits and pages.
//!
//! Values of these types were checked when they were made, so code that holds one never checks again. This crate imports
//! none of ours and does no IO; what it refuses, it refuses with a [`Violation`] whose text can be shown to the caller.

#![warn(missing_docs)]

mod audience;
mod content;
mod group;
mod ids;
mod limits;
mod page;
mod window;

pub use audience::Audience;
pub use content::{AvatarUrl, ContentKey, DisplayName, GroupDescription, GroupName, MessageText, excerpt};
pub use group::{GroupAdders, GroupSettings, Permission, Permissions, Role};
pub use ids::{ClientMessageId, ConversationId, InviteId, InviteToken, MessageId, RequestId, UserId};
pub use limits::*;
pub use page::{ConversationsToken, PageSize, UsersToken};
pub use window::Window;

/// Why a value was refused, in words for the person who sent it: what is wrong and what is allowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    /// A violation with this description.
    pub fn new(description: impl Into<String>) -> Self {
        Self(description.into())
    }
}

/// A number that must not be less than this.
pub fn at_least(value: i64, least: i64) -> Result<i64, Violation> {
    if value < least {
        return Err(Violation::new(format!("is {value}; it must be at least {least}")));
    }
    Ok(value)
}
