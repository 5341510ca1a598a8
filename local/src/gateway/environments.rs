//! Execution environments as Lambda keeps them: each serves one invocation at a time, is built when it is first needed,
//! stays busy until the work after its answer is done, and goes when nobody needed it for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chat_operation::Settings;
use chat_runtime::{Environment, Function, InvocationError};
use tokio::sync::{self, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Limits, Tasks};

/// How long a function may take to say that a call's time is up. It does nothing else for such a call.
const LATE_CALL_TIME_MAX: Duration = Duration::from_secs(5);

/// Why an invocation has no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallError {
    /// Every environment is busy and the queue for them is full.
    Busy,
    /// The deadline passed.
    TimedOut,
    /// The function failed; the log says how.
    Failed,
}

/// The environments of one function.
pub(crate) struct Environments {
    function: Function,
    settings: Settings,
    limits: Limits,
    /// A stack, the most recently used on top, so that what load no longer needs grows cold at the bottom.
    idle: Mutex<Vec<Idle>>,
    /// One more than may be busy, for calls whose time was up before they came to run, one at a time.
    late: sync::Mutex<Option<Idle>>,
    /// One permit for each environment that may be busy.
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Cancelled, and replaced, to kill those that are busy.
    living: Mutex<CancellationToken>,
    tasks: Tasks,
}

/// The right to keep one environment busy.
pub(crate) struct Place(OwnedSemaphorePermit);

struct Idle {
    environment: Environment,
    since: Instant,
}

