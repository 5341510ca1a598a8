//! Who may do what in a group: one table of roles and permissions.

use crate::Violation;

/// What a member is to a group. A greater one may do what a lesser one may.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Whoever is in it.
    Member,
    /// Looks after it.
    Admin,
    /// Whose group it is.
    Owner,
}

impl Role {
    /// The role, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads a stored role.
    pub fn of(stored: &str) -> Option<Self> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == stored)
    }
}

/// Who may make a user a member of a group without asking them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GroupAdders {
    /// Friends.
    #[default]
    Friends,
    /// Anyone.
    Anyone,
    /// Nobody.
    Nobody,
}

impl GroupAdders {
    /// As it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Friends => "friends",
            Self::Anyone => "anyone",
            Self::Nobody => "nobody",
        }
    }

    /// Reads what is stored.
    pub fn of(stored: &str) -> Option<Self> {
        [Self::Friends, Self::Anyone, Self::Nobody]
            .into_iter()
            .find(|adders| adders.as_str() == stored)
    }
}

/// What may be allowed to a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// To send messages. The sequencer knows its bit.
    SendMessages,
    /// To add members.
    AddMembers,
    /// To change name, description and picture.
    EditInfo,
    /// To remove members of a lower role.
    RemoveMembers,
    /// To make members admins.
    ManageRoles,
    /// To change the settings.
    ChangeSettings,
    /// To make, see and revoke invites, and to answer who asks to join.
    ManageInvites,
    /// To make another member the owner. The owner's alone.
    TransferOwnership,
    /// To delete the group. The owner's alone.
    DeleteGroup,
}

impl Permission {
    /// All that can be allowed to others than the owner.
    pub const GRANTABLE: [Self; 7] = [
        Self::SendMessages,
        Self::AddMembers,
        Self::EditInfo,
        Self::RemoveMembers,
        Self::ManageRoles,
        Self::ChangeSettings,
        Self::ManageInvites,
    ];

    const fn bit(self) -> i32 {
        match self {
            Self::SendMessages => 1,
            Self::AddMembers => 1 << 1,
            Self::EditInfo => 1 << 2,
            Self::RemoveMembers => 1 << 3,
            Self::ManageRoles => 1 << 4,
            Self::ChangeSettings => 1 << 5,
            Self::TransferOwnership => 1 << 6,
            Self::DeleteGroup => 1 << 7,
            Self::ManageInvites => 1 << 8,
        }
    }
}

/// A set of permissions. It is stored as bits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Permissions(i32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);
    /// What members may be allowed.
    pub const FOR_MEMBERS: Self = Self::NONE
        .and(Permission::SendMessages)
        .and(Permission::AddMembers)
        .and(Permission::EditInfo);
    /// What admins may be allowed.
    pub const FOR_ADMINS: Self = Self::FOR_MEMBERS
        .and(Permission::RemoveMembers)
        .and(Permission::ManageRoles)
        .and(Permission::ChangeSettings)
        .and(Permission::ManageInvites);

    /// These and one more.
    #[must_use]
    pub const fn and(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// Reads stored ones.
    pub fn from_bits(bits: i32) -> Self {
        Self(bits)
    }

    /// As they are stored.
    pub fn bits(self) -> i32 {
        self.0
    }

    /// Whether it is one of them.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Checks that these may be allowed at most.
    fn within(self, most: Self, whom: &str) -> Result<Self, Violation> {
        if self.0 & !most.0 != 0 {
            return Err(Violation::new(format!("has a permission that {whom} cannot be given")));
        }
        Ok(self)
    }
}

/// How a group works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupSettings {
    /// What every member may.
    pub member_may: Permissions,
    /// What admins may besides.
    pub admin_may: Permissions,
    /// Whether new members see what was said before they came.
    pub shows_history: bool,
}

impl Default for GroupSettings {
    fn default() -> Self {
        Self {
            member_may: Permissions::NONE
                .and(Permission::SendMessages)
                .and(Permission::AddMembers),
            admin_may: Permissions::NONE
                .and(Permission::SendMessages)
                .and(Permission::AddMembers)
                .and(Permission::EditInfo)
                .and(Permission::RemoveMembers)
                .and(Permission::ManageInvites),
            shows_history: false,
        }
    }
}

impl GroupSettings {
    /// Checks what members are to be allowed.
    pub fn for_members(permissions: Permissions) -> Result<Permissions, Violation> {
        permissions.within(Permissions::FOR_MEMBERS, "members")
    }

    /// Checks what admins are to be allowed. They may always send.
    pub fn for_admins(permissions: Permissions) -> Result<Permissions, Violation> {
        permissions
            .and(Permission::SendMessages)
            .within(Permissions::FOR_ADMINS, "admins")
    }

    /// Checks what members and admins are to be allowed.
    pub fn new(member_may: Permissions, admin_may: Permissions, shows_history: bool) -> Result<Self, Violation> {
        Ok(Self {
            member_may: Self::for_members(member_may)?,
            admin_may: Self::for_admins(admin_may)?,
            shows_history,
        })
    }

    /// Whether a role may do something.
    pub fn allows(self, role: Role, permission: Permission) -> bool {
        match role {
            Role::Owner => true,
            Role::Admin => self.member_may.has(permission) || self.admin_may.has(permission),
            Role::Member => self.member_may.has(permission),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_survive_being_stored() {
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member);
        for role in [Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(Role::of(role.as_str()), Some(role));
        }
        assert_eq!(Role::of("king"), None);
    }

    #[test]
    fn what_a_new_group_allows() {
        let settings = GroupSettings::default();
        let allowed = |role| {
            Permission::GRANTABLE
                .into_iter()
                .filter(|permission| settings.allows(role, *permission))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            allowed(Role::Member),
            [Permission::SendMessages, Permission::AddMembers]
        );
        let of_admins = Permission::GRANTABLE
            .into_iter()
            .filter(|it| !matches!(it, Permission::ManageRoles | Permission::ChangeSettings));
        assert_eq!(allowed(Role::Admin), of_admins.collect::<Vec<_>>());
        assert_eq!(allowed(Role::Owner), Permission::GRANTABLE);
        for permission in [Permission::TransferOwnership, Permission::DeleteGroup] {
            assert!(!settings.allows(Role::Admin, permission) && settings.allows(Role::Owner, permission));
        }
    }

    #[test]
    fn no_group_allows_more_than_its_roles_can_be_given() {
        let none = Permissions::NONE;
        assert!(GroupSettings::new(Permissions::FOR_MEMBERS, Permissions::FOR_ADMINS, true).is_ok());
        assert!(GroupSettings::new(none.and(Permission::RemoveMembers), none, true).is_err());
        assert!(GroupSettings::new(none, none.and(Permission::DeleteGroup), true).is_err());
    }

    #[test]
    fn admins_may_always_send() {
        let quiet = GroupSettings::new(Permissions::NONE, Permissions::NONE, false).unwrap();
        assert!(quiet.allows(Role::Admin, Permission::SendMessages));
        assert!(!quiet.allows(Role::Member, Permission::SendMessages));
        // The sequencer knows it by this bit.
        assert_eq!(Permissions::NONE.and(Permission::SendMessages).bits(), 1);
    }
}
