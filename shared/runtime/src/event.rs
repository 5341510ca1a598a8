//! Functions whose event is not an RPC: the socket's, and `migrate`.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use chat_operation::{FromSettings, Settings, SettingsError};
use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower::Service;

use crate::clock;
use crate::environment::{Environment, Invocation, InvocationError, Invoke};

/// A function whose event is not an RPC: the socket's and `migrate`.
pub trait EventHandler: FromSettings + Send + Sync + 'static {
    /// What of the event's JSON it reads.
    type Event: DeserializeOwned + Send;
    /// What it answers, as JSON.
    type Answer: Serialize + Send;

    /// Handles one event. What it waits for must end by the deadline.
    fn call(
        &self,
        event: Self::Event,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, EventError>> + Send;
}

/// Why an event could not be handled, in one line. Lambda reports a function error, and the gateway answers 500.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct EventError(String);

impl EventError {
    /// An error with this line.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<EventError> for Diagnostic {
    fn from(error: EventError) -> Self {
        Self {
            error_type: "EventError".to_owned(),
            error_message: error.0,
        }
    }
}

/// A handler as `lambda_runtime` calls it.
pub(crate) struct EventService<H>(Arc<H>);

impl<H: EventHandler> EventService<H> {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(H::from_settings(settings)?)))
    }
}

impl<H: EventHandler> Service<LambdaEvent<H::Event>> for EventService<H> {
    type Response = H::Answer;
    type Error = EventError;
    type Future = BoxFuture<'static, Result<H::Answer, EventError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), EventError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: LambdaEvent<H::Event>) -> Self::Future {
        let handler = Arc::clone(&self.0);
        let deadline = clock::work_deadline(event.context.deadline);
        Box::pin(async move { handler.call(event.payload, deadline).await })
    }
}

/// Builds an environment of a handler.
pub(crate) fn environment<H: EventHandler>(settings: &Settings) -> Result<Environment, SettingsError> {
    Ok(Environment::new(EventService::<H>::new(settings)?))
}

impl<H: EventHandler> Invoke for EventService<H> {
    fn invoke<'a>(
        &'a mut self,
        event: &'a [u8],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Invocation, InvocationError>> {
        Box::pin(async move {
            let payload = serde_json::from_slice(event).map_err(|error| InvocationError::Event(error.to_string()))?;
            let mut context = lambda_runtime::Context::default();
            context.deadline = clock::epoch_ms(deadline);
            let call = self.call(LambdaEvent::new(payload, context));
            let answer = call
                .await
                .map_err(|error| InvocationError::Function(error.to_string()))?;
            let response = serde_json::to_vec(&answer).map_err(|error| InvocationError::Answer(error.to_string()))?;
            Ok(Invocation {
                response,
                after_answer: futures::future::ready(()).boxed(),
            })
        })
    }
}
