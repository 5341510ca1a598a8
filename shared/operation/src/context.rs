//! Who calls, and until when the call may go on.

use std::time::Instant;

use chat_domain::{UserId, Violation};
use chrono::{DateTime, Utc};

use crate::Failure;

/// A user, as their verified token says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The token's subject.
    pub user: UserId,
    /// When the token ends; none when it does not say.
    pub token_expires_at: Option<DateTime<Utc>>,
}

impl Caller {
    /// Reads the id of another user: anyone but the caller.
    pub fn parse_other(&self, user_id: &str) -> Result<UserId, Violation> {
        let other: UserId = user_id.parse()?;
        if other == self.user {
            return Err(Violation::new("must name another user than yourself"));
        }
        Ok(other)
    }
}

/// Who calls and until when the call may go on.
#[derive(Clone, Debug)]
pub struct CallContext {
    caller: Option<Caller>,
    deadline: Instant,
}

impl CallContext {
    /// The context of a call by `caller`, or by nobody in particular.
    pub fn new(caller: Option<Caller>, deadline: Instant) -> Self {
        Self { caller, deadline }
    }

    /// The context of a call by a user whose token does not end. For callers that are no gateway, such as tests.
    pub fn for_user(user: UserId, deadline: Instant) -> Self {
        Self::new(
            Some(Caller {
                user,
                token_expires_at: None,
            }),
            deadline,
        )
    }

    /// The user that calls; UNAUTHENTICATED when there is none.
    pub fn caller(&self) -> Result<&Caller, Failure> {
        self.caller.as_ref().ok_or_else(Failure::token_missing)
    }

    /// When the call is dropped, wherever it waits then: at the function's end less a margin, or when the gateway no longer
    /// waits. That is also a moment after the client no longer waits, unless the operation
    /// [`FINISHES`](crate::Operation::FINISHES).
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}
