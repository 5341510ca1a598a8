//! What waits in the queue of deliveries: an event that is for more members than a call names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_contract::v1::LiveEvent;
use chat_domain::{Audience, UserId, Violation};
use chat_operation::Notice;
use chrono::{DateTime, Utc};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::frame::small;

/// A live event that is for members of its conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Fanout {
    /// What they are to be told, small enough to be pushed.
    pub event: LiveEvent,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Which members.
    pub to: Recipients,
}

/// Which members a fan-out is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recipients {
    /// All: they are divided.
    Members,
    /// Those in a range of user ids.
    Range(Range),
    /// Those whose memberships a deletion has yet to end.
    Remaining,
}

/// A range of user ids.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Range {
    /// Above this one.
    pub after: Option<UserId>,
    /// Up to this one.
    pub through: Option<UserId>,
}

/// Why a message of the queue is none, or cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct FanoutError(String);

/// The message as it is written. The event is in base64: a text may hold characters that SQS takes in no message.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    event: String,
    occurred_at: DateTime<Utc>,
    to: WrittenTo,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    through: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum WrittenTo {
    Members,
    Range,
    Remaining,
}

impl Fanout {
    /// What a notice leaves for the queue; None where its recipients are named.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let to = match notice.recipients {
            Audience::Users(_) => return None,
            Audience::Members => Recipients::Members,
            Audience::Remaining => Recipients::Remaining,
        };
        Some(Self {
            event: small(&notice.event),
            occurred_at: notice.occurred_at,
            to,
        })
    }

    /// The same for other recipients.
    #[must_use]
    pub fn to(&self, to: Recipients) -> Self {
        Self { to, ..self.clone() }
    }

    /// Reads a message of the queue.
    pub fn parse(body: &str) -> Result<Self, FanoutError> {
        let written: Written =
            serde_json::from_str(body).map_err(|error| FanoutError(format!("it is no fan-out: {error}")))?;
        let event = STANDARD.decode(&written.event);
        let event = event.map_err(|error| FanoutError(format!("its event is not base64: {error}")))?;
        let event = LiveEvent::decode(event.as_slice());
        let user = |id: Option<String>| {
            let id = id.as_deref().map(str::parse).transpose();
            id.map_err(|violation: Violation| FanoutError(format!("a user id of its range {violation}")))
        };
        Ok(Self {
            event: event.map_err(|error| FanoutError(format!("its event is none: {error}")))?,
            occurred_at: written.occurred_at,
            to: match written.to {
                WrittenTo::Members => Recipients::Members,
                WrittenTo::Remaining => Recipients::Remaining,
                WrittenTo::Range => Recipients::Range(Range {
                    after: user(written.after)?,
                    through: user(written.through)?,
                }),
            },
        })
    }

    /// Writes it as a message of the queue.
    pub fn body(&self) -> Result<String, FanoutError> {
        let (to, range) = match &self.to {
            Recipients::Members => (WrittenTo::Members, Range::default()),
            Recipients::Range(range) => (WrittenTo::Range, range.clone()),
            Recipients::Remaining => (WrittenTo::Remaining, Range::default()),
        };
        let written = Written {
            event: STANDARD.encode(self.event.encode_to_vec()),
            occurred_at: self.occurred_at,
            to,
            after: range.after.map(|user| user.to_string()),
            through: range.through.map(|user| user.to_string()),
        };
        serde_json::to_string(&written).map_err(|error| FanoutError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use chat_contract::v1::{Message, Poke, live_event};

    use super::*;

    fn fanout(event: live_event::Event) -> Fanout {
        let event = LiveEvent {
            conversation_id: "group".to_owned(),
            revision: 7,
            event: Some(event),
            ..LiveEvent::default()
        };
        Fanout::of(&Notice {
            recipients: Audience::Members,
            event,
            occurred_at: DateTime::from_timestamp(1_800_000_000, 5_000_000).unwrap(),
        })
        .unwrap()
    }

    fn poke() -> Fanout {
        fanout(live_event::Event::Poke(Poke {}))
    }

    #[test]
    fn what_was_written_is_read() {
        let user: Option<UserId> = Some("bob".parse().unwrap());
        let range = |after: &Option<UserId>, through: &Option<UserId>| {
            let (after, through) = (after.clone(), through.clone());
            poke().to(Recipients::Range(Range { after, through }))
        };
        for fanout in [
            poke(),
            poke().to(Recipients::Remaining),
            range(&None, &user),
            range(&user, &None),
            range(&None, &None),
        ] {
            assert_eq!(Fanout::parse(&fanout.body().unwrap()), Ok(fanout));
        }
    }

    #[test]
    fn a_text_may_hold_what_a_queue_takes_in_no_message() {
        let message = Message {
            text: "\u{fffe}\u{ffff}\u{1}".to_owned(),
            ..Message::default()
        };
        let fanout = fanout(live_event::Event::MessageSent(message));
        let body = fanout.body().unwrap();
        assert!(body.bytes().all(|byte| byte.is_ascii_graphic()), "{body}");
        assert_eq!(Fanout::parse(&body), Ok(fanout));
    }

    #[test]
    fn what_is_none_is_refused() {
        let good = poke()
            .to(Recipients::Range(Range {
                after: Some("bob".parse().unwrap()),
                through: None,
            }))
            .body()
            .unwrap();
        let broken = |from: &str, to: &str| good.replace(from, to);
        for body in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            "\u{0}".to_owned(),
            broken("range", "nobody"),
            broken("bob", "two words"),
            broken("\"event\":\"", "\"event\":\"?"),
            broken("\"event\":\"", "\"event\":\"////"),
        ] {
            assert!(Fanout::parse(&body).is_err(), "{body}");
        }
    }
}
