//! The WebSocket API: who may connect, the routes `$connect`, `$default` and `$disconnect`, and what their answers do.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use http::{Method, Request, StatusCode, request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;

use super::connections::{Connection, Connections};
use super::environments::{CallError, Environments};
use super::event::{Moment, SocketEvent, SocketPeer, authority, connect_arn, generate_id};
use super::reply::{self, Answer, Reply};
use super::socket::{self, End, Socket};
use super::{Limits, Tasks};

/// How long a client may take from the answer of its handshake to the first byte of the socket.
const UPGRADE_TIME_MAX: Duration = Duration::from_secs(10);
/// The only version of the protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// The action that connecting is.
const INVOKE: &str = "execute-api:Invoke";

/// The functions of the API, and the connections that they serve.
pub(crate) struct SocketApi {
    pub(crate) authorizer: Arc<Environments>,
    pub(crate) connect: Arc<Environments>,
    pub(crate) default: Arc<Environments>,
    pub(crate) disconnect: Arc<Environments>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) limits: Limits,
    /// One permit for each socket that may be open.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) tasks: Tasks,
    /// Set when the gateway stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) port: u16,
}

/// What a client gets instead of a socket.
struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
        }
    }
}

/// The errors that a client sees, in its handshake's answer or on its socket.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    message: &'a str,
    connection_id: &'a str,
    request_id: String,
}

impl SocketApi {
    /// Answers a request for a socket. What follows goes on in a task of its own, so that a client that leaves in the
    /// middle is noticed, and `$disconnect` follows every successful `$connect`.
    pub(crate) async fn answer(self: &Arc<Self>, mut request: Request<Incoming>, source_ip: IpAddr) -> Answer {
        let accept = match handshake(&request) {
            Ok(accept) => accept,
            Err(answer) => return *answer,
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return reply::message(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        };
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, _) = request.into_parts();
        let peer = SocketPeer {
            connection_id: generate_id(),
            domain_name: super::host_of(authority(&parts)).to_owned(),
            source_ip,
            user_agent: String::from_utf8_lossy(parts.headers.get(USER_AGENT).map_or(&[], HeaderValue::as_bytes))
                .into(),
            connected_at: Moment::now(),
        };
        let (answer, answered) = oneshot::channel();
        self.tasks
            .spawn(Arc::clone(self).serve(peer, parts, accept, upgrade, answer, place));
        // A dropped sender means that the task panicked.
        answered
            .await
            .unwrap_or_else(|_| reply::empty(StatusCode::INTERNAL_SERVER_ERROR))
    }

    /// From the handshake to `$disconnect`.
    async fn serve(
        self: Arc<Self>,
        peer: SocketPeer,
        parts: request::Parts,
        accept: HeaderValue,
        upgrade: OnUpgrade,
        answer: oneshot::Sender<Answer>,
        place: OwnedSemaphorePermit,
    ) {
        let (authorizer, subprotocol) = match self.admit(&peer, &parts).await {
            Ok(admitted) => admitted,
            Err(refusal) => {
                let body = ErrorBody {
                    message: &refusal.message,
                    connection_id: &peer.connection_id,
                    request_id: generate_id(),
                };
                // A client that has left needs no refusal.
                let _ = answer.send(reply::json(refusal.status, &body));
                return;
            }
        };
        drop(parts);
        let (connection, to_send) = Connection::new(peer, authorizer, &self.limits);
        self.connections.insert(&connection);
        let ended = match answer.send(switching_protocols(accept, subprotocol)) {
            Ok(()) => self.run(&connection, upgrade, to_send).await,
            Err(_) => None,
        };
        self.connections.remove(&connection);
        drop(place);
        match ended {
            // A client that takes its time to close does not hold up what others learn of it.
            Some((end, socket)) => tokio::join!(self.disconnect(&connection, &end), socket::close(socket, &end)).0,
            None => self.disconnect(&connection, &End::LOST).await,
        }
    }

    /// Serves the socket until it ends. None: there never was one.
    async fn run(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        upgrade: OnUpgrade,
        to_send: mpsc::Receiver<String>,
    ) -> Option<(End, Socket)> {
        let upgraded = timeout(UPGRADE_TIME_MAX, upgrade).await.ok()?.ok()?;
        let answer = |text: String| {
            let (api, connection) = (Arc::clone(self), Arc::clone(connection));
            async move { api.message(&connection, &text).await }
        };
        let bounds = (&self.limits, &self.stopping);
        Some(socket::run(connection, upgraded, to_send, bounds, answer).await)
    }

