//! One WebSocket that live events arrive on.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use chat_contract::v1::{
    CreateLiveTicketRequest, CreateLiveTicketResponse, Hello, LiveEvent, LiveRequest, Ping, Welcome, live_event,
    live_request,
};
use futures::{SinkExt, Stream, StreamExt};
use http::StatusCode;
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::client::ChatClient;
use crate::error::CallError;

/// How often a heartbeat is sent when the options do not say; the service wants one every 8 minutes.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_mins(4);
/// How long the answer to a heartbeat may take when the options do not say.
pub const PONG_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long it may take until events arrive: ticket, handshakes, and the answer to hello.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the service may take to answer a closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Events that were received but not taken yet, at most; more wait in the socket.
const EVENTS_MAX: usize = 1_024;
/// Bytes of a message, at most; API Gateway allows 128 KB.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The subprotocol that the service speaks.
const SUBPROTOCOL: &str = "chat.v1";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a [`LiveConnection`] keeps itself alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LiveOptions {
    /// The longest time between heartbeats; each comes a random part of up to a fifth earlier.
    pub heartbeat: Duration,
    /// How long the answer to a heartbeat may take before the connection counts as dead.
    pub pong_timeout: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            heartbeat: HEARTBEAT_DEFAULT,
            pong_timeout: PONG_TIMEOUT_DEFAULT,
        }
    }
}

/// An open connection: a stream of live events, which ends with the connection. Heartbeats are sent by themselves; their
/// answers are among the events, since a client is to sync with each.
///
/// Dropping it closes the socket in the background. Whoever stops taking events for longer than a heartbeat loses the
/// connection.
#[derive(Debug)]
pub struct LiveConnection {
    welcome: Welcome,
    events: mpsc::Receiver<LiveEvent>,
    running: JoinHandle<LiveEnd>,
}

/// A connection that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// There was no ticket to be had.
    #[error("no ticket for a live connection")]
    Ticket(#[from] CallError),
    /// The service said to connect to somewhere unfit.
    #[error("the service says to connect to {url:?}, which is not a {scheme} URL")]
    Url {
        /// Where to.
        url: String,
        /// What it should be.
        scheme: &'static str,
    },
    /// The service did not accept the socket.
    #[error("the service answered the live connection with HTTP {0}; the ticket may have expired")]
    Refused(StatusCode),
    /// The connection failed or broke.
    #[error("the live connection failed")]
    Socket(#[source] Box<tungstenite::Error>),
    /// The service closed the socket before it answered hello.
    #[error("the live connection ended before hello was answered: {0}")]
    Ended(LiveEnd),
    /// It took too long.
    #[error("the live connection did not open within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LiveEnd {
    /// This side closed it.
    #[error("closed by this side")]
    Closed,
    /// The service closed it.
    #[error("closed by the service with code {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    ClosedByService {
        /// The WebSocket close code; 1005 when there was none.
        code: u16,
        /// What the service said; empty when it said nothing.
        reason: String,
    },
    /// It broke.
    #[error("broken: {0}")]
    Broken(String),
    /// A heartbeat was not answered.
    #[error("no answer to a heartbeat")]
    Silent,
}

impl From<tungstenite::Error> for LiveError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(answer) => Self::Refused(answer.status()),
            error => Self::Socket(Box::new(error)),
        }
    }
}

impl LiveConnection {
    /// Gets a ticket, connects, says hello, and answers once the service has said welcome: from then on pushes reach this
    /// connection.
    pub async fn open(client: &ChatClient, options: LiveOptions) -> Result<Self, LiveError> {
        let opening = async {
            let ticket = client.call(CreateLiveTicketRequest {}).await?;
            let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
            let connector = Connector::Rustls(client.tls.clone());
            let request = upgrade(client, &ticket)?;
            let (mut socket, _) = connect_async_tls_with_config(request, Some(config), true, Some(connector)).await?;
            send(&mut socket, live_request::Request::Hello(Hello {})).await?;
            let welcome = welcome(&mut socket).await?;
            Ok::<_, LiveError>((socket, welcome))
        };
        let opened = timeout(OPEN_TIMEOUT, opening).await;
        let (socket, welcome) = opened.map_err(|_| LiveError::Timeout(OPEN_TIMEOUT))??;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        Ok(Self {
            welcome,
            events,
            running: tokio::spawn(run(socket, sender, options)),
        })
    }

    /// Who is connected, and until when.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The next event; none once the connection has ended. May be dropped and called again without losing any.
    pub async fn next(&mut self) -> Option<LiveEvent> {
        self.events.recv().await
    }

    /// Closes the connection, if it has not ended yet, and tells how it ended.
    pub async fn close(self) -> LiveEnd {
        drop(self.events);
        self.running
            .await
            .unwrap_or_else(|stopped| LiveEnd::Broken(stopped.to_string()))
    }
}

