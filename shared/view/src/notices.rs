//! Notices that operations of several services hand out.

use chat_contract::v1::{ConversationSettingsChanged, LiveEvent, ReadPositionMoved, live_event};
use chat_domain::{ConversationId, UserId};
use chat_operation::Notice;
use chat_stores::postgres::{OwnChanged, ReadPosition};

/// What the reader's own devices and the other members are told of a moved read position. How many messages are unread
/// concerns nobody but the reader, as does that they had marked the conversation as unread.
pub fn read_position_moved(conversation: ConversationId, reader: &UserId, position: &ReadPosition) -> Vec<Notice> {
    let notice = |recipients: Vec<UserId>, unread_count, counted_seq| Notice {
        recipients: recipients.into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::ReadPositionMoved(ReadPositionMoved {
                user_id: reader.to_string(),
                read_seq: position.read_seq,
                unread_count,
                counted_seq,
            })),
            ..LiveEvent::default()
        },
        occurred_at: position.at,
    };
    let others = position.members.iter().filter(|member| *member != reader);
    let others: Vec<UserId> = others.cloned().collect();
    let mut notices = vec![notice(
        vec![reader.clone()],
        Some(position.unread_count),
        position.counted_seq,
    )];
    if !others.is_empty() {
        notices.push(notice(others, None, 0));
    }
    let unflagged = position.unflagged.as_ref();
    notices.extend(unflagged.map(|changed| conversation_settings_changed(conversation, reader, changed)));
    notices
}

/// What a member's own devices are told when a conversation is something else to them. Nobody else is told.
pub fn conversation_settings_changed(conversation: ConversationId, member: &UserId, changed: &OwnChanged) -> Notice {
    Notice {
        recipients: vec![member.clone()].into(),
        event: LiveEvent {
            conversation_id: conversation.to_string(),
            event: Some(live_event::Event::ConversationSettingsChanged(
                ConversationSettingsChanged {
                    settings: Some(crate::settings(changed.own)),
                    marked_unread: changed.own.marked_unread,
                },
            )),
            feed_revision: changed.own.revision,
            ..LiveEvent::default()
        },
        occurred_at: changed.at,
    }
}
