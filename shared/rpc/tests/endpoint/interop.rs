//! Another implementation's client: tonic's own, over its gRPC-web layer.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use chat_contract::Rpc;
use chat_contract::v1::{SendMessageRequest, SendMessageResponse};
use chat_operation::Code;
use chat_rpc::Endpoint;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::client::Grpc;
use tonic::codegen::Body;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;
use tonic_web::GrpcWebClientLayer;
use tower::{Layer, Service, ServiceExt};

use crate::operation::{Echo, request, response};
use crate::wire::claims;

/// The network between the two: whole bodies.
#[derive(Clone)]
struct Wire(Endpoint<Echo>);

impl<B> Service<Request<B>> for Wire
where
    B: Body<Data = Bytes, Error: std::fmt::Debug> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let endpoint = self.0.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(claims());
            let body = body.collect().await.unwrap().to_bytes();
            Ok(endpoint.oneshot(Request::from_parts(parts, body)).await?.map(Full::new))
        })
    }
}

async fn ask(request: tonic::Request<SendMessageRequest>) -> Result<SendMessageResponse, tonic::Status> {
    let mut client = Grpc::new(GrpcWebClientLayer::new().layer(Wire(Endpoint::new(Echo))));
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static(SendMessageRequest::PATH);
    let codec = ProstCodec::<SendMessageRequest, SendMessageResponse>::default();
    client
        .unary(request, path, codec)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn tonics_client_reads_an_answer() {
    let answer = ask(tonic::Request::new(request("hi"))).await.unwrap();
    assert_eq!(answer, response("alice", "hi"));
}

#[tokio::test]
async fn tonics_client_reads_a_failure_with_its_details() {
    let status = ask(tonic::Request::new(request("refuse"))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_error_info().unwrap().reason, "INVALID_FIELDS");
    assert_eq!(status.get_details_bad_request().unwrap().field_violations.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn tonics_client_sets_a_timeout() {
    let mut wait = tonic::Request::new(request("wait"));
    wait.set_timeout(std::time::Duration::from_millis(700));
    let start = tokio::time::Instant::now();
    assert_eq!(ask(wait).await.unwrap_err().code(), Code::DeadlineExceeded);
    assert!(start.elapsed().as_millis().abs_diff(700) <= 1);
}