impl Stream for LiveConnection {
    type Item = LiveEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<LiveEvent>> {
        self.events.poll_recv(context)
    }
}

/// The request that opens the socket.
fn upgrade(client: &ChatClient, ticket: &CreateLiveTicketResponse) -> Result<Request, LiveError> {
    // A ticket is as good as a token until it is used: it goes where the token goes, or to somewhere safer.
    let is_fit = ticket.url.starts_with("wss://") || (ticket.url.starts_with("ws://") && !client.is_encrypted());
    let scheme = if client.is_encrypted() { "wss" } else { "ws or wss" };
    let unfit = || LiveError::Url {
        url: ticket.url.clone(),
        scheme,
    };
    if !is_fit {
        return Err(unfit());
    }
    let mut request = ticket.url.as_str().into_client_request().map_err(|_| unfit())?;
    let mut offer = HeaderValue::from_str(&format!("{SUBPROTOCOL}, ticket.{}", ticket.ticket)).map_err(|_| unfit())?;
    offer.set_sensitive(true);
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offer);
    Ok(request)
}

/// Waits for the answer to hello. Events that overtake it are dropped: the sync that follows brings what they tell.
async fn welcome(socket: &mut Socket) -> Result<Welcome, LiveError> {
    loop {
        match read(socket.next().await) {
            Ok(Some(LiveEvent {
                event: Some(live_event::Event::Welcome(welcome)),
                ..
            })) => return Ok(welcome),
            Ok(_) => {}
            Err(end) => return Err(LiveError::Ended(end)),
        }
    }
}

async fn run(mut socket: Socket, events: mpsc::Sender<LiveEvent>, options: LiveOptions) -> LiveEnd {
    let mut pong_is_due = false;
    let mut wake_at = Instant::now() + jittered(options.heartbeat);
    loop {
        let event = tokio::select! {
            () = events.closed() => {
                close(&mut socket).await;
                return LiveEnd::Closed;
            }
            () = sleep_until(wake_at) => {
                if pong_is_due {
                    return LiveEnd::Silent;
                }
                if let Err(error) = send(&mut socket, live_request::Request::Ping(Ping {})).await {
                    return LiveEnd::Broken(error.to_string());
                }
                pong_is_due = true;
                wake_at = Instant::now() + options.pong_timeout;
                continue;
            }
            event = receive(&mut socket, &events) => match event {
                Ok(event) => event,
                Err(end) => return end,
            },
        };
        if matches!(
            event,
            Some(LiveEvent {
                event: Some(live_event::Event::Pong(_)),
                ..
            })
        ) {
            pong_is_due = false;
            wake_at = Instant::now() + jittered(options.heartbeat);
        }
    }
}

/// Hands the next event on once there is room for it, so that nothing is lost when this is dropped half-way.
async fn receive(socket: &mut Socket, events: &mpsc::Sender<LiveEvent>) -> Result<Option<LiveEvent>, LiveEnd> {
    let place = events.reserve().await.map_err(|_| LiveEnd::Closed)?;
    let event = read(socket.next().await)?;
    if let Some(event) = &event {
        place.send(event.clone());
    }
    Ok(event)
}

/// What a frame says. One that cannot be read, of a later version perhaps, becomes an event without content, which makes
/// a client sync.
fn read(frame: Option<Result<Message, tungstenite::Error>>) -> Result<Option<LiveEvent>, LiveEnd> {
    match frame {
        Some(Ok(Message::Text(text))) => Ok(Some(chat_contract::json::decode(text.as_bytes()).unwrap_or_default())),
        Some(Ok(Message::Close(frame))) => Err(frame.map_or(
            LiveEnd::ClosedByService {
                code: 1005,
                reason: String::new(),
            },
            |frame| LiveEnd::ClosedByService {
                code: frame.code.into(),
                reason: frame.reason.to_string(),
            },
        )),
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => Err(LiveEnd::Broken(error.to_string())),
        None => Err(LiveEnd::Broken("it ended without a close frame".to_owned())),
    }
}

async fn send(socket: &mut Socket, request: live_request::Request) -> Result<(), tungstenite::Error> {
    let request = LiveRequest { request: Some(request) };
    let text = serde_json::to_string(&request).map_err(|error| tungstenite::Error::Io(error.into()))?;
    socket.send(Message::text(text)).await
}

/// Says goodbye, and hears the service out for a moment. Whatever fails here, the connection is over.
async fn close(socket: &mut Socket) {
    let closing = async {
        socket.close(None).await?;
        while let Some(frame) = socket.next().await {
            frame?;
        }
        Ok::<_, tungstenite::Error>(())
    };
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// Between four fifths and all of a period, so that clients that connected together do not beat together.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(rand::random_range(0.8..=1.0))
}
