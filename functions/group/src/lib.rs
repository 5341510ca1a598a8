//! The `GroupService`: conversations of any users, with roles.

mod add_group_members;
mod change;
mod create_group;
mod delete_group;
mod leave_group;
mod list_group_members;
mod parse;
mod remove_group_member;
mod set_group_member_role;
mod transfer_group_ownership;
mod update_group;

use chat_runtime::Function;

pub use add_group_members::AddGroupMembers;
pub use create_group::CreateGroup;
pub use delete_group::DeleteGroup;
pub use leave_group::LeaveGroup;
pub use list_group_members::ListGroupMembers;
pub use remove_group_member::RemoveGroupMember;
pub use set_group_member_role::SetGroupMemberRole;
pub use transfer_group_ownership::TransferGroupOwnership;
pub use update_group::UpdateGroup;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<AddGroupMembers>(),
    Function::operation::<CreateGroup>(),
    Function::operation::<DeleteGroup>(),
    Function::operation::<LeaveGroup>(),
    Function::operation::<ListGroupMembers>(),
    Function::operation::<RemoveGroupMember>(),
    Function::operation::<SetGroupMemberRole>(),
    Function::operation::<TransferGroupOwnership>(),
    Function::operation::<UpdateGroup>(),
];

#[cfg(test)]
mod budgets;
#[cfg(test)]
mod deaths;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod table;
