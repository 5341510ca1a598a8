//! Who is connected, and the management API by which functions reach them: `@connections`, as the AWS SDK calls it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::event::SocketPeer;
use super::http_api;
use super::reply::{self, Answer};

/// The path below the API's stage; the connection's id follows it.
pub(crate) const PATH: &str = "/@connections/";
/// The name that the SDK knows an error by.
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// One open socket.
pub(crate) struct Connection {
    pub(crate) peer: SocketPeer,
    /// The authorizer's context, which each of the connection's events carries.
    pub(crate) authorizer: Box<RawValue>,
    outgoing: mpsc::Sender<String>,
    outgoing_bytes: AtomicUsize,
    last_active_ms: AtomicI64,
    /// Set by DELETE.
    pub(crate) deleted: CancellationToken,
    /// Set when its client is to connect again.
    pub(crate) sent_away: CancellationToken,
}

/// Why a post was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PostFault {
    /// The client reads more slowly than others post.
    Full,
    /// The socket is closing.
    Gone,
}

impl Connection {
    /// A connection, and what its socket has to send.
    pub(crate) fn new(
        peer: SocketPeer,
        authorizer: Box<RawValue>,
        limits: &Limits,
    ) -> (Arc<Self>, mpsc::Receiver<String>) {
        let (outgoing, to_send) = mpsc::channel(limits.outgoing_max);
        let last_active_ms = AtomicI64::new(peer.connected_at.epoch_ms());
        let connection = Self {
            peer,
            authorizer,
            outgoing,
            outgoing_bytes: AtomicUsize::new(0),
            last_active_ms,
            deleted: CancellationToken::new(),
            sent_away: CancellationToken::new(),
        };
        (Arc::new(connection), to_send)
    }

    fn post(&self, text: String, bytes_max: usize) -> Result<(), PostFault> {
        let bytes = text.len();
        let before = self.outgoing_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if before > 0 && before + bytes > bytes_max {
            Err(PostFault::Full)
        } else {
            self.outgoing.try_send(text).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => PostFault::Full,
                mpsc::error::TrySendError::Closed(_) => PostFault::Gone,
            })
        };
        if sent.is_err() {
            self.sent(bytes);
        }
        sent
    }

    /// So many posted bytes are no longer waiting.
    pub(crate) fn sent(&self, bytes: usize) {
        self.outgoing_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Something came or went.
    pub(crate) fn touch(&self) {
        self.last_active_ms
            .store(Utc::now().timestamp_millis(), Ordering::Relaxed);
    }
}

/// All open sockets, and the API to them.
pub(crate) struct Connections {
    open: RwLock<HashMap<String, Arc<Connection>>>,
    /// The access key that callers must sign with.
    access_key: Option<String>,
    limits: Limits,
}

/// What GET answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description<'a> {
    connected_at: String,
    identity: Identity<'a>,
    last_active_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    source_ip: std::net::IpAddr,
    user_agent: &'a str,
}

impl Connections {
    pub(crate) fn new(access_key: Option<&str>, limits: Limits) -> Self {
        Self {
            open: RwLock::default(),
            access_key: access_key.map(str::to_owned),
            limits,
        }
    }

    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        let id = connection.peer.connection_id.clone();
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::clone(connection));
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        self.open
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&connection.peer.connection_id);
    }

    /// Asks every client to connect again.
    pub(crate) fn close_all(&self) {
        for connection in self.open.read().unwrap_or_else(PoisonError::into_inner).values() {
            connection.sent_away.cancel();
        }
    }

    fn lookup(&self, id: &str) -> Option<Arc<Connection>> {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .map(Arc::clone)
    }

    /// Answers POST, GET and DELETE. `id` is what follows [`PATH`], percent-encoded.
    pub(crate) async fn answer(&self, id: &str, request: Request<Incoming>) -> Answer {
        if !self.is_signed(request.headers()) {
            let text = "Sign requests to @connections with the access key in AWS_ACCESS_KEY_ID.";
            return error(StatusCode::FORBIDDEN, "ForbiddenException", text);
        }
        let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
        let Some(connection) = self.lookup(&id) else {
            return gone();
        };
        match *request.method() {
            Method::POST => self.post(&connection, request).await,
            Method::GET => describe(&connection),
            Method::DELETE => {
                connection.deleted.cancel();
                reply::empty(StatusCode::NO_CONTENT)
            }
            _ => error(
                StatusCode::BAD_REQUEST,
                "BadRequestException",
                "Only POST, GET and DELETE are known here.",
            ),
        }
    }

    async fn post(&self, connection: &Connection, request: Request<Incoming>) -> Answer {
        let bytes_max = self.limits.message_bytes_max;
        let Some(body) = http_api::read_small(request, bytes_max, self.limits.invocation_timeout).await else {
            let text = format!("A message has at most {bytes_max} bytes.");
            return error(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", &text);
        };
        let Ok(text) = String::from_utf8(body.into()) else {
            return error(
                StatusCode::BAD_REQUEST,
                "BadRequestException",
                "A message must be UTF-8 text.",
            );
        };
        match connection.post(text, self.limits.outgoing_bytes_max) {
            Ok(()) => reply::empty(StatusCode::OK),
            Err(PostFault::Gone) => gone(),
            Err(PostFault::Full) => {
                let text = "The client does not read as fast as messages are posted to it.";
                error(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", text)
            }
        }
    }

    /// Whether a request looks signed with the settings' key. The signature itself is not checked: what this keeps out
    /// is a web page, which cannot send the header without a preflight that nobody answers.
    fn is_signed(&self, headers: &HeaderMap) -> bool {
        let Some(access_key) = &self.access_key else {
            return false;
        };
        let authorization = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else {
            return false;
        };
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .unwrap_or_default()
        };
        let (key, scope) = field("Credential").split_once('/').unwrap_or_default();
        let signature = field("Signature");
        key == access_key
            && scope.ends_with("/execute-api/aws4_request")
            && signature.len() == 64
            && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

fn describe(connection: &Connection) -> Answer {
    let description = Description {
        connected_at: timestamp(connection.peer.connected_at.epoch_ms()),
        identity: Identity {
            source_ip: connection.peer.source_ip,
            user_agent: &connection.peer.user_agent,
        },
        last_active_at: timestamp(connection.last_active_ms.load(Ordering::Relaxed)),
    };
    reply::json(StatusCode::OK, &description)
}

fn timestamp(epoch_ms: i64) -> String {
    DateTime::from_timestamp_millis(epoch_ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn gone() -> Answer {
    error(StatusCode::GONE, "GoneException", "The connection is not there.")
}

fn error(status: StatusCode, name: &'static str, text: &str) -> Answer {
    let mut answer = reply::message(status, text);
    answer.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(name));
    answer
}
