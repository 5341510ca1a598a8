//! What a conversation is to one member alone: how a change of it is refused, and told to their own devices.

use chat_contract::Timestamp;
use chat_domain::{ConversationId, PINNED_CONVERSATIONS_MAX, UserId, Violation};
use chat_operation::{Failure, Notice};
use chat_stores::postgres::{OwnChanged, OwnRow, OwnUpdated, Withdrawn};
use chrono::{DateTime, Datelike as _, Utc};

/// What the conversation is to the member now, and what their own devices are told, if that changed.
pub(crate) fn complete(
    conversation: ConversationId,
    user: &UserId,
    updated: OwnUpdated,
) -> Result<(OwnRow, Option<Notice>), Failure> {
    match updated {
        OwnUpdated::Changed(changed) => {
            let notice = chat_view::conversation_settings_changed(conversation, user, &changed);
            Ok((changed.own, Some(notice)))
        }
        OwnUpdated::AsAsked(own) => Ok((own, None)),
        OwnUpdated::ChangedSince => Err(Failure::aborted(
            "SETTINGS_CHANGED",
            "the settings have changed since this settings_revision; read them and decide anew",
        )),
        OwnUpdated::TooManyPinned => Err(Failure::resource_exhausted(
            "PINNED_LIMIT",
            format!("you have pinned {PINNED_CONVERSATIONS_MAX} conversations, the most that are allowed; take one off first"),
        )
        .with_metadata("limit", PINNED_CONVERSATIONS_MAX.to_string())),
        OwnUpdated::NotFound => Err(Failure::conversation_not_found()),
    }
}

/// What a member's own devices are told of what is left to them: the settings, and what is unread.
pub(crate) fn withdrawn(conversation: ConversationId, user: &UserId, withdrawn: &Withdrawn) -> Vec<Notice> {
    if !withdrawn.changed {
        return Vec::new();
    }
    let changed = OwnChanged {
        own: withdrawn.own,
        at: withdrawn.position.at,
    };
    let mut notices = vec![chat_view::conversation_settings_changed(conversation, user, &changed)];
    notices.extend(chat_view::read_position_moved(conversation, user, &withdrawn.position));
    notices
}

/// A time as the contract's JSON can say it, in whole milliseconds.
pub(crate) fn time(value: Timestamp) -> Result<DateTime<Utc>, Violation> {
    let time = DateTime::try_from(value).ok();
    time.filter(|time| (1..=9999).contains(&time.year()))
        .and_then(|time| DateTime::from_timestamp_millis(time.timestamp_millis()))
        .ok_or_else(|| Violation::new("is not a time in the years 1 to 9999"))
}
