//! CORS, which the gateway alone answers: functions write no CORS headers, and those that they write are dropped.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderValue, ORIGIN,
};

/// Any page may call: what it may do depends on the token that it sends, never on a cookie. The other values are those
/// of the deployment's template.
const ALLOW_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("POST");
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization,baggage,connect-protocol-version,connect-timeout-ms,content-type,grpc-accept-encoding,grpc-timeout,\
     traceparent,tracestate,x-grpc-web,x-user-agent",
);
const EXPOSE_HEADERS: HeaderValue =
    HeaderValue::from_static("grpc-message,grpc-status,grpc-status-details-bin,retry-after");
/// How long a browser may remember a preflight's answer, in seconds.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// Whether a browser sent the request on behalf of a page.
pub(crate) fn is_cross_origin(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// Whether the page that sent the request is itself served from this machine.
pub(crate) fn local_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let (_, host) = origin.to_str().ok()?.split_once("://")?;
    crate::gateway::is_local_host(host).then_some(origin)
}

/// Answers a preflight: which requests a page may send.
pub(crate) fn allow(answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW_ORIGIN);
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
    answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
}

/// Lets the page read the answer of a request that it sent.
pub(crate) fn expose(answer: &mut HeaderMap) {
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW_ORIGIN);
    answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
}

/// Whether a function's header is the gateway's to write.
pub(crate) fn is_cors_header(name: &str) -> bool {
    name.get(..15)
        .is_some_and(|start| start.eq_ignore_ascii_case("access-control-"))
}
