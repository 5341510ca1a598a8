//! What the operations on invites have in common.

use chat_contract::v1;
use chat_domain::{GROUP_INVITES_MAX, JOIN_REQUESTS_MAX};
use chat_operation::Failure;
use chat_stores::postgres::{InviteRow, Managed};

/// An invite, for those who manage them.
pub(crate) fn invite(row: InviteRow) -> v1::GroupInvite {
    v1::GroupInvite {
        invite_id: row.invite.to_string(),
        token: row.token.to_string(),
        creator_id: row.creator,
        created_at: Some(row.created_at.into()),
        expires_at: row.expires_at.map(Into::into),
        max_uses: row.max_uses.unwrap_or_default(),
        uses: row.uses,
        needs_approval: row.needs_approval,
    }
}

/// What was done, or how the call is refused.
pub(crate) fn done<T>(managed: Managed<T>) -> Result<T, Failure> {
    match managed {
        Managed::Done(done) => Ok(done),
        Managed::NotFound => Err(Failure::conversation_not_found()),
        Managed::NotPermitted => Err(Failure::not_permitted()),
        Managed::Reused => Err(Failure::already_exists(
            "REQUEST_ID_REUSED",
            "you have used this request_id for another invite, or for one that has ended; choose a new one",
        )),
        Managed::Full => Err(Failure::resource_exhausted(
            "INVITE_LIMIT",
            format!(
                "the group has {GROUP_INVITES_MAX} invites that can be used, the most that are allowed; revoke one"
            ),
        )
        .with_metadata("limit", GROUP_INVITES_MAX.to_string())),
    }
}

/// How a token is refused that leads nowhere, whatever the reason.
pub(crate) fn not_found() -> Failure {
    Failure::not_found(
        "INVITE_NOT_FOUND",
        "there is no such invite: it never was, has ended, was used up or revoked, or its group was deleted",
    )
}

/// How a user is refused for whom a group has no room, among those who ask to join.
pub(crate) fn too_many_ask() -> Failure {
    Failure::resource_exhausted(
        "JOIN_REQUEST_LIMIT",
        format!("{JOIN_REQUESTS_MAX} users ask to join this group, the most that are allowed"),
    )
    .with_metadata("limit", JOIN_REQUESTS_MAX.to_string())
}
