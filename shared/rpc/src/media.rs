//! Which protocol and form a request speaks, by its content type.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

/// What a 415 tells the client to send instead.
pub(crate) const SUPPORTED: &str =
    "application/grpc-web+proto, application/grpc-web-text+proto, application/json, application/proto";

/// The protocol of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    /// Frames in the body, as they are or as base64.
    GrpcWeb {
        /// Whether the request's body is base64.
        text_request: bool,
        /// Whether the response's body is to be base64.
        text_response: bool,
    },
    /// The Connect protocol's unary form: the message is the body.
    Connect(Form),
}

/// How a Connect message is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// Protobuf's JSON mapping.
    Json,
    /// Protobuf's binary form.
    Proto,
}

impl Protocol {
    /// The protocol that the headers name; none when it is not spoken here.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = essence(headers.get(CONTENT_TYPE)?.to_str().ok()?);
        let is = |name: &str| content_type.eq_ignore_ascii_case(name);
        if is("application/json") {
            Some(Self::Connect(Form::Json))
        } else if is("application/proto") {
            Some(Self::Connect(Form::Proto))
        } else if is_text(content_type) {
            Some(Self::GrpcWeb {
                text_request: true,
                text_response: true,
            })
        } else if is("application/grpc-web+proto") || is("application/grpc-web") {
            let text_response = headers.get_all(ACCEPT).iter().any(accepts_text);
            Some(Self::GrpcWeb {
                text_request: false,
                text_response,
            })
        } else {
            None
        }
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type
        .split_once(';')
        .map_or(media_type, |(essence, _)| essence)
        .trim()
}

fn is_text(essence: &str) -> bool {
    ["application/grpc-web-text+proto", "application/grpc-web-text"]
        .iter()
        .any(|name| essence.eq_ignore_ascii_case(name))
}

fn accepts_text(accept: &HeaderValue) -> bool {
    accept
        .to_str()
        .is_ok_and(|accept| accept.split(',').any(|media_type| is_text(essence(media_type))))
}
