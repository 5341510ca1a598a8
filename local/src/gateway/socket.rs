//! One open socket: frames in and out, and the limits that API Gateway sets for them.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::connections::Connection;

/// Posts that are written with one flush.
const BATCH_MAX: usize = 16;
/// How long a client may take to close its side, or to stop sending.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
/// Bytes that are read from a client that is being closed, so that it gets to read why.
const CLOSE_BYTES_MAX: usize = 1024 * 1024;
/// Read buffer of a socket, allocated with it; there are many sockets and their messages are short.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// Why a socket ended, as `$disconnect` hears of it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: u16,
    pub(crate) reason: std::borrow::Cow<'static, str>,
    /// Who closes: the gateway, which then says so to the client.
    by_us: bool,
}

impl End {
    /// The connection broke without a word.
    pub(crate) const LOST: Self = Self {
        code: 1006,
        reason: std::borrow::Cow::Borrowed("Connection closed abnormally"),
        by_us: false,
    };

    const fn by_us(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason: std::borrow::Cow::Borrowed(reason),
            by_us: true,
        }
    }

    fn by_client(frame: Option<CloseFrame>) -> Self {
        let (code, reason) = frame.map_or_else(
            || (1005, "Client-side close frame status not set".into()),
            |frame| (frame.code.into(), frame.reason.to_string()),
        );
        Self {
            code,
            reason: reason.into(),
            by_us: false,
        }
    }

    fn by_error(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::by_us(1009, "Message too long"),
            Error::Utf8(_) => Self::by_us(1007, "Text must be UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::LOST,
            Error::Protocol(_) => Self::by_us(1002, "Protocol error"),
            _ => Self::LOST,
        }
    }
}

/// A socket with its stream.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a socket until it ends, from whichever side or since the gateway is `stopping`, and says why it did. Each text goes to
/// `answer`. What is left to do is to [`close`] it.
pub(crate) async fn run<A>(
    connection: &Arc<Connection>,
    upgraded: Upgraded,
    mut to_send: mpsc::Receiver<String>,
    (limits, stopping): (&Limits, &CancellationToken),
    answer: impl Fn(String) -> A + Send + Sync,
) -> (End, Socket)
where
    A: Future<Output = Option<String>> + Send,
{
    const GOING_AWAY: End = End::by_us(1001, "Going away");
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * limits.message_bytes_max)
        .max_message_size(Some(limits.message_bytes_max))
        .max_frame_size(Some(limits.frame_bytes_max));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut life = std::pin::pin!(sleep(limits.socket_life));
    let mut idle = std::pin::pin!(sleep(limits.socket_idle));
    let patience = limits.socket_write_timeout;
    // Messages that are with their function. Their answers are sent as they come: AWS keeps no order either.
    let mut messages = FuturesUnordered::new();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let end = loop {
        tokio::select! {
            () = stopping.cancelled() => break GOING_AWAY,
            () = connection.deleted.cancelled() => break End::by_us(1000, "Connection deleted"),
            () = connection.sent_away.cancelled() => break GOING_AWAY,
            () = &mut life => break GOING_AWAY,
            () = &mut idle => break GOING_AWAY,
            incoming = socket.next(), if messages.len() < limits.messages_in_flight_max => match incoming {
                Some(Ok(Message::Text(text))) => {
                    messages.push(answer(text.to_string()));
                }
                Some(Ok(Message::Binary(_))) => break End::by_us(1003, "Only text is accepted"),
                // The library has the pong ready and sends it with the next read. Neither counts as activity.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => break End::by_client(frame),
                Some(Err(error)) => break End::by_error(&error),
                None => break End::LOST,
            },
            Some(answer) = messages.next() => {
                if let Some(answer) = answer
                    && let Err(end) = send(&mut socket, [answer], patience, stopping).await
                {
                    break end;
                }
            }
            _ = to_send.recv_many(&mut batch, BATCH_MAX) => {
                let bytes = batch.iter().map(String::len).sum();
                let sent = send(&mut socket, batch.drain(..), patience, stopping).await;
                connection.sent(bytes);
                if let Err(end) = sent {
                    break end;
                }
            }
        }
        idle.as_mut().reset(Instant::now() + limits.socket_idle);
        connection.touch();
    };
    drop(messages);
    // From here on posts find that the connection is gone.
    drop(to_send);
    (end, socket)
}

/// Sends text frames. A client that does not take them in time is given up, and so it is when the gateway stops.
async fn send(
    socket: &mut Socket,
    texts: impl IntoIterator<Item = String>,
    patience: Duration,
    stopping: &CancellationToken,
) -> Result<(), End> {
    let sending = async {
        for text in texts {
            socket.feed(Message::text(text)).await?;
        }
        socket.flush().await
    };
    tokio::select! {
        sent = timeout(patience, sending) => match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(End::LOST),
        },
        () = stopping.cancelled() => Err(End::LOST),
    }
}

/// Ends the connection so that the client can read why: it says so, closes its own side, and lets the client finish.
pub(crate) async fn close(mut socket: Socket, end: &End) {
    let closing = async {
        if end.by_us {
            let frame = CloseFrame {
                code: CloseCode::from(end.code),
                reason: end.reason.as_ref().into(),
            };
            socket.close(Some(frame)).await.ok();
        } else {
            // The library has the reply to a client's close frame ready.
            socket.flush().await.ok();
        }
        let mut stream = socket.into_inner();
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut rest = [0; READ_BUFFER_BYTES];
        let mut bytes = 0;
        while let Ok(read @ 1..) = stream.read(&mut rest).await {
            bytes += read;
            if bytes > CLOSE_BYTES_MAX {
                break;
            }
        }
    };
    // Running out of time is one way to be done.
    let _ = timeout(CLOSE_TIME_MAX, closing).await;
}
