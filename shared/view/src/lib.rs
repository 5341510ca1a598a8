//! Stored rows as the contract shows them, for all services alike.

#![warn(missing_docs)]

mod notices;

pub use notices::{conversation_settings_changed, read_position_moved};

use std::collections::{BTreeSet, HashMap};

use chat_contract::{FieldMask, v1};
use chat_domain::{GroupAdders, GroupSettings, MessageId, Permission, Permissions, Role, Window, excerpt};
use chat_stores::mongo::{MessageEntry, PreviewEntry};
use chat_stores::postgres::{ConversationRow, Friend, FriendshipState, GroupRow, MemberRow, OwnRow, ProfileRow};
use chat_stores::{GroupAction, GroupEntry};

/// A profile.
pub fn profile(row: ProfileRow) -> v1::Profile {
    v1::Profile {
        user_id: row.user_id,
        display_name: row.display_name,
        avatar_url: row.avatar_url,
        updated_at: Some(row.updated_at.into()),
    }
}

/// What a user has decided about themselves.
pub fn user_settings(adders: GroupAdders) -> v1::UserSettings {
    let group_adders = match adders {
        GroupAdders::Friends => v1::GroupAdders::Friends,
        GroupAdders::Anyone => v1::GroupAdders::Anyone,
        GroupAdders::Nobody => v1::GroupAdders::Nobody,
    };
    v1::UserSettings {
        group_adders: group_adders.into(),
    }
}

/// How two users stand.
pub fn friend_state(state: FriendshipState) -> v1::FriendState {
    match state {
        FriendshipState::None => v1::FriendState::Unspecified,
        FriendshipState::RequestSent => v1::FriendState::RequestSent,
        FriendshipState::RequestReceived => v1::FriendState::RequestReceived,
        FriendshipState::Accepted => v1::FriendState::Accepted,
    }
}

/// Another user, seen from the one for whom the row was read.
pub fn friend(row: Friend) -> v1::Friend {
    v1::Friend {
        user_id: row.other,
        state: friend_state(row.state).into(),
        updated_at: Some(row.updated_at.into()),
        profile: row.profile.map(profile),
    }
}

/// A conversation as the member sees it for whom the row was read, with what it is to them alone, without its newest message.
pub fn own_conversation(row: ConversationRow) -> v1::Conversation {
    let own = row.own;
    v1::Conversation {
        settings: Some(settings(own)),
        marked_unread: own.marked_unread,
        ..conversation(row)
    }
}

/// What a conversation is to one member alone.
pub fn settings(own: OwnRow) -> v1::ConversationSettings {
    v1::ConversationSettings {
        muted_until: own.muted_until.map(Into::into),
        archived: own.archived,
        pinned: own.pinned,
        revision: own.revision,
        visible_from_seq: own.visible_from_seq,
        hidden_through_seq: own.hidden_through_seq,
    }
}

/// A conversation as the member sees it for whom the row was read, without its newest message, and without what is theirs
/// alone: others may be shown it.
pub fn conversation(row: ConversationRow) -> v1::Conversation {
    v1::Conversation {
        conversation_id: row.conversation.to_string(),
        kind: match row.group {
            Some(_) => v1::ConversationKind::Group.into(),
            None => v1::ConversationKind::Direct.into(),
        },
        members: row.members.into_iter().map(member).collect(),
        revision: row.revision,
        counted_seq: row.counted_seq,
        unread_count: row.unread_count,
        last_message: None,
        created_at: Some(row.created_at.into()),
        last_activity_at: Some(row.last_activity_at.into()),
        group: row.group.map(group),
        settings: None,
        marked_unread: false,
    }
}

/// What a conversation is beyond one, as the member sees it for whom it was read.
pub fn group(row: GroupRow) -> v1::Group {
    v1::Group {
        name: row.name,
        description: row.description,
        avatar_url: row.avatar_url,
        settings: Some(group_settings(row.settings)),
        member_count: row.member_count,
        role: role(row.role).into(),
        state_revision: row.state_revision,
    }
}

/// How a group works.
pub fn group_settings(settings: GroupSettings) -> v1::GroupSettings {
    let listed = |permissions: Permissions| {
        let permissions = Permission::GRANTABLE
            .into_iter()
            .filter(move |permission| permissions.has(*permission));
        permissions
            .filter_map(|permission| Some(permission_shown(permission)?.into()))
            .collect()
    };
    v1::GroupSettings {
        member_permissions: listed(settings.member_may),
        admin_permissions: listed(settings.admin_may),
        shows_history: settings.shows_history,
    }
}

/// A permission; None for the owner's own.
fn permission_shown(permission: Permission) -> Option<v1::GroupPermission> {
    Some(match permission {
        Permission::SendMessages => v1::GroupPermission::SendMessages,
        Permission::AddMembers => v1::GroupPermission::AddMembers,
        Permission::EditInfo => v1::GroupPermission::EditInfo,
        Permission::RemoveMembers => v1::GroupPermission::RemoveMembers,
        Permission::ManageRoles => v1::GroupPermission::ManageRoles,
        Permission::ChangeSettings => v1::GroupPermission::ChangeSettings,
        Permission::ManageInvites => v1::GroupPermission::ManageInvites,
        Permission::TransferOwnership | Permission::DeleteGroup => return None,
    })
}

