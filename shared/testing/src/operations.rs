//! Operations driven directly, past the wire: what a test of one operation needs.

use std::time::{Duration, Instant};

use chat_contract::Rpc;
use chat_domain::{ConversationId, UserId};
use chat_operation::Settings;
use chat_operation::{Answer, CallContext, Failure, FromSettings, Operation};
use chat_stores::postgres::{FriendRequested, Opened, Postgres};

use crate::{Fixture, Proxies};

/// How long a test's call may take: as long as a function of the HTTP API.
const CALL_TIMEOUT: Duration = Duration::from_secs(29);

/// What calling an operation gives.
pub type Called<O> = Result<Answer<<<O as Operation>::Request as Rpc>::Response>, Failure>;

/// A user of a test.
///
/// # Panics
/// When it is no user id.
pub fn user(id: &str) -> UserId {
    id.parse().unwrap_or_else(|violation| panic!("{id:?} {violation}"))
}

/// Calls an operation as a user.
pub async fn call<O: Operation>(operation: &O, caller: &str, request: O::Request) -> Called<O> {
    operation
        .call(
            &CallContext::for_user(user(caller), Instant::now() + CALL_TIMEOUT),
            request,
        )
        .await
}

/// Calls an operation without a token.
pub async fn call_without_token<O: Operation>(operation: &O, request: O::Request) -> Called<O> {
    operation
        .call(&CallContext::new(None, Instant::now() + CALL_TIMEOUT), request)
        .await
}

fn operation<O: Operation + FromSettings>(settings: &Settings) -> O {
    O::from_settings(settings).unwrap_or_else(|error| panic!("the operation cannot be built: {error}"))
}

impl Fixture {
    /// An operation with clients of its own, as an execution environment has it.
    ///
    /// # Panics
    /// When the operation needs a setting that fixtures do not have.
    pub fn operation<O: Operation + FromSettings>(&self) -> O {
        operation(self.settings())
    }

    /// Makes two users friends.
    ///
    /// # Panics
    /// When Postgres fails.
    pub async fn befriend(&self, one: &str, other: &str) {
        let postgres = self.postgres();
        for (from, to) in [(one, other), (other, one)] {
            let asked = postgres.request_friend(&user(from), &user(to)).await;
            match asked {
                Ok(Ok(FriendRequested::Done(_))) => {}
                refused => panic!("{from} and {to} cannot become friends: {refused:?}"),
            }
        }
    }

    /// Makes two users friends and opens their direct conversation.
    ///
    /// # Panics
    /// When Postgres fails.
    pub async fn open_direct(&self, one: &str, other: &str) -> ConversationId {
        self.befriend(one, other).await;
        let opened = self
            .postgres()
            .open_direct_conversation(ConversationId::generate(), &user(one), &user(other))
            .await;
        match opened {
            Ok(Ok(Opened::Open(opened))) => opened.conversation,
            refused => panic!("{one} and {other} cannot open a conversation: {refused:?}"),
        }
    }

    /// A handle to the fixture's Postgres.
    ///
    /// # Panics
    /// When the fixture's settings are broken.
    pub fn postgres(&self) -> Postgres {
        Postgres::from_settings(self.settings()).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Proxies {
    /// An operation with clients of its own that reach the databases through the proxies.
    ///
    /// # Panics
    /// When the operation needs a setting that fixtures do not have.
    pub fn operation<O: Operation + FromSettings>(&self) -> O {
        operation(self.settings())
    }
}
