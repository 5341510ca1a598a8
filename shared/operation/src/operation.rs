//! An RPC's implementation.

use std::future::Future;

use chat_contract::Rpc;
use chat_domain::ConversationId;

use crate::{CallContext, Failure, Notice};

/// An RPC's implementation: a plain struct of its dependencies, which [`FromSettings`](crate::FromSettings) makes where it is
/// deployed, and one call.
pub trait Operation: Sized + Send + Sync + 'static {
    /// The request of the RPC, which also names its response and its path.
    type Request: Rpc;

    /// Whether it hands out notices. A function of an operation that does not never links delivery, and notices of such
    /// an operation are not delivered.
    const DELIVERS: bool = false;

    /// Whether a call whose client no longer waits goes on to its end, after the answer that the time was up. Else a client
    /// with a short timeout would stop it between two writes, or between a write and the notices about it. Unless it says
    /// otherwise, an operation that hands out notices does.
    const FINISHES: bool = Self::DELIVERS;

    /// Whether it may be called without a token.
    const PUBLIC: bool = false;

    /// Answers one request.
    ///
    /// The call is dropped at the context's deadline, wherever it waits at that moment, and may be repeated by the caller,
    /// also while it goes on.
    fn call(
        &self,
        context: &CallContext,
        request: Self::Request,
    ) -> impl Future<Output = Result<Answer<<Self::Request as Rpc>::Response>, Failure>> + Send;

    /// Completes what was met unfinished in the conversations of [`Answer::seal`]: places that are open, or memberships that a
    /// deletion has yet to end. After the answer has left and its notices are delivered, as far as the time allows. Nobody waits for it, and nothing is lost when it is not done: another call finds the same to do.
    fn seal(&self, conversations: Vec<ConversationId>) -> impl Future<Output = ()> + Send {
        let _ = conversations;
        std::future::ready(())
    }
}

/// What an operation answers, and whom to tell about it afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<R> {
    /// The response for the caller.
    pub response: R,
    /// What to deliver once the caller has the response.
    pub notices: Vec<Notice>,
    /// What to hand to [`Operation::seal`] after that.
    pub seal: Vec<ConversationId>,
}

impl<R> Answer<R> {
    /// An answer that concerns nobody but the caller.
    pub fn new(response: R) -> Self {
        Self {
            response,
            notices: Vec::new(),
            seal: Vec::new(),
        }
    }

    /// The same answer with one more notice.
    #[must_use]
    pub fn notify(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }
}

impl<R> From<R> for Answer<R> {
    fn from(response: R) -> Self {
        Self::new(response)
    }
}
