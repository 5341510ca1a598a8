//! Stored rows as the contract shows them.

use chat_contract::v1;
use chat_stores::mongo::{MessageEntry, ReplyEntry};
use chat_stores::postgres::{ConversationRow, FriendshipState, LastMessage, MemberRow, ProfileRow};

/// A profile.
pub fn profile(row: ProfileRow) -> v1::Profile {
    v1::Profile {
        user_id: row.user_id,
        display_name: row.display_name,
        avatar_url: row.avatar_url,
        updated_at: Some(row.updated_at.into()),
    }
}

/// How two users stand.
pub fn friend_state(state: FriendshipState) -> v1::FriendState {
    match state {
        FriendshipState::RequestSent => v1::FriendState::RequestSent,
        FriendshipState::RequestReceived => v1::FriendState::RequestReceived,
        FriendshipState::Accepted => v1::FriendState::Accepted,
    }
}

/// A conversation as the member sees it for whom the row was read.
pub fn conversation(row: ConversationRow) -> v1::Conversation {
    v1::Conversation {
        conversation_id: row.conversation.to_string(),
        kind: v1::ConversationKind::Direct.into(),
        members: row.members.into_iter().map(member).collect(),
        revision: row.revision,
        message_count: row.message_count,
        unread_count: row.unread_count,
        last_message: row.last_message.map(last_message),
        created_at: Some(row.created_at.into()),
        last_activity_at: Some(row.last_activity_at.into()),
    }
}

/// A member of a conversation.
pub fn member(row: MemberRow) -> v1::Member {
    v1::Member {
        user_id: row.user_id,
        read_seq: row.read_seq,
        joined_revision: row.joined_revision,
    }
}

fn last_message(last: LastMessage) -> v1::LastMessage {
    v1::LastMessage {
        seq: last.seq,
        sender_id: last.sender,
        excerpt: last.excerpt,
        sent_at: Some(last.sent_at.into()),
    }
}

/// A message in its present state.
pub fn message(entry: MessageEntry) -> v1::Message {
    v1::Message {
        conversation_id: entry.conversation.to_string(),
        message_id: entry.message.to_string(),
        seq: entry.seq,
        revision: entry.revision,
        sender_id: entry.sender.to_string(),
        client_message_id: entry.op.to_string(),
        text: entry.text,
        reply_to: entry.reply_to.map(reply),
        sent_at: Some(entry.allocated_at.into()),
        state_revision: entry.state_revision,
    }
}

fn reply(entry: ReplyEntry) -> v1::ReplySnapshot {
    v1::ReplySnapshot {
        message_id: entry.message.to_string(),
        seq: entry.seq,
        sender_id: entry.sender.to_string(),
        excerpt: entry.excerpt,
    }
}
