//! What is pushed: one text frame per notice, the same for all of its recipients.

use bytes::Bytes;
use chat_contract::v1::{LiveEvent, Poke, live_event::Event};
use chat_domain::{PUSH_AGE_MAX, PUSH_BYTES_MAX};
use chat_operation::Notice;
use chrono::{DateTime, Utc};

/// The frame of a notice that is delivered `now`: its event in protobuf's JSON mapping, or a poke where the event is too
/// old or too large. `None` for an event that has no such form.
pub(crate) fn frame(notice: &Notice, now: DateTime<Utc>) -> Option<Bytes> {
    let age = (now - notice.occurred_at).to_std().unwrap_or_default();
    if age <= PUSH_AGE_MAX
        && let Ok(frame) = serde_json::to_vec(&notice.event)
        && frame.len() <= PUSH_BYTES_MAX
    {
        return Some(frame.into());
    }
    serde_json::to_vec(&poke(&notice.event)).ok().map(Bytes::from)
}

/// An event, or a poke where it is too large to be pushed.
pub(crate) fn small(event: &LiveEvent) -> LiveEvent {
    match serde_json::to_vec(event) {
        Ok(frame) if frame.len() <= PUSH_BYTES_MAX => event.clone(),
        _ => poke(event),
    }
}

/// Tells that something happened without telling what. It says nothing of the revision before it: a client that trusted
/// that would move its cursor past what it has not seen.
fn poke(event: &LiveEvent) -> LiveEvent {
    LiveEvent {
        conversation_id: event.conversation_id.clone(),
        revision: event.revision,
        previous_revision: 0,
        event: Some(Event::Poke(Poke {})),
        feed_revision: event.feed_revision,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_contract::v1::Message;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn notice(text: &str) -> Notice {
        let message = Message {
            text: text.to_owned(),
            ..Message::default()
        };
        let event = LiveEvent {
            conversation_id: "conversation".to_owned(),
            revision: 7,
            previous_revision: 6,
            event: Some(Event::MessageSent(message)),
            feed_revision: 0,
        };
        Notice {
            recipients: Vec::new().into(),
            event,
            occurred_at: now(),
        }
    }

    fn event_of(frame: &Bytes) -> LiveEvent {
        chat_contract::json::decode(frame).unwrap()
    }

    #[test]
    fn an_event_is_pushed_as_it_is() {
        let notice = notice("hello");
        assert_eq!(event_of(&frame(&notice, now()).unwrap()), notice.event);
        // So it is when the clock of whoever wrote it is ahead.
        assert_eq!(
            event_of(&frame(&notice, now() - Duration::from_mins(5)).unwrap()),
            notice.event
        );
    }

    #[test]
    fn an_event_becomes_a_poke_after_ten_seconds() {
        let notice = notice("hello");
        assert_eq!(event_of(&frame(&notice, now() + PUSH_AGE_MAX).unwrap()), notice.event);
        let old = frame(&notice, now() + PUSH_AGE_MAX + Duration::from_millis(1)).unwrap();
        assert_eq!(old, r#"{"conversationId":"conversation","revision":"7","poke":{}}"#);
    }

    #[test]
    fn a_poke_says_where_the_change_stands_in_the_feed_of_its_recipient() {
        let mut notice = notice("hello");
        notice.event.feed_revision = 9;
        let old = frame(&notice, now() + PUSH_AGE_MAX + Duration::from_millis(1)).unwrap();
        assert_eq!(
            old,
            r#"{"conversationId":"conversation","revision":"7","feedRevision":"9","poke":{}}"#
        );
    }

    #[test]
    fn a_frame_has_at_most_32_kib() {
        let empty = frame(&notice("x"), now()).unwrap().len() - 1;
        let full = notice(&"x".repeat(PUSH_BYTES_MAX - empty));
        assert_eq!(frame(&full, now()).unwrap().len(), PUSH_BYTES_MAX);
        let over = frame(&notice(&"x".repeat(PUSH_BYTES_MAX - empty + 1)), now()).unwrap();
        assert_eq!(over, r#"{"conversationId":"conversation","revision":"7","poke":{}}"#);
    }
}
