//! One call of an operation: who calls, until when it is worked on, and what of it outlives its answer.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_contract::Rpc;
use chat_operation::{Answer, CallContext, Failure, Notice, Operation};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Extensions;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::code::grpc_name;
use crate::context::{self, end_of_call};
use crate::{Claims, Deadline};

/// A call that goes on to its end is not begun with less time left than this: it would be cut off in the middle.
const FINISH_DURATION_MIN: Duration = Duration::from_millis(500);

/// A call that need not finish goes on for so long all the same when its client no longer waits, which is longer than a call
/// of any store takes: dropped in the middle of a statement, it would take its environment's connection to the database with
/// it, and a client that waits for no more than a millisecond could make others pay for new ones.
const DROP_DELAY: Duration = Duration::from_secs(9);

/// Response extension: what to deliver once the response is with the caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notices(pub Vec<Notice>);

/// Request extension: where a call leaves what is to be done once its answer is out. Whoever puts it in does that. Clones share
/// the place.
#[derive(Clone, Default)]
pub struct Unfinished(Arc<Mutex<Rest>>);

#[derive(Default)]
struct Rest {
    /// The rest of a call whose client no longer waits: to its end, of an operation that [`FINISHES`](Operation::FINISHES), else
    /// for a moment. Where nobody put an [`Unfinished`] in, the answer of one that finishes waits for the end of the call.
    call: Option<RestOfCall>,
    /// What [`Operation::seal`] is to do, after everything else.
    sealing: Option<BoxFuture<'static, ()>>,
}

/// What is left of a call. It ends by the function's [`Deadline`], does not panic, and yields what to deliver then.
pub type RestOfCall = BoxFuture<'static, Vec<Notice>>;

impl Unfinished {
    /// Takes the rest of a call that was answered before it was done, if there is one.
    pub fn take(&self) -> Option<RestOfCall> {
        self.lock().call.take()
    }

    /// Takes the sealing that a call found to be due, if any. It comes last, when the call is done and its notices are
    /// delivered. It does not panic, and may be dropped at any moment.
    pub fn take_sealing(&self) -> Option<BoxFuture<'static, ()>> {
        self.lock().sealing.take()
    }

    fn leave(&self, call: RestOfCall) {
        self.lock().call = Some(call);
    }

    fn leave_sealing(&self, sealing: BoxFuture<'static, ()>) {
        self.lock().sealing = Some(sealing);
    }

    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Unfinished").finish_non_exhaustive()
    }
}

/// A call that was let in.
#[derive(Clone)]
pub(crate) struct Admitted {
    context: CallContext,
    /// When the client gets an answer, whatever becomes of the call; the call's own deadline or earlier.
    answer_by: Instant,
    /// For a call that goes on after that.
    unfinished: Option<Unfinished>,
    /// Where it leaves what else follows its answer.
    after_answer: Option<Unfinished>,
}

/// Who calls and until when: refuses a call without a token before anything else of it is looked at, and one for which
/// there is no time.
pub(crate) fn admit<O: Operation>(
    extensions: &Extensions,
    timeout: impl FnOnce() -> Result<Option<Duration>, Failure>,
) -> Result<Admitted, Failure> {
    let caller = match extensions.get::<Claims>() {
        Some(claims) if !O::PUBLIC => Some(context::caller(claims)?),
        Some(claims) => context::caller(claims).ok(),
        None if !O::PUBLIC => return Err(Failure::token_missing()),
        None => None,
    };
    let now = Instant::now();
    let end = end_of_call(now, extensions.get::<Deadline>().copied());
    let client_deadline = timeout()?.and_then(|timeout| now.checked_add(timeout));
    let answer_by = client_deadline.map_or(end, |deadline| deadline.min(end));
    if answer_by <= now || (O::FINISHES && end < now + FINISH_DURATION_MIN) {
        return Err(too_late());
    }
    let unfinished: Option<Unfinished> = extensions.get().filter(|_| answer_by < end).cloned();
    let deadline = match unfinished {
        _ if O::FINISHES => end,
        Some(_) => end.min(answer_by + DROP_DELAY),
        None => answer_by,
    };
    Ok(Admitted {
        context: CallContext::new(caller, deadline.into_std()),
        answer_by: if unfinished.is_some() { answer_by } else { deadline },
        unfinished,
        after_answer: extensions.get().cloned(),
    })
}