/// What a member is to a group.
pub fn role(role: Role) -> v1::GroupRole {
    match role {
        Role::Member => v1::GroupRole::Member,
        Role::Admin => v1::GroupRole::Admin,
        Role::Owner => v1::GroupRole::Owner,
    }
}

/// A change of a group, as its history tells it.
pub fn group_change(entry: GroupEntry) -> v1::GroupChange {
    let action = match entry.action {
        GroupAction::Created => v1::GroupAction::Created,
        GroupAction::Renamed => v1::GroupAction::Renamed,
        GroupAction::Updated => v1::GroupAction::Updated,
        GroupAction::MembersAdded => v1::GroupAction::MembersAdded,
        GroupAction::MemberRemoved => v1::GroupAction::MemberRemoved,
        GroupAction::MemberLeft => v1::GroupAction::MemberLeft,
        GroupAction::RoleChanged => v1::GroupAction::RoleChanged,
        GroupAction::OwnershipTransferred => v1::GroupAction::OwnershipTransferred,
        GroupAction::MemberJoined => v1::GroupAction::MemberJoined,
    };
    v1::GroupChange {
        revision: entry.revision,
        after_seq: entry.after_seq,
        actor_id: entry.actor,
        action: action.into(),
        user_ids: entry.users,
        name: entry.name,
        role: entry.role.map_or(v1::GroupRole::Unspecified, role).into(),
        changed_at: Some(entry.allocated_at.into()),
        updated: (!entry.updated.is_empty()).then_some(FieldMask { paths: entry.updated }),
    }
}

/// A member of a conversation.
pub fn member(row: MemberRow) -> v1::Member {
    v1::Member {
        user_id: row.user_id,
        read_seq: row.read_seq,
        joined_revision: row.joined_revision,
        role: row.role.map_or(v1::GroupRole::Unspecified, role).into(),
        delivered_seq: row.delivered_seq,
    }
}

/// The newest message, for a list.
pub fn last_message(preview: PreviewEntry) -> v1::LastMessage {
    v1::LastMessage {
        seq: preview.seq,
        sender_id: preview.sender,
        excerpt: preview.excerpt,
        sent_at: Some(preview.allocated_at.into()),
        message_id: preview.message.to_string(),
    }
}

/// The messages that these reply to and that are not among them, so that they have to be read to be quoted.
pub fn quoted_elsewhere<'a>(messages: impl Iterator<Item = &'a MessageEntry> + Clone) -> Vec<MessageId> {
    let mut quoted: BTreeSet<MessageId> = targets(messages.clone());
    if !quoted.is_empty() {
        for message in messages {
            quoted.remove(&message.message);
        }
    }
    quoted.into_iter().collect()
}

/// Messages of a conversation in their present state, with what they reply to as it is now: among themselves, or `elsewhere`.
/// What the reader may not see, or is not there, is not quoted.
pub fn messages(entries: Vec<MessageEntry>, elsewhere: &[PreviewEntry], window: Window) -> Vec<v1::Message> {
    let targets = targets(entries.iter());
    let mut quotes: HashMap<MessageId, v1::Quote> = entries
        .iter()
        .filter(|entry| targets.contains(&entry.message))
        .map(|entry| {
            let quote = v1::Quote {
                sender_id: entry.sender.to_string(),
                excerpt: excerpt(&entry.text),
                state_revision: entry.state_revision,
            };
            (entry.message, quote)
        })
        .collect();
    for preview in elsewhere {
        quotes.insert(
            preview.message,
            v1::Quote {
                sender_id: preview.sender.clone(),
                excerpt: preview.excerpt.clone(),
                state_revision: preview.state_revision,
            },
        );
    }
    let show = |entry: MessageEntry| {
        let reply_to = entry.reply_to;
        let mut shown = message(entry);
        if let (Some(shown), Some(reply)) = (&mut shown.reply_to, reply_to) {
            let visible = window.shows(reply.seq);
            shown.quote = quotes.get(&reply.message).filter(|_| visible).cloned();
            shown.unavailable = shown.quote.is_none();
        }
        shown
    };
    entries.into_iter().map(show).collect()
}

/// What messages reply to.
fn targets<'a>(messages: impl Iterator<Item = &'a MessageEntry>) -> BTreeSet<MessageId> {
    messages
        .filter_map(|message| message.reply_to)
        .map(|reply| reply.message)
        .collect()
}

/// A message in its present state. What it replies to is named, not quoted.
pub fn message(entry: MessageEntry) -> v1::Message {
    v1::Message {
        conversation_id: entry.conversation.to_string(),
        message_id: entry.message.to_string(),
        seq: entry.seq,
        revision: entry.revision,
        sender_id: entry.sender.to_string(),
        client_message_id: entry.op.to_string(),
        text: entry.text,
        reply_to: entry.reply_to.map(|reply| v1::Reply {
            message_id: reply.message.to_string(),
            seq: reply.seq,
            quote: None,
            unavailable: false,
        }),
        sent_at: Some(entry.allocated_at.into()),
        state_revision: entry.state_revision,
    }
}
