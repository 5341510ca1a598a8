//! An execution environment that is driven by hand, as Lambda would drive it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;

/// One warm execution environment: serves one invocation at a time.
pub struct Environment(Box<dyn Invoke>);

/// What an invocation came to.
pub struct Invocation {
    /// The JSON that the function returns.
    pub response: Vec<u8>,
    /// The work that follows the answer: the rest of a call whose client no longer waits, and delivery of live events. It
    /// ends by the invocation's deadline and never panics; the environment is busy until then.
    pub after_answer: BoxFuture<'static, ()>,
}

/// Why an invocation has no answer; AWS would answer 500 or 502 in its place.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is not of the shape that the function's trigger sends.
    #[error("the event cannot be read: {0}")]
    Event(String),
    /// The function panicked; what it said is not repeated, as it may hold data of users.
    #[error("the function panicked")]
    Panic,
    /// The function reported an error.
    #[error("{0}")]
    Function(String),
    /// What the function returns cannot be written.
    #[error("the answer cannot be written: {0}")]
    Answer(String),
}

/// What is behind an environment.
pub(crate) trait Invoke: Send {
    fn invoke<'a>(
        &'a mut self,
        event: &'a [u8],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Invocation, InvocationError>>;
}

impl Environment {
    pub(crate) fn new(invoke: impl Invoke + 'static) -> Self {
        Self(Box::new(invoke))
    }

    /// Serves one invocation.
    ///
    /// `event` is the JSON that Lambda would hand to the function, `deadline` the end of the invocation's time. The next
    /// invocation must wait until [`Invocation::after_answer`] is done.
    pub async fn invoke(&mut self, event: &[u8], deadline: Instant) -> Result<Invocation, InvocationError> {
        let caught = AssertUnwindSafe(async { self.0.invoke(event, deadline).await })
            .catch_unwind()
            .await;
        caught.unwrap_or_else(|_: Box<dyn Any + Send>| Err(InvocationError::Panic))
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Invocation")
            .field("response_bytes", &self.response.len())
            .finish_non_exhaustive()
    }
}