    /// Asks the authorizer, then `$connect`. Answers the authorizer's context and the subprotocol that was chosen.
    async fn admit(
        &self,
        peer: &SocketPeer,
        parts: &request::Parts,
    ) -> Result<(Box<RawValue>, Option<HeaderValue>), Refusal> {
        let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error");
        if !parts.headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized"));
        }
        let started = Instant::now();
        let event = peer
            .event(&SocketEvent::Authorize(parts), None, self.port)
            .map_err(failed)?;
        let response = self
            .authorizer
            .call(event, self.deadline())
            .await
            .map_err(|error| match error {
                CallError::Busy => Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
                CallError::TimedOut | CallError::Failed => {
                    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
                }
            })?;
        let context = serde_json::from_slice::<Authorization>(&response)
            .map_err(|error| error.to_string())
            .and_then(|authorization| authorization.decide(started.elapsed()))
            .map_err(|fault| {
                tracing::error!(fault, "the socket authorizer's response cannot be honoured");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
            })?
            .ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "Forbidden"))?;

        let event = peer
            .event(&SocketEvent::Connect(parts), Some(&context), self.port)
            .map_err(failed)?;
        let response = self
            .connect
            .call(event, self.deadline())
            .await
            .map_err(|error| match error {
                CallError::Busy => Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
                CallError::TimedOut => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "Endpoint request timed out"),
                CallError::Failed => Refusal::new(StatusCode::BAD_GATEWAY, "Internal server error"),
            })?;
        let reply = Reply::read(response).map_err(|error| {
            tracing::error!(%error, "the response of $connect cannot be honoured");
            Refusal::new(StatusCode::BAD_GATEWAY, "Internal server error")
        })?;
        if reply.status.is_success() {
            Ok((context, reply.headers.get(SEC_WEBSOCKET_PROTOCOL).cloned()))
        } else {
            let text = String::from_utf8_lossy(&reply.body);
            let reason = reply.status.canonical_reason().unwrap_or("Refused");
            Err(Refusal::new(reply.status, if text.is_empty() { reason } else { &text }))
        }
    }

    /// Hands a client's message to `$default` and answers what is to be sent back, if anything.
    async fn message(&self, connection: &Connection, text: &str) -> Option<String> {
        match self.route_response(connection, text).await {
            Ok(response) => Some(response).filter(|response| !response.is_empty()),
            Err(message) => {
                let connection_id = &connection.peer.connection_id;
                serde_json::to_string(&ErrorBody {
                    message,
                    connection_id,
                    request_id: generate_id(),
                })
                .ok()
            }
        }
    }

    async fn route_response(&self, connection: &Connection, text: &str) -> Result<String, &'static str> {
        const FAILED: &str = "Internal server error";
        let event = SocketEvent::Message(text);
        let event = connection
            .peer
            .event(&event, Some(&connection.authorizer), self.port)
            .map_err(|_| FAILED)?;
        if event.len() > self.limits.payload_bytes_max {
            return Err("Message too long");
        }
        let response = self
            .default
            .call(event, self.deadline())
            .await
            .map_err(|error| match error {
                CallError::Busy => "Too Many Requests",
                CallError::TimedOut => "Endpoint request timed out",
                CallError::Failed => FAILED,
            })?;
        let reply = Reply::read(response).map_err(|error| {
            tracing::error!(%error, "the response of $default cannot be honoured");
            FAILED
        })?;
        match String::from_utf8(reply.body.into()) {
            Ok(text) if text.len() <= self.limits.message_bytes_max => Ok(text),
            _ => {
                tracing::error!("the response of $default is not text, or too long for the socket");
                Err(FAILED)
            }
        }
    }

    async fn disconnect(&self, connection: &Connection, end: &End) {
        let event = SocketEvent::Disconnect(end.code, &end.reason);
        let Ok(event) = connection.peer.event(&event, Some(&connection.authorizer), self.port) else {
            return;
        };
        // Best effort, as on AWS: the registry's leases make up for one that is lost.
        if let Err(error) = self.disconnect.call(event, self.deadline()).await {
            tracing::warn!(?error, "a $disconnect was lost");
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.invocation_timeout
    }
}

