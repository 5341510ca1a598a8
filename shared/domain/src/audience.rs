//! Who is to hear of something.

use crate::UserId;

/// Who is to hear of something that happened in a conversation, or to a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Audience {
    /// These users. One who stands here twice hears of it once.
    Users(Vec<UserId>),
    /// All members of the conversation who had joined before it happened: too many to name.
    Members,
    /// Those whose memberships of a conversation that was deleted have yet to end, which they do before they hear of it.
    Remaining,
}

impl Audience {
    /// Those who are named.
    pub fn users(&self) -> &[UserId] {
        match self {
            Self::Users(users) => users,
            Self::Members | Self::Remaining => &[],
        }
    }

    /// Whether nobody is to hear of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::Users(Vec::new())
    }
}

impl From<Vec<UserId>> for Audience {
    fn from(users: Vec<UserId>) -> Self {
        Self::Users(users)
    }
}

impl FromIterator<UserId> for Audience {
    fn from_iter<I: IntoIterator<Item = UserId>>(users: I) -> Self {
        Self::Users(users.into_iter().collect())
    }
}