impl Environments {
    pub(crate) fn new(function: Function, settings: Settings, limits: Limits, tasks: Tasks) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(limits.environments_max));
        Arc::new(Self {
            function,
            settings,
            limits,
            idle: Mutex::default(),
            late: sync::Mutex::default(),
            places,
            waiting: AtomicUsize::new(0),
            living: Mutex::default(),
            tasks,
        })
    }

    /// Invokes the function with an event and answers the JSON that it returned. The invocation goes on when the caller
    /// is no longer there to hear of it, as it does on AWS.
    pub(crate) async fn call(self: &Arc<Self>, event: Vec<u8>, deadline: Instant) -> Result<Vec<u8>, CallError> {
        let place = match self.free_place() {
            Some(place) => place,
            None => self.place(deadline).await?,
        };
        self.call_at(place, event, deadline).await
    }

    /// Invokes the function at a place.
    pub(crate) async fn call_at(
        self: &Arc<Self>,
        Place(place): Place,
        event: Vec<u8>,
        deadline: Instant,
    ) -> Result<Vec<u8>, CallError> {
        let environment = self.environment()?;
        let (answer, answered) = oneshot::channel();
        let living = lock(&self.living).clone();
        let running = Arc::clone(self).run(environment, event, deadline, answer);
        self.tasks.spawn(async move {
            living.run_until_cancelled(running).await;
            // Only now: whoever waits for the place finds this environment idle, or gone.
            drop(place);
        });
        // A dropped sender means that the environment was killed, or that the task panicked.
        timeout_at(deadline, answered)
            .await
            .map_err(|_| CallError::TimedOut)?
            .unwrap_or(Err(CallError::Failed))
    }

    /// Has the function itself answer a call whose event says that there is no time left: all places are taken, but a
    /// function that starts nothing needs none, and its answer is the one that the client knows.
    pub(crate) async fn call_late(&self, event: &[u8], deadline: Instant) -> Result<Vec<u8>, CallError> {
        let answer = async {
            let mut late = self.late.lock().await;
            let mut environment = match late.take() {
                Some(warm) => warm.environment,
                None => self.start()?,
            };
            let invocation = environment.invoke(event, deadline.into_std()).await.map_err(|error| {
                tracing::error!(function = self.function.name(), %error, "a function failed");
                CallError::Failed
            })?;
            invocation.after_answer.await;
            *late = Some(Idle {
                environment,
                since: Instant::now(),
            });
            Ok(invocation.response)
        };
        timeout_at(deadline.min(Instant::now() + LATE_CALL_TIME_MAX), answer)
            .await
            .map_err(|_| CallError::TimedOut)?
    }

    /// Drops environments that nobody needed since `limits.environment_idle` before `now`, and those beyond
    /// `limits.environments_kept` sooner.
    pub(crate) fn reap(&self, now: Instant) {
        let Limits {
            environment_idle,
            environments_kept,
            environment_surplus_idle,
            ..
        } = self.limits;
        let surplus_idle = environment_surplus_idle.min(environment_idle);
        let mut idle = self.idle();
        let surplus = idle.len().saturating_sub(environments_kept);
        let cold = |for_so_long| move |idle: &Idle| now.duration_since(idle.since) >= for_so_long;
        let kept_from = idle.partition_point(cold(environment_idle));
        let kept_from = kept_from.max(idle.partition_point(cold(surplus_idle)).min(surplus));
        let dropped: Vec<_> = idle.drain(..kept_from).collect();
        // Closing connections is not for under the lock.
        drop(idle);
        drop(dropped);
        self.drop_late(|late| now.duration_since(late.since) >= self.limits.environment_idle);
    }

    /// Drops all of them where they stand, also in the middle of their work.
    pub(crate) fn kill(&self) {
        std::mem::take(&mut *lock(&self.living)).cancel();
        self.clear();
    }

    /// Drops all that are idle.
    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.idle());
        drop(dropped);
        self.drop_late(|_| true);
    }

    /// Drops the environment for late calls, unless it is busy, which it never is for long.
    fn drop_late(&self, may_go: impl FnOnce(&mut Idle) -> bool) {
        if let Ok(mut late) = self.late.try_lock() {
            drop(late.take_if(may_go));
        }
    }

    /// The right to keep an environment busy, if it can be had without waiting.
    pub(crate) fn free_place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok().map(Place)
    }

    /// Waits for the right to keep an environment busy, first come first served.
    pub(crate) async fn place(&self, deadline: Instant) -> Result<Place, CallError> {
        let _waiting = Waiting::join(&self.waiting, self.limits.waiting_max).ok_or(CallError::Busy)?;
        match timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Place(place)),
            // The semaphore is never closed.
            Ok(Err(_)) => Err(CallError::Failed),
            Err(_) => Err(CallError::TimedOut),
        }
    }

    fn environment(&self) -> Result<Environment, CallError> {
        if let Some(warm) = self.idle().pop() {
            return Ok(warm.environment);
        }
        self.start()
    }

    fn start(&self) -> Result<Environment, CallError> {
        self.function.environment(&self.settings).map_err(|error| {
            tracing::error!(function = self.function.name(), %error, "a function cannot start");
            CallError::Failed
        })
    }

    async fn run(
        self: Arc<Self>,
        mut environment: Environment,
        event: Vec<u8>,
        deadline: Instant,
        answer: oneshot::Sender<Result<Vec<u8>, CallError>>,
    ) {
        let function = self.function.name();
        // Whoever asked may be gone; the result of sending does not matter.
        match timeout_at(deadline, environment.invoke(&event, deadline.into_std())).await {
            Ok(Ok(invocation)) => {
                let _ = answer.send(if invocation.response.len() > self.limits.payload_bytes_max {
                    tracing::error!(
                        function,
                        bytes = invocation.response.len(),
                        "a function's response is too large"
                    );
                    Err(CallError::Failed)
                } else {
                    Ok(invocation.response)
                });
                if timeout_at(deadline, invocation.after_answer).await.is_ok() {
                    self.idle().push(Idle {
                        environment,
                        since: Instant::now(),
                    });
                } else {
                    tracing::warn!(function, "the work after an answer ran into the time limit");
                }
            }
            Ok(Err(error)) => {
                tracing::error!(function, %error, "a function failed");
                let _ = answer.send(Err(CallError::Failed));
                // What a panic left behind is not to be trusted.
                if !matches!(error, InvocationError::Panic) {
                    self.idle().push(Idle {
                        environment,
                        since: Instant::now(),
                    });
                }
            }
            // As Lambda does, it ends what runs over its time.
            Err(_) => {
                tracing::error!(function, "a function ran into the time limit");
                let _ = answer.send(Err(CallError::TimedOut));
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(&self.idle)
    }
}

/// A lock whose holder panicked guards plain data all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place in the queue for environments.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let joined = Self(waiting);
        // Leaving happens on drop, also for the one that found the queue full.
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(joined)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
