//! What waits in the queue of deliveries: an event that is for more members than a call names.

use chat_contract::v1::LiveEvent;
use chat_domain::UserId;
use chat_operation::Notice;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::frame::small;

/// A live event that is for the members of its conversation, or for those in a range of user ids.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Errand {
    /// The event in protobuf's JSON mapping, small enough to be pushed.
    event: String,
    /// When it happened.
    occurred_at: DateTime<Utc>,
    /// The range's members come after this one.
    after: Option<String>,
    /// The last one of the range.
    through: Option<String>,
    /// Whether it is a range: the whole was divided.
    is_range: bool,
}

/// Why a message of the queue was not understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ErrandError(String);

impl Errand {
    /// An event for all members. None for one that cannot be written.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        Some(Self {
            event: serde_json::to_string(&small(&notice.event)).ok()?,
            occurred_at: notice.occurred_at,
            after: None,
            through: None,
            is_range: false,
        })
    }

    /// Writes it as a message of the queue.
    pub fn body(&self) -> Result<String, ErrandError> {
        serde_json::to_string(self).map_err(|error| ErrandError(error.to_string()))
    }

    /// Reads a message of the queue.
    pub fn parse(body: &str) -> Result<Self, ErrandError> {
        serde_json::from_str(body).map_err(|error| ErrandError(format!("it is no errand: {error}")))
    }

    /// What is to be told.
    pub fn event(&self) -> Result<LiveEvent, ErrandError> {
        chat_contract::json::decode(self.event.as_bytes())
            .map_err(|error| ErrandError(format!("what it tells is no live event: {error}")))
    }

    /// When it happened.
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.occurred_at
    }

    /// The range of members that it is for, above one and up to another; None when it is for all.
    pub fn range(&self) -> Result<Option<(Option<UserId>, Option<UserId>)>, ErrandError> {
        let user = |id: &Option<String>| {
            let id = id.as_deref().map(str::parse).transpose();
            id.map_err(|violation: chat_domain::Violation| ErrandError(format!("a user id of its range {violation}")))
        };
        Ok(if self.is_range {
            Some((user(&self.after)?, user(&self.through)?))
        } else {
            None
        })
    }

    /// The same for a range of members.
    pub fn of_range(&self, after: Option<&UserId>, through: Option<&UserId>) -> Self {
        Self {
            after: after.map(ToString::to_string),
            through: through.map(ToString::to_string),
            is_range: true,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_contract::v1::{Poke, live_event};
    use chat_domain::Audience;

    use super::*;

    fn errand() -> Errand {
        let event = LiveEvent {
            conversation_id: "group".to_owned(),
            revision: 7,
            event: Some(live_event::Event::Poke(Poke {})),
            ..LiveEvent::default()
        };
        Errand::of(&Notice {
            recipients: Audience::Members,
            event,
            occurred_at: DateTime::from_timestamp(1_800_000_000, 5_000_000).unwrap(),
        })
        .unwrap()
    }

    #[test]
    fn an_errand_is_read_as_it_was_written() {
        let user: UserId = "bob".parse().unwrap();
        for errand in [
            errand(),
            errand().of_range(None, Some(&user)),
            errand().of_range(Some(&user), None),
        ] {
            let body = errand.body().unwrap();
            assert_eq!(Errand::parse(&body), Ok(errand));
        }
        assert_eq!(errand().range(), Ok(None));
        assert_eq!(
            errand().of_range(None, Some(&user)).range(),
            Ok(Some((None, Some(user))))
        );
        assert_eq!(errand().event().unwrap().revision, 7);
    }

    #[test]
    fn what_is_no_errand_is_refused() {
        for body in ["", "{}", "[]", r#"{"event":"x"}"#, "\u{0}"] {
            assert!(Errand::parse(body).is_err(), "{body}");
        }
        let mut broken = errand();
        broken.event = "{".to_owned();
        assert!(broken.event().is_err());
        let mut broken = errand().of_range(None, None);
        broken.after = Some("two words".to_owned());
        assert!(broken.range().is_err());
    }
}
