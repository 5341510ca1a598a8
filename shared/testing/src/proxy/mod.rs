//! A proxy in front of a real database that cuts, freezes, delays, holds and counts.
//!
//! It understands just enough of Postgres's and MongoDB's protocols to see where a request ends, what it does and
//! which answer belongs to it, so that a test can stop exactly "the insert of this send". Everything that it says about
//! time it says by notification: a test never needs to sleep.

mod connection;
mod mongo;
mod postgres;
mod rules;
mod unit;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use rules::{Cut, Filter, Held, WAIT_MAX};
use rules::{Request, Rule, Trap};

/// What the proxied server speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// Postgres 3.0, without TLS.
    Postgres,
    /// MongoDB, without TLS or compression.
    Mongo,
    /// Bytes: nothing is counted, and rules never match.
    Opaque,
}

/// A way that bytes go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// What was asked and answered since the counts were last reset.
///
/// Setting up connections is not counted, nor is what a driver does for itself: MongoDB's monitoring, its handshakes
/// and the end of its sessions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests answered: Sync and Query messages of Postgres, commands of MongoDB.
    pub requests: u64,
    /// How often a connection went from waiting for answers to having them all. Pipelined requests are one round trip.
    pub round_trips: u64,
    /// The round trips of each connection, by the order in which they were opened.
    pub round_trips_by_connection: BTreeMap<u64, u64>,
    /// How often each operation was answered: `insert entries`, `SELECT … FROM …`, `prepare: SELECT …`.
    pub operations: BTreeMap<String, u64>,
    /// Connections opened, a MongoDB driver's monitoring connections included.
    pub connections_opened: u64,
}

/// The proxy. It listens on a free port of its own and stops, with all its connections, when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _listening: JoinSet<()>,
}

struct Shared {
    protocol: Protocol,
    upstream: Mutex<String>,
    /// Cancelled and replaced to cut all connections of the moment.
    connections: Mutex<CancellationToken>,
    refusing: AtomicBool,
    frozen: [watch::Sender<bool>; 2],
    delays: Mutex<[Duration; 2]>,
    rules: Mutex<Vec<Rule>>,
    counts: Mutex<Counts>,
}

impl Direction {
    fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

impl FaultProxy {
    /// Listens in front of `upstream`, a `host:port`.
    pub async fn start(protocol: Protocol, upstream: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            protocol,
            upstream: Mutex::new(upstream.into()),
            connections: Mutex::default(),
            refusing: AtomicBool::new(false),
            frozen: [watch::Sender::new(false), watch::Sender::new(false)],
            delays: Mutex::default(),
            rules: Mutex::default(),
            counts: Mutex::default(),
        });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, shared.clone()));
        Ok(Self {
            address,
            shared,
            _listening: listening,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another `host:port`, such as that of a server that was started anew. Those that are open
    /// stay where they are.
    pub fn lead_to(&self, upstream: impl Into<String>) {
        *lock(&self.shared.upstream) = upstream.into();
    }

    /// Resets every connection of the moment, to both sides. New ones are taken as before.
    pub fn cut_all(&self) {
        std::mem::take(&mut *lock(&self.shared.connections)).cancel();
    }

    /// Resets new connections at once, until [`accept`](Self::accept). Those that are open stay.
    pub fn refuse(&self) {
        self.shared.refusing.store(true, Ordering::SeqCst);
    }

    /// Takes new connections again.
    pub fn accept(&self) {
        self.shared.refusing.store(false, Ordering::SeqCst);
    }

    /// Holds back everything that goes in a direction, on connections that are open and on new ones.
    pub fn freeze(&self, direction: Direction) {
        self.set_frozen(direction, true);
    }

    /// Lets everything in a direction go on, in order.
    pub fn thaw(&self, direction: Direction) {
        self.set_frozen(direction, false);
    }

    fn set_frozen(&self, direction: Direction, frozen: bool) {
        if let Some(gate) = self.shared.frozen.get(direction.index()) {
            gate.send_replace(frozen);
        }
    }

    /// Adds latency to what goes in a direction from now on. Like distance, it delays but does not slow: what was sent
    /// at one time arrives at one time.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        if let Some(slot) = lock(&self.shared.delays).get_mut(direction.index()) {
            *slot = delay;
        }
    }

    /// Parks the next request that matches, before the server sees it. What follows on its connection waits behind it;
    /// other connections go on.
    pub fn hold(&self, filter: Filter) -> Held {
        let trap = Arc::new(Trap::new(&filter));
        lock(&self.shared.rules).push(Rule::Hold(filter, trap.clone()));
        Held(trap)
    }

    /// Lets the next request that matches through to the server, waits for its answer, and resets the connection
    /// without passing the answer on.
    pub fn cut_before_answer(&self, filter: Filter) -> Cut {
        let trap = Arc::new(Trap::new(&filter));
        lock(&self.shared.rules).push(Rule::CutBeforeAnswer(filter, trap.clone()));
        Cut(trap)
    }

    /// What was answered since the last reset.
    pub fn counts(&self) -> Counts {
        lock(&self.shared.counts).clone()
    }

    /// Counts from zero.
    pub fn reset_counts(&self) {
        *lock(&self.shared.counts) = Counts::default();
    }
}

impl Shared {
    /// The rule that a request meets, if any. A rule works once.
    fn claim(&self, request: &Request) -> Option<Rule> {
        let mut rules = lock(&self.rules);
        rules.retain(|rule| !rule.is_abandoned());
        let position = rules.iter_mut().position(|rule| rule.filter_mut().takes(request))?;
        Some(rules.remove(position))
    }

    fn count_answer(&self, connection: u64, operation: String, is_round_trip: bool) {
        let mut counts = lock(&self.counts);
        counts.requests += 1;
        *counts.operations.entry(operation).or_default() += 1;
        if is_round_trip {
            counts.round_trips += 1;
            *counts.round_trips_by_connection.entry(connection).or_default() += 1;
        }
    }

    fn delay(&self, direction: Direction) -> Duration {
        lock(&self.delays).get(direction.index()).copied().unwrap_or_default()
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut serving = JoinSet::new();
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else {
            return;
        };
        if shared.refusing.load(Ordering::SeqCst) {
            let _ = client.set_zero_linger();
            continue;
        }
        let cut = lock(&shared.connections).child_token();
        lock(&shared.counts).connections_opened += 1;
        serving.spawn(connection::serve(number, client, shared.clone(), cut));
        while serving.try_join_next().is_some() {}
    }
}

/// A lock whose holder panicked guards plain data all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
