//! The HTTP API: one route per RPC, its JWT authorizer, its limits, its answers when something is wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{EXPECT, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};

use super::authorizer::{JwtAuthorizer, TokenFault};
use super::client_timeout::ClientTimeout;
use super::environments::{CallError, Environments};
use super::event::{HttpRequest, Moment, generate_id};
use super::reply::{self, Answer, Reply};
use super::{Limits, cors, grpc};

/// Names the request in AWS' answers and in the functions' events.
const REQUEST_ID: HeaderName = HeaderName::from_static("apigw-requestid");
/// What is read of a body that nobody wants, so that its sender gets to read the answer.
const DRAIN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// The routes and who may use them.
pub(crate) struct HttpApi {
    pub(crate) routes: HashMap<&'static str, Route>,
    pub(crate) authorizer: JwtAuthorizer,
    pub(crate) limits: Limits,
    pub(crate) port: u16,
}

/// `POST {path}` and the function behind it.
pub(crate) struct Route {
    pub(crate) key: String,
    pub(crate) public: bool,
    pub(crate) environments: Arc<Environments>,
}

/// An answer of the gateway instead of the function's.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("Unauthorized")]
    Unauthorized(#[from] TokenFault),
    #[error("Request Timeout")]
    SlowBody,
    #[error("Bad Request")]
    BrokenBody,
    #[error("Request Entity Too Large")]
    TooLarge,
    #[error("Too Many Requests")]
    Busy,
    #[error("Service Unavailable")]
    TimedOut,
    #[error("Internal Server Error")]
    Failed,
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Busy => Self::Busy,
            CallError::TimedOut => Self::TimedOut,
            CallError::Failed => Self::Failed,
        }
    }
}

impl Refusal {
    fn into_answer(self) -> Answer {
        let status = match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut answer = reply::message(status, &self.to_string());
        if let Self::Unauthorized(fault) = self {
            let challenge = match fault {
                TokenFault::Missing => "Bearer".to_owned(),
                fault => format!("Bearer scope=\"\" error=\"invalid_token\" error_description=\"{fault}\""),
            };
            if let Ok(challenge) = HeaderValue::from_str(&challenge) {
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
        }
        answer
    }
}

impl HttpApi {
    /// Answers any request: CORS first, then the route, then the function.
    pub(crate) async fn answer(&self, request: Request<Incoming>, source_ip: IpAddr) -> Answer {
        let cross_origin = cors::is_cross_origin(request.headers());
        let request_id = generate_id();
        let mut answer = if *request.method() == Method::OPTIONS {
            let mut answer = reply::empty(StatusCode::NO_CONTENT);
            if cross_origin {
                cors::allow(answer.headers_mut());
            }
            answer
        } else {
            let mut answer = match self.routes.get(request.uri().path()) {
                Some(route) if *request.method() == Method::POST => self
                    .invoke(route, request, source_ip, &request_id)
                    .await
                    .unwrap_or_else(Refusal::into_answer),
                _ => {
                    let (parts, body) = request.into_parts();
                    drain(&parts.headers, body).await;
                    reply::message(StatusCode::NOT_FOUND, "Not Found")
                }
            };
            if cross_origin {
                cors::expose(answer.headers_mut());
            }
            answer
        };
        tracing::debug!(request_id, status = answer.status().as_u16(), "answered");
        // Ids are base64, which headers allow.
        if let Ok(request_id) = HeaderValue::from_str(&request_id) {
            answer.headers_mut().insert(REQUEST_ID, request_id);
        }
        answer
    }

