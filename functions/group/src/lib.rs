//! The `GroupService`: conversations of any users, with roles.

mod add_group_members;
mod answer_join_request;
mod change;
mod create_group;
mod create_group_invite;
mod delete_group;
mod get_group_invite;
mod invites;
mod join_group;
mod leave_group;
mod list_group_invites;
mod list_group_members;
mod list_join_requests;
mod parse;
mod remove_group_member;
mod revoke_group_invite;
mod set_group_member_role;
mod transfer_group_ownership;
mod update_group;

use chat_runtime::Function;

pub use add_group_members::AddGroupMembers;
pub use answer_join_request::AnswerJoinRequest;
pub use create_group::CreateGroup;
pub use create_group_invite::CreateGroupInvite;
pub use delete_group::DeleteGroup;
pub use get_group_invite::GetGroupInvite;
pub use join_group::JoinGroup;
pub use leave_group::LeaveGroup;
pub use list_group_invites::ListGroupInvites;
pub use list_group_members::ListGroupMembers;
pub use list_join_requests::ListJoinRequests;
pub use remove_group_member::RemoveGroupMember;
pub use revoke_group_invite::RevokeGroupInvite;
pub use set_group_member_role::SetGroupMemberRole;
pub use transfer_group_ownership::TransferGroupOwnership;
pub use update_group::UpdateGroup;

/// The Lambda functions of this service.
pub const FUNCTIONS: &[Function] = &[
    Function::operation::<AddGroupMembers>(),
    Function::operation::<AnswerJoinRequest>(),
    Function::operation::<CreateGroup>(),
    Function::operation::<CreateGroupInvite>(),
    Function::operation::<DeleteGroup>(),
    Function::operation::<GetGroupInvite>(),
    Function::operation::<JoinGroup>(),
    Function::operation::<LeaveGroup>(),
    Function::operation::<ListGroupInvites>(),
    Function::operation::<ListGroupMembers>(),
    Function::operation::<ListJoinRequests>(),
    Function::operation::<RemoveGroupMember>(),
    Function::operation::<RevokeGroupInvite>(),
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
