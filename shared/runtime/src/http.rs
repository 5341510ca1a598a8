//! Functions behind the HTTP API: an event becomes a request to the operation's endpoint, and its response an answer.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use chat_operation::{FromSettings, Operation, Settings, SettingsError};
use chat_rpc::{Claims, Deadline, Endpoint, Notices, Unfinished};
use futures::future::BoxFuture;
use lambda_http::http::header::{CONTENT_TYPE, HOST};
use lambda_http::http::{HeaderMap, Request, Response};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Body, IntoResponse, LambdaEvent};
use tower::Service;
use tower::util::MapRequest;

use crate::clock;
use crate::delivery::{Delivery, Left};
use crate::environment::{Environment, Invocation, InvocationError, Invoke};

/// Content types whose bodies are UTF-8: they travel in the event's JSON as they are. All others travel as base64.
const TEXT_TYPES: [&str; 3] = ["application/grpc-web-text", "application/json", "text/"];

/// An operation as `lambda_http` calls it. What follows the answer is left with the delivery.
pub(crate) struct HttpService<O> {
    endpoint: Endpoint<O>,
    delivery: Delivery,
}

impl<O: Operation + FromSettings> HttpService<O> {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            endpoint: Endpoint::new(O::from_settings(settings)?),
            delivery: Delivery::of::<O>(settings)?,
        })
    }
}

impl<O> HttpService<O> {
    pub(crate) fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }
}

impl<O: Operation> Service<lambda_http::Request> for HttpService<O> {
    type Response = WholeResponse;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<WholeResponse, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: lambda_http::Request) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let deadline_ms = parts
            .extensions
            .get::<lambda_http::Context>()
            .map_or(0, |context| context.deadline);
        let deadline = clock::work_deadline(deadline_ms);
        parts.extensions.insert(Deadline(deadline));
        let unfinished = Unfinished::default();
        parts.extensions.insert(unfinished.clone());
        if let Some(claims) = parts.extensions.remove::<RequestContext>().and_then(claims) {
            parts.extensions.insert(claims);
        }
        let body = match body {
            Body::Text(text) => text.into_bytes().into(),
            Body::Binary(bytes) => bytes.into(),
            // The enum is open; an empty body is the only other there is.
            _ => Bytes::new(),
        };
        let call = self.endpoint.call(Request::from_parts(parts, body));
        let delivery = self.delivery.clone();
        Box::pin(async move {
            let mut response = call.await?;
            let notices = response.extensions_mut().remove::<Notices>();
            let call = unfinished.take();
            delivery.leave(
                Left {
                    notices: notices.map(|Notices(notices)| notices).unwrap_or_default(),
                    call,
                    unfinished,
                },
                deadline,
            );
            Ok(WholeResponse(response.map(Bytes::into)))
        })
    }
}

/// The claims that the gateway's JWT authorizer read from the token that it verified.
fn claims(context: RequestContext) -> Option<Claims> {
    let RequestContext::ApiGatewayV2(context) = context else {
        return None;
    };
    Some(Claims(context.authorizer?.jwt?.claims.into_iter().collect()))
}

/// A response whose body is in memory, so that it is turned into an event's body without a stream in between.
pub(crate) struct WholeResponse(Response<Vec<u8>>);

impl IntoResponse for WholeResponse {
    fn into_response(self) -> BoxFuture<'static, Response<Body>> {
        let (parts, body) = self.0.into_parts();
        let body = if body.is_empty() {
            Body::Empty
        } else if is_text(&parts.headers) {
            String::from_utf8(body).map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text)
        } else {
            Body::Binary(body)
        };
        Box::pin(std::future::ready(Response::from_parts(parts, body)))
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    TEXT_TYPES.iter().any(|prefix| content_type.starts_with(prefix))
}

/// An operation as `lambda_runtime` calls it, with events of the HTTP API.
pub(crate) type HttpFunction<O> = MapRequest<
    Adapter<'static, WholeResponse, HttpService<O>>,
    fn(LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest>,
>;

/// The function of a service: what `lambda_http::runtime` makes of one, on events that cannot make it panic.
pub(crate) fn function<O: Operation>(service: HttpService<O>) -> HttpFunction<O> {
    MapRequest::new(Adapter::from(service), without_url)
}

/// Takes out of an event what `lambda_http` makes the request's URL of. Nobody reads the URL, as one function has one
/// route, and it panics over hosts and queries that are no part of one, which a client may send.
fn without_url(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        request.raw_path = None;
        request.raw_query_string = None;
        request.headers.remove(HOST);
        request.request_context.domain_name = None;
        request.request_context.stage = None;
    }
    event
}

/// An environment of an operation.
struct HttpEnvironment<O> {
    function: HttpFunction<O>,
    delivery: Delivery,
}

/// Builds an environment of an operation.
pub(crate) fn environment<O: Operation + FromSettings>(settings: &Settings) -> Result<Environment, SettingsError> {
    let service = HttpService::<O>::new(settings)?;
    let delivery = service.delivery();
    Ok(Environment::new(HttpEnvironment {
        function: function(service),
        delivery,
    }))
}

impl<O: Operation> Invoke for HttpEnvironment<O> {
    fn invoke<'a>(
        &'a mut self,
        event: &'a [u8],
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Invocation, InvocationError>> {
        Box::pin(async move {
            let request: LambdaRequest =
                serde_json::from_slice(event).map_err(|error| InvocationError::Event(error.to_string()))?;
            let mut context = lambda_http::Context::default();
            context.deadline = clock::epoch_ms(deadline);
            let Ok(answer) = self.function.call(LambdaEvent::new(request, context)).await;
            let response = serde_json::to_vec(&answer).map_err(|error| InvocationError::Answer(error.to_string()))?;
            Ok(Invocation {
                response,
                after_answer: self.delivery.take(),
            })
        })
    }
}