    async fn invoke(
        &self,
        route: &Route,
        request: Request<Incoming>,
        source_ip: IpAddr,
        request_id: &str,
    ) -> Result<Answer, Refusal> {
        let received = Instant::now();
        let deadline = received + self.limits.invocation_timeout;
        let (parts, body) = request.into_parts();
        let identity = match (!route.public)
            .then(|| self.authorizer.authorize(&parts.headers))
            .transpose()
        {
            Ok(identity) => identity,
            Err(fault) => {
                drain(&parts.headers, body).await;
                return Err(fault.into());
            }
        };
        let body = timeout_at(deadline, read(&parts.headers, body, self.limits.body_bytes_max))
            .await
            .map_err(|_| Refusal::SlowBody)??;
        let native_grpc = grpc::web_content_type(&parts);
        let native = native_grpc.is_some();
        let mut request = HttpRequest {
            parts: &parts,
            body: &body,
            route_key: &route.key,
            source_ip,
            claims: identity.as_ref().map(|identity| &*identity.claims),
            content_type: native_grpc,
            timeout: None,
            request_id,
            received_at: Moment::now(),
            port: self.port,
        };
        let event = request.to_event().map_err(|_| Refusal::Failed)?;
        if event.len() > self.limits.payload_bytes_max {
            return Err(Refusal::TooLarge);
        }
        let response = match route.environments.free_place() {
            Some(place) => route.environments.call_at(place, event, deadline).await?,
            None => call_queued(route, event, &mut request, received, deadline).await?,
        };
        let reply = Reply::read(response).map_err(|error| {
            tracing::error!(route = route.key, %error, "a function's response cannot be honoured");
            Refusal::Failed
        })?;
        Ok(if native {
            grpc::native(reply)
        } else {
            reply.into_answer()
        })
    }
}

/// Calls a function whose environments are all busy. AWS has no such queue, so the client's time, which the function will
/// count from its start, goes on while the call waits; when it is over, the call leaves the queue and the function says so.
async fn call_queued(
    route: &Route,
    event: Vec<u8>,
    request: &mut HttpRequest<'_>,
    received: Instant,
    deadline: Instant,
) -> Result<Vec<u8>, Refusal> {
    let environments = &route.environments;
    let client_timeout = ClientTimeout::of(&request.parts.headers).and_then(|timeout| {
        let end = received.checked_add(timeout.duration())?;
        // The function's own deadline is earlier than any other.
        (end < deadline).then_some((timeout, end))
    });
    let Some((timeout, end)) = client_timeout else {
        let place = environments.place(deadline).await?;
        return Ok(environments.call_at(place, event, deadline).await?);
    };
    drop(event);
    let place = match environments.place(end).await {
        Err(CallError::TimedOut) => None,
        place => Some(place?),
    };
    request.timeout = Some(timeout.after(received.elapsed()));
    let event = request.to_event().map_err(|_| Refusal::Failed)?;
    Ok(match place {
        Some(place) => environments.call_at(place, event, deadline).await?,
        None => environments.call_late(&event, deadline).await?,
    })
}

/// Reads a body of at most this many bytes.
async fn read(headers: &HeaderMap, mut body: Incoming, bytes_max: usize) -> Result<Bytes, Refusal> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > bytes_max) {
        drain(headers, body).await;
        return Err(Refusal::TooLarge);
    }
    let mut whole = Bytes::new();
    let mut chunks = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Refusal::BrokenBody)?.into_data() else {
            continue;
        };
        if whole.len() + chunks.len() + chunk.len() > bytes_max {
            drain(headers, body).await;
            return Err(Refusal::TooLarge);
        }
        // Nearly every body comes in one piece, which then needs no copy.
        if whole.is_empty() && chunks.is_empty() {
            whole = chunk;
        } else {
            if chunks.is_empty() {
                chunks.extend_from_slice(&std::mem::take(&mut whole));
            }
            chunks.extend_from_slice(&chunk);
        }
    }
    Ok(if chunks.is_empty() { whole } else { chunks.freeze() })
}

/// Reads what is left of a body and throws it away, within bounds: a connection that closes under its sender would take
/// the answer with it. A sender that waits for permission has sent nothing.
pub(crate) async fn drain(headers: &HeaderMap, mut body: Incoming) {
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    let rest = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // Running out of time is one way to be done.
    let _ = timeout(DRAIN_TIME_MAX, rest).await;
}

/// Reads a body of at most this many bytes, for the parts of the gateway that are no routes. None: it is larger, broken
/// or slower than `time_max`.
pub(crate) async fn read_small(request: Request<Incoming>, bytes_max: usize, time_max: Duration) -> Option<Bytes> {
    let (parts, body) = request.into_parts();
    timeout(time_max, read(&parts.headers, body, bytes_max))
        .await
        .ok()?
        .ok()
}
