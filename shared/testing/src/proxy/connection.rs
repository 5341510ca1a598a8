//! One proxied connection.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rules::{Operation, Rule, Trap};
use super::unit::Unit;
use super::{Direction, Protocol, Shared, lock, mongo, postgres};

/// Units on their way in one direction, at most; more wait at their sender.
const QUEUE_MAX: usize = 1024;
const READ_BYTES: usize = 64 * 1024;

/// A request that the server has not answered yet.
struct Pending {
    id: i32,
    operation: Operation,
    /// Set when the connection is to be cut instead of answering.
    cut: Option<Arc<Trap>>,
}

/// Bytes on their way, and when they arrive.
struct Parcel {
    bytes: Bytes,
    due: Instant,
}

/// Serves a connection until either side ends it, something breaks, or it is cut. What was cut is reset.
pub(super) async fn serve(number: u64, mut client: TcpStream, shared: Arc<Shared>, cut: CancellationToken) {
    let upstream = lock(&shared.upstream).clone();
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended = tokio::select! {
        () = cut.cancelled() => Err(reset()),
        ended = pump(number, &mut client, &mut server, &shared) => ended,
    };
    if ended.is_err() {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn pump(number: u64, client: &mut TcpStream, server: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    if shared.protocol == Protocol::Postgres {
        postgres::start(client, server).await?;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (requests, requests_out) = mpsc::channel(QUEUE_MAX);
    let (answers, answers_out) = mpsc::channel(QUEUE_MAX);
    let pending = Mutex::default();
    tokio::try_join!(
        read_requests(from_client, requests, &pending, shared),
        write(requests_out, to_server, Direction::ToServer, shared),
        read_answers(from_server, answers, &pending, number, shared),
        write(answers_out, to_client, Direction::ToClient, shared),
    )?;
    Ok(())
}

async fn read_requests(
    mut client: ReadHalf<'_>,
    queue: mpsc::Sender<Parcel>,
    pending: &Mutex<VecDeque<Pending>>,
    shared: &Shared,
) -> io::Result<()> {
    let mut frontend = postgres::Frontend::default();
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(READ_BYTES);
        if client.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        loop {
            let unit = match shared.protocol {
                Protocol::Postgres => frontend.next(&mut buffer)?,
                Protocol::Mongo => mongo::next(&mut buffer)?,
                Protocol::Opaque => opaque(&mut buffer).map(|bytes| Unit { bytes, request: None }),
            };
            let Some(unit) = unit else { break };
            if let Some(request) = unit.request {
                let cut = match shared.claim(&request) {
                    Some(Rule::Hold(_, trap)) => {
                        if trap.catch() && !trap.verdict().await {
                            return Err(reset());
                        }
                        None
                    }
                    Some(Rule::CutBeforeAnswer(_, trap)) => Some(trap),
                    None => None,
                };
                lock(pending).push_back(Pending {
                    id: request.id,
                    operation: request.operation,
                    cut,
                });
            }
            send(&queue, unit.bytes, Direction::ToServer, shared).await?;
        }
    }
}

async fn read_answers(
    mut server: ReadHalf<'_>,
    queue: mpsc::Sender<Parcel>,
    pending: &Mutex<VecDeque<Pending>>,
    number: u64,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut forwarded = BytesMut::new();
    // Whether what is to be forwarded ends in Postgres's error, which goes ahead of the end of its answer: a client would have
    // its answer before it is counted.
    let mut is_refused = false;
    loop {
        buffer.reserve(READ_BYTES);
        if server.read_buf(&mut buffer).await? == 0 {
            if !forwarded.is_empty() {
                send(&queue, forwarded.freeze(), Direction::ToClient, shared).await?;
            }
            return Ok(());
        }
        loop {
            let (bytes, answered) = match shared.protocol {
                Protocol::Postgres => match postgres::next_answer(&mut buffer)? {
                    Some((bytes, true)) => (bytes, lock(pending).pop_front()),
                    // Part of an answer: kept back as the end of it will be.
                    Some(_) if lock(pending).front().is_some_and(|request| request.cut.is_some()) => continue,
                    Some((bytes, false)) => (bytes, None),
                    None => break,
                },
                Protocol::Mongo => match mongo::next_answer(&mut buffer)? {
                    Some((bytes, id)) => {
                        let mut pending = lock(pending);
                        let position = pending.iter().position(|request| request.id == id);
                        (bytes, position.and_then(|position| pending.remove(position)))
                    }
                    None => break,
                },
                Protocol::Opaque => match opaque(&mut buffer) {
                    Some(bytes) => (bytes, None),
                    None => break,
                },
            };
            if let Some(answered) = answered {
                if let Some(trap) = answered.cut {
                    trap.catch();
                    return Err(reset());
                }
                let operation = postgres::summary(&answered.operation.to_string());
                // Before the answer leaves, so that who has it sees it counted.
                shared.count_answer(number, operation, lock(pending).is_empty());
            }
            if shared.protocol == Protocol::Postgres {
                is_refused = postgres::is_error(&bytes);
            }
            forwarded.extend_from_slice(&bytes);
        }
        if !is_refused && !forwarded.is_empty() {
            send(&queue, forwarded.split().freeze(), Direction::ToClient, shared).await?;
        }
    }
}

async fn send(queue: &mpsc::Sender<Parcel>, bytes: Bytes, direction: Direction, shared: &Shared) -> io::Result<()> {
    let due = Instant::now() + shared.delay(direction);
    queue.send(Parcel { bytes, due }).await.map_err(|_| reset())
}

async fn write(
    mut queue: mpsc::Receiver<Parcel>,
    mut writer: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
) -> io::Result<()> {
    let mut gate = shared
        .frozen
        .get(direction.index())
        .map(tokio::sync::watch::Sender::subscribe);
    while let Some(Parcel { bytes, due }) = queue.recv().await {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        if let Some(gate) = &mut gate {
            gate.wait_for(|frozen| !frozen).await.map_err(|_| reset())?;
        }
        writer.write_all(&bytes).await?;
    }
    writer.shutdown().await
}

fn opaque(buffer: &mut BytesMut) -> Option<Bytes> {
    (!buffer.is_empty()).then(|| buffer.split().freeze())
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}