/// Checks that a request opens a WebSocket, and answers the key that accepts it.
fn handshake(request: &Request<Incoming>) -> Result<HeaderValue, Box<Answer>> {
    let headers = request.headers();
    let lists = |name: HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    if request.method() != Method::GET || !lists(CONNECTION, "upgrade") || !lists(UPGRADE, "websocket") {
        let mut answer = reply::message(StatusCode::UPGRADE_REQUIRED, "Upgrade Required");
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        answer
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(answer));
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let mut answer = reply::message(StatusCode::UPGRADE_REQUIRED, "Only version 13 of WebSocket is known");
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
        return Err(Box::new(answer));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map_or(&[][..], HeaderValue::as_bytes);
    let known = STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16);
    known
        .then(|| HeaderValue::from_str(&derive_accept_key(key)).ok())
        .flatten()
        .ok_or_else(|| {
            Box::new(reply::message(
                StatusCode::BAD_REQUEST,
                "Sec-WebSocket-Key is not 16 bytes in base64",
            ))
        })
}

fn switching_protocols(accept: HeaderValue, subprotocol: Option<HeaderValue>) -> Answer {
    let mut answer = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    answer
}

/// What a Lambda authorizer answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    principal_id: String,
    policy_document: PolicyDocument,
    #[serde(default)]
    context: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    action: OneOrMany,
    resource: OneOrMany,
}

#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => matches(one),
            Self::Many(many) => many.iter().any(|one| matches(one)),
        }
    }
}

impl Authorization {
    /// The context for the connection's events: every value a string, with the principal and how long the authorizer
    /// took. None: the policy does not let the client connect.
    fn decide(mut self, latency: Duration) -> Result<Option<Box<RawValue>>, String> {
        let connect = connect_arn();
        let says = |effect| {
            self.policy_document.statement.iter().any(|statement| {
                statement.effect == effect
                    && statement
                        .action
                        .any(|action| matches_pattern(&action.to_ascii_lowercase(), &INVOKE.to_ascii_lowercase()))
                    && statement.resource.any(|resource| matches_pattern(resource, &connect))
            })
        };
        if says(Effect::Deny) || !says(Effect::Allow) {
            return Ok(None);
        }
        for (name, value) in &mut self.context {
            *value = match value.take() {
                Value::String(text) => Value::String(text),
                flat @ (Value::Bool(_) | Value::Number(_)) => Value::String(flat.to_string()),
                _ => return Err(format!("context.{name} is not a string, a number or a boolean")),
            };
        }
        self.context
            .insert("principalId".to_owned(), Value::String(self.principal_id));
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.context
            .insert("integrationLatency".to_owned(), Value::from(latency_ms));
        serde_json::value::to_raw_value(&self.context)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

/// Whether a text fits an IAM pattern, in which `*` stands for any characters and `?` for one.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut star) = ((0, 0), None);
    while let Some(byte) = text.get(at.1) {
        match pattern.get(at.0) {
            Some(b'*') => {
                star = Some((at.0 + 1, at.1));
                at.0 += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => at = (at.0 + 1, at.1 + 1),
            _ => {
                // Let the last star take one byte more, and try again behind it.
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                at = (after, taken + 1);
            }
        }
    }
    pattern.get(at.0..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(statement: &str, context: &str) -> Result<Option<String>, String> {
        let response = format!(
            r#"{{"principalId":"alice","policyDocument":{{"Version":"2012-10-17","Statement":[{statement}]}},"context":{context}}}"#
        );
        let authorization: Authorization = serde_json::from_str(&response).expect("a response");
        Ok(authorization
            .decide(Duration::from_millis(3))?
            .map(|context| context.get().to_owned()))
    }

    const ALLOW: &str =
        r#"{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*/live/$connect"}"#;

    #[test]
    fn a_denial_wins_and_silence_denies() {
        let deny = r#"{"Effect":"Deny","Action":["execute-api:*"],"Resource":["*"]}"#;
        let elsewhere =
            r#"{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*/prod/$connect"}"#;
        assert!(decide(ALLOW, "{}").expect("a decision").is_some());
        for statement in [
            deny.to_owned(),
            format!("{ALLOW},{deny}"),
            elsewhere.to_owned(),
            String::new(),
        ] {
            assert_eq!(decide(&statement, "{}"), Ok(None), "{statement}");
        }
    }

    #[test]
    fn context_values_become_strings_and_must_be_flat() {
        let context = decide(ALLOW, r#"{"user":"alice","n":1,"b":true}"#)
            .expect("a decision")
            .expect("an allowance");
        assert_eq!(
            context,
            r#"{"b":"true","integrationLatency":3,"n":"1","principalId":"alice","user":"alice"}"#
        );
        assert!(decide(ALLOW, r#"{"list":[]}"#).is_err());
    }

    #[test]
    fn patterns_match_as_in_iam() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abab", true),
            ("ab", "abc", false),
            ("abc", "ab", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }
}
