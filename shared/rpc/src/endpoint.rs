//! The HTTP face of an operation.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use chat_contract::Rpc;
use chat_operation::{Failure, Operation};
use futures::future::BoxFuture;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tonic_web::GrpcWebLayer;
use tower::{Layer, Service, ServiceExt};
use tracing::Instrument;

use crate::call::{Admitted, Notices, admit, perform};
use crate::code::grpc_name;
use crate::codec::MessageCodec;
use crate::media::{self, Protocol};
use crate::unreadable::REQUEST_BYTES_MAX;
use crate::{connect, frame, timeout};

const GRPC_WEB: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
const GRPC_WEB_TEXT: HeaderValue = HeaderValue::from_static("application/grpc-web-text+proto");
const TEXT_PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The endpoint of an operation: a tower service over whole bodies that speaks gRPC-web and unary Connect.
///
/// It reads the request extensions [`Claims`](crate::Claims), [`Deadline`](crate::Deadline) and
/// [`Unfinished`](crate::Unfinished), sets the response extension [`Notices`], and answers every request, also after a
/// panic. The path is not looked at: whoever routes did.
#[derive(Debug)]
pub struct Endpoint<O> {
    operation: Arc<O>,
}

impl<O> Endpoint<O> {
    /// The endpoint of this operation.
    pub fn new(operation: O) -> Self {
        Self {
            operation: Arc::new(operation),
        }
    }
}

impl<O> Clone for Endpoint<O> {
    fn clone(&self) -> Self {
        Self {
            operation: Arc::clone(&self.operation),
        }
    }
}

impl<O: Operation> Service<Request<Bytes>> for Endpoint<O> {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let operation = Arc::clone(&self.operation);
        let span = tracing::info_span!("rpc", rpc = O::Request::PATH);
        Box::pin(async move { Ok(serve(operation, request).await) }.instrument(span))
    }
}

async fn serve<O: Operation>(operation: Arc<O>, request: Request<Bytes>) -> Response<Bytes> {
    let start = tokio::time::Instant::now();
    if request.method() != Method::POST {
        let line = format!("{} is not supported here; send POST\n", request.method());
        return refused(
            StatusCode::METHOD_NOT_ALLOWED,
            ALLOW,
            HeaderValue::from_static("POST"),
            line,
        );
    }
    let Some(protocol) = Protocol::of(request.headers()) else {
        let line = format!(
            "the content type is not supported here; send one of {}\n",
            media::SUPPORTED
        );
        let accepted = HeaderValue::from_static(media::SUPPORTED);
        return refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            HeaderName::from_static("accept-post"),
            accepted,
            line,
        );
    };
    let mut response = match protocol {
        Protocol::GrpcWeb {
            text_request,
            text_response,
        } => {
            let response = match grpc_web(operation, request, text_request).await {
                Ok(response) => response,
                Err(failure) => trailers_only(failure.into_status().into_http()),
            };
            in_form(response, text_response)
        }
        Protocol::Connect(form) => connect::serve(operation, request, form).await,
    };
    log(response.extensions_mut().remove::<Status>().as_ref(), start.elapsed());
    response
}

/// Answers a request that is not one of ours at all with one line of text.
fn refused(status: StatusCode, name: HeaderName, value: HeaderValue, line: String) -> Response<Bytes> {
    tracing::info!(status = status.as_u16(), "refused a request that is no call");
    let mut response = Response::new(line.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT_PLAIN);
    response.headers_mut().insert(name, value);
    response
}

/// One line per call; never what was said, nor who said it.
fn log(status: Option<&Status>, duration: std::time::Duration) {
    let duration_ms = duration.as_secs_f64() * 1e3;
    let Some(status) = status else {
        tracing::info!(code = "OK", duration_ms, "call answered");
        return;
    };
    let code = grpc_name(status.code());
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    match status.code() {
        Code::Internal | Code::Unknown | Code::DataLoss => tracing::error!(code, reason, duration_ms, "call failed"),
        Code::Unavailable | Code::DeadlineExceeded => tracing::warn!(code, reason, duration_ms, "call failed"),
        _ => tracing::info!(code, reason, duration_ms, "call refused"),
    }
}

/// Serves a request through tonic, which is given what it understands: the binary form, with one whole message in it.
async fn grpc_web<O: Operation>(
    operation: Arc<O>,
    request: Request<Bytes>,
    text_request: bool,
) -> Result<Response<Bytes>, Failure> {
    let (mut parts, mut body) = request.into_parts();
    let admitted = admit::<O>(&parts.extensions, || timeout::grpc(&parts.headers))?;
    if text_request {
        body = frame::decode_text(&body)?.into();
    }
    frame::demand_one_message(&body)?;
    parts.extensions.insert(admitted);
    parts.headers.insert(CONTENT_TYPE, GRPC_WEB);
    parts.headers.remove(http::header::ACCEPT);
    // It says how compressed messages are; this one is not, yet tonic would refuse the header alone.
    parts.headers.remove("grpc-encoding");
    let request = Request::from_parts(parts, http_body_util::Full::new(body));

    let Ok(response) = GrpcWebLayer::new().layer(GrpcService(operation)).oneshot(request).await;
    if response.extensions().get::<Status>().is_some() {
        return Ok(trailers_only(response));
    }
    let (parts, body) = response.into_parts();
    // The body is in memory; an error would be a defect of the encoder.
    let body = body
        .collect()
        .await
        .map_err(|_| Failure::internal("ENCODING", "the response cannot be written"))?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// A response of a status alone, which is also put where every client looks for it: in a frame of the body.
fn trailers_only(response: Response<tonic::body::Body>) -> Response<Bytes> {
    let (parts, _empty) = response.into_parts();
    let body = frame::status_trailers(&parts.headers);
    Response::from_parts(parts, body)
}

fn in_form(mut response: Response<Bytes>, text: bool) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(CONTENT_TYPE, if text { GRPC_WEB_TEXT } else { GRPC_WEB });
    if text {
        response.map(|body| frame::encode_text(&body))
    } else {
        response
    }
}

/// The operation as the gRPC service that tonic-web translates for.
struct GrpcService<O>(Arc<O>);

impl<O: Operation> Service<Request<tonic::body::Body>> for GrpcService<O> {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let unary = Unary(Arc::clone(&self.0));
        Box::pin(async move {
            let mut grpc = Grpc::new(MessageCodec::new()).max_decoding_message_size(REQUEST_BYTES_MAX);
            Ok(grpc.unary(unary, request).await)
        })
    }
}

struct Unary<O>(Arc<O>);

impl<O: Operation> UnaryService<O::Request> for Unary<O> {
    type Response = <O::Request as Rpc>::Response;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::Response>, Status>>;

    fn call(&mut self, request: tonic::Request<O::Request>) -> Self::Future {
        let operation = Arc::clone(&self.0);
        Box::pin(async move {
            let (_, mut extensions, request) = request.into_parts();
            let admitted = extensions
                .remove::<Admitted>()
                .ok_or_else(|| Status::internal("the call has no context"))?;
            let answer = perform(operation, admitted, request)
                .await
                .map_err(Failure::into_status)?;
            let mut response = tonic::Response::new(answer.response);
            if !answer.notices.is_empty() {
                response.extensions_mut().insert(Notices(answer.notices));
            }
            Ok(response)
        })
    }
}
