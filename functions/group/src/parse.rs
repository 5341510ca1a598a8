//! What several requests about groups have in common.

use std::collections::HashSet;

use chat_contract::Rpc;
use chat_contract::v1;
use chat_domain::{GroupSettings, Permission, Permissions, UserId, Violation};
use chat_operation::{Caller, Fields};
use prost::Message;
use sha2::{Digest, Sha256};

/// A hash of all that a request asks for, with the RPC that it is for: by it a repeat is told from another use of its id.
pub(crate) fn hash<R: Rpc + Message>(request: &R) -> [u8; 32] {
    Sha256::new()
        .chain_update(R::PATH)
        .chain_update(request.encode_to_vec())
        .finalize()
        .into()
}

/// Other users than the caller, each once, at most so many. None when something is wrong with one of them.
pub(crate) fn others(fields: &mut Fields, caller: &Caller, user_ids: &[String], most: usize) -> Option<Vec<UserId>> {
    let mut seen = HashSet::new();
    let distinct: Vec<&String> = user_ids.iter().filter(|user| seen.insert(*user)).collect();
    if distinct.len() > most {
        let problem = format!("has {} different entries; at most {most} are allowed", distinct.len());
        fields.take::<()>("user_ids", Err(Violation::new(problem)));
        return None;
    }
    let users: Vec<UserId> = distinct
        .iter()
        .filter_map(|user| fields.take("user_ids", caller.parse_other(user)))
        .collect();
    (users.len() == distinct.len()).then_some(users)
}

/// How a group is to work.
pub(crate) fn settings(fields: &mut Fields, settings: &v1::GroupSettings) -> Option<GroupSettings> {
    let (member_may, admin_may) = (for_members(fields, settings), for_admins(fields, settings));
    Some(GroupSettings {
        member_may: member_may?,
        admin_may: admin_may?,
        shows_history: settings.shows_history,
    })
}

/// What every member is to be allowed.
pub(crate) fn for_members(fields: &mut Fields, settings: &v1::GroupSettings) -> Option<Permissions> {
    let parsed = permissions(&settings.member_permissions).and_then(GroupSettings::for_members);
    fields.take("settings.member_permissions", parsed)
}

/// What admins are to be allowed besides.
pub(crate) fn for_admins(fields: &mut Fields, settings: &v1::GroupSettings) -> Option<Permissions> {
    let parsed = permissions(&settings.admin_permissions).and_then(GroupSettings::for_admins);
    fields.take("settings.admin_permissions", parsed)
}

fn permissions(values: &[i32]) -> Result<Permissions, Violation> {
    values.iter().try_fold(Permissions::NONE, |permissions, value| {
        let permission = match v1::GroupPermission::try_from(*value) {
            Ok(v1::GroupPermission::SendMessages) => Permission::SendMessages,
            Ok(v1::GroupPermission::AddMembers) => Permission::AddMembers,
            Ok(v1::GroupPermission::EditInfo) => Permission::EditInfo,
            Ok(v1::GroupPermission::RemoveMembers) => Permission::RemoveMembers,
            Ok(v1::GroupPermission::ManageRoles) => Permission::ManageRoles,
            Ok(v1::GroupPermission::ChangeSettings) => Permission::ChangeSettings,
            Ok(v1::GroupPermission::ManageInvites) => Permission::ManageInvites,
            Ok(v1::GroupPermission::Unspecified) | Err(_) => {
                return Err(Violation::new(format!(
                    "has {value}, which is no permission of this version"
                )));
            }
        };
        Ok(permissions.and(permission))
    })
}
