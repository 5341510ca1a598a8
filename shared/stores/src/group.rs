//! The changes of groups, which Postgres decides and the timeline keeps.

use chat_domain::{ConversationId, Role};
use chrono::{DateTime, Utc};

/// What was done to a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GroupAction {
    /// It was made.
    Created,
    /// It got another name.
    Renamed,
    /// Something else of it was changed.
    Updated,
    /// Users were added.
    MembersAdded,
    /// A member was removed.
    MemberRemoved,
    /// The actor left.
    MemberLeft,
    /// A member got another role.
    RoleChanged,
    /// A member was made the owner.
    OwnershipTransferred,
    /// The actor joined by an invite.
    MemberJoined,
}

impl GroupAction {
    const ALL: [Self; 9] = [
        Self::Created,
        Self::Renamed,
        Self::Updated,
        Self::MembersAdded,
        Self::MemberRemoved,
        Self::MemberLeft,
        Self::RoleChanged,
        Self::OwnershipTransferred,
        Self::MemberJoined,
    ];

    /// The action, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Renamed => "renamed",
            Self::Updated => "updated",
            Self::MembersAdded => "members_added",
            Self::MemberRemoved => "member_removed",
            Self::MemberLeft => "member_left",
            Self::RoleChanged => "role_changed",
            Self::OwnershipTransferred => "ownership_transferred",
            Self::MemberJoined => "member_joined",
        }
    }

    /// Reads a stored action. None: a later version of this service did it.
    pub fn of(stored: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == stored)
    }
}

/// A change of a group, as its timeline keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupEntry {
    /// The group.
    pub conversation: ConversationId,
    /// Its place.
    pub revision: i64,
    /// The newest seq when it happened.
    pub after_seq: i64,
    /// Who did it.
    pub actor: String,
    /// What they did.
    pub action: GroupAction,
    /// Whom it is about.
    pub users: Vec<String>,
    /// The name that was given, or nothing.
    pub name: String,
    /// The role that was given.
    pub role: Option<Role>,
    /// Of an update: what has another value than before, as the paths of `UpdateGroup`.
    pub updated: Vec<String>,
    /// When it got its place. Whole milliseconds.
    pub allocated_at: DateTime<Utc>,
}