/// Runs the operation to its end, to its deadline or to a panic. A call that goes on when its client no longer waits is
/// left for whoever runs it then.
pub(crate) async fn perform<O: Operation>(
    operation: Arc<O>,
    admitted: Admitted,
    request: O::Request,
) -> Result<Answer<<O::Request as Rpc>::Response>, Failure> {
    let Admitted {
        context,
        answer_by,
        unfinished,
        after_answer,
    } = admitted;
    let deadline = Instant::from_std(context.deadline());
    let mut call = Box::pin(run(operation, context, request, after_answer.clone()));
    if let Ok(result) = timeout_at(answer_by, &mut call).await {
        let told = result.as_ref().err().map(told_of::<O>).unwrap_or_default();
        if let Some(after_answer) = after_answer
            && !told.is_empty()
        {
            after_answer.leave(std::future::ready(told).boxed());
        }
        return result;
    }
    if let Some(unfinished) = unfinished {
        // Its lines in the log are of the same call.
        let rest = finish::<O>(call, deadline).in_current_span();
        unfinished.leave(Box::pin(rest));
    }
    Err(too_late())
}

async fn run<O: Operation>(
    operation: Arc<O>,
    context: CallContext,
    request: O::Request,
    after_answer: Option<Unfinished>,
) -> Result<Answer<<O::Request as Rpc>::Response>, Failure> {
    let call = AssertUnwindSafe(async { operation.call(&context, request).await }).catch_unwind();
    let Ok(result) = call.await else {
        // What it says may hold data of users; the panic hook knows the place.
        tracing::error!("the operation panicked");
        return Err(Failure::internal(
            "PANIC",
            "the service has a defect; the call may have had an effect",
        ));
    };
    let mut answer = result?;
    if let Some(after_answer) = after_answer
        && !answer.seal.is_empty()
    {
        let conversations = std::mem::take(&mut answer.seal);
        let sealing = async move {
            let sealing = AssertUnwindSafe(operation.seal(conversations)).catch_unwind();
            if sealing.await.is_err() {
                tracing::error!("sealing panicked; another call seals");
            }
        };
        after_answer.leave_sealing(sealing.in_current_span().boxed());
    }
    if !O::DELIVERS && !answer.notices.is_empty() {
        tracing::error!(
            notices = answer.notices.len(),
            "the operation hands out notices without DELIVERS; they are lost"
        );
    }
    Ok(answer)
}

/// Of what a call did that failed all the same, whom to tell.
fn told_of<O: Operation>(failure: &Failure) -> Vec<Notice> {
    if O::DELIVERS {
        failure.notices().to_vec()
    } else {
        Vec::new()
    }
}

/// Takes a call to its end that has been answered already.
async fn finish<O: Operation>(
    call: impl Future<Output = Result<Answer<<O::Request as Rpc>::Response>, Failure>>,
    deadline: Instant,
) -> Vec<Notice> {
    match timeout_at(deadline, call).await {
        Ok(Ok(answer)) => {
            tracing::info!(code = "OK", "call finished after its client had stopped waiting");
            answer.notices
        }
        Ok(Err(failure)) => {
            let (code, reason) = (grpc_name(failure.code()), failure.reason());
            tracing::info!(code, reason, "call finished after its client had stopped waiting");
            told_of::<O>(&failure)
        }
        Err(_elapsed) => {
            tracing::warn!("call was cut off after its client had stopped waiting");
            Vec::new()
        }
    }
}

fn too_late() -> Failure {
    Failure::deadline_exceeded(
        "DEADLINE_EXCEEDED",
        "the time for the call was up; repeat it with the same ids",
    )
}
