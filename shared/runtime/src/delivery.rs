//! What follows an answer: the rest of a call whose client no longer waits, the delivery of the call's notices, and the
//! sealing that it found to be due.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use chat_delivery::Deliverer;
use chat_operation::{FromSettings, Notice, Operation, Settings, SettingsError};
use chat_rpc::{RestOfCall, Unfinished};
use futures::FutureExt;
use futures::future::BoxFuture;
use lambda_runtime::LambdaInvocation;
use tower::{Layer, Service};
use tracing::Instrument;

/// What an invocation leaves for after its answer.
pub(crate) struct Left {
    /// What to deliver.
    pub(crate) notices: Vec<Notice>,
    /// A call that tells what to deliver once it is done.
    pub(crate) call: Option<RestOfCall>,
    /// Where the call says what else is due, at the latest when it is done.
    pub(crate) unfinished: Unfinished,
}

type Deliver = dyn Fn(Vec<Notice>, Instant) -> BoxFuture<'static, ()> + Send + Sync;

/// What the invocation in hand left and, for operations that deliver, the way to the recipients of notices. Clones share
/// both; an environment serves one invocation at a time, so there is one slot.
#[derive(Clone, Default)]
pub(crate) struct Delivery {
    deliver: Option<Arc<Deliver>>,
    /// What was left, and the instant by which it has to end.
    slot: Arc<Mutex<Option<(Left, Instant)>>>,
}

impl Delivery {
    /// The delivery of an operation. Of one that does not deliver, it neither needs settings nor links the clients.
    pub(crate) fn of<O: Operation>(settings: &Settings) -> Result<Self, SettingsError> {
        let deliver = if O::DELIVERS { Some(deliver(settings)?) } else { None };
        Ok(Self {
            deliver,
            slot: Arc::default(),
        })
    }

    /// Leaves this for after the answer. The deadline is the one of the invocation's work.
    pub(crate) fn leave(&self, left: Left, deadline: Instant) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some((left, deadline));
    }

    /// Takes what was left: the work of finishing the call and delivering its notices, which ends by the deadline and
    /// never panics.
    pub(crate) fn take(&self) -> BoxFuture<'static, ()> {
        let left = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((left, deadline)) = left else {
            return futures::future::ready(()).boxed();
        };
        let deliver = self.deliver.clone();
        Box::pin(async move {
            let work = AssertUnwindSafe(async {
                let Left {
                    mut notices,
                    call,
                    unfinished,
                } = left;
                if let Some(call) = call {
                    notices.extend(call.await);
                }
                if let Some(deliver) = deliver
                    && !notices.is_empty()
                {
                    deliver(notices, deadline).await;
                }
                if let Some(sealing) = unfinished.take_sealing() {
                    sealing.await;
                }
            });
            match tokio::time::timeout_at(deadline.into(), work.catch_unwind()).await {
                Ok(Ok(())) => {}
                Ok(Err(_panic)) => tracing::error!("what follows the answer panicked; clients recover by syncing"),
                Err(_elapsed) => {
                    tracing::warn!("what follows the answer was cut off at the deadline; clients recover by syncing");
                }
            }
        })
    }
}

fn deliver(settings: &Settings) -> Result<Arc<Deliver>, SettingsError> {
    let deliverer = Arc::new(Deliverer::from_settings(settings)?);
    Ok(Arc::new(move |notices, deadline| {
        let deliverer = Arc::clone(&deliverer);
        Box::pin(async move { deliverer.deliver(notices, deadline).await })
    }))
}

/// Wraps Lambda's whole handling of an invocation: gives its log lines their context, and does what was left once the inner
/// future has ended, which it does when the answer is with Lambda. The next event is not polled before that is done.
pub(crate) struct InvocationLayer {
    pub(crate) function: Arc<str>,
    pub(crate) delivery: Delivery,
}

impl<S> Layer<S> for InvocationLayer {
    type Service = InvocationService<S>;

    fn layer(&self, inner: S) -> InvocationService<S> {
        InvocationService {
            inner,
            function: Arc::clone(&self.function),
            delivery: self.delivery.clone(),
        }
    }
}

pub(crate) struct InvocationService<S> {
    inner: S,
    function: Arc<str>,
    delivery: Delivery,
}

impl<S> Service<LambdaInvocation> for InvocationService<S>
where
    S: Service<LambdaInvocation, Response = ()>,
    S::Future: 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = futures::future::LocalBoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let span = tracing::info_span!(
            "invocation",
            function = &*self.function,
            request_id = invocation.context.request_id,
            xray_trace_id = invocation.context.xray_trace_id,
        );
        let answer = span.in_scope(|| self.inner.call(invocation));
        let delivery = self.delivery.clone();
        let work = async move {
            let answered = answer.await;
            // Also when the answer did not arrive: what was called for happens, and is told.
            delivery.take().await;
            answered
        };
        Box::pin(work.instrument(span))
    }
}
