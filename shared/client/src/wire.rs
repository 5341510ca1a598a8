//! gRPC-web framing of unary calls over whole bodies.
//!
//! tonic-web's client (0.14.9 has mended its lost trailers) reads any body as frames, so that the JSON with which API
//! Gateway answers 401, 403 and 429 would come out as INTERNAL. A unary answer is one buffer; reading it takes less code
//! than adapting that client would.

use bytes::{BufMut, Bytes, BytesMut};
use chat_contract::Rpc;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, response::Parts};
use prost::Message;
use tonic::{Code, Status};

use crate::error::{CallFailure, Refusal};

/// What requests are, and what answers are to be.
pub(crate) const GRPC_WEB: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");

/// A flag and a big-endian length come before each frame.
const FRAME_HEAD_BYTES: usize = 5;
const MESSAGE_FLAG: u8 = 0x00;
const TRAILERS_FLAG: u8 = 0x80;
/// Longest part of a foreign answer that an error quotes.
const QUOTE_CHARS_MAX: usize = 200;

/// The body of a request: one message frame.
pub(crate) fn encode(request: &impl Message) -> Option<Bytes> {
    let length = request.encoded_len();
    let mut body = BytesMut::with_capacity(FRAME_HEAD_BYTES + length);
    body.put_u8(MESSAGE_FLAG);
    body.put_u32(u32::try_from(length).ok()?);
    request.encode_raw(&mut body);
    Some(body.freeze())
}

/// Reads a whole answer: the response, or how the call failed.
pub(crate) fn decode<R: Rpc>(head: &Parts, body: Bytes) -> Result<R::Response, CallFailure> {
    let content_type = head
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !is_grpc_web(content_type) {
        return Err(foreign(head.status, content_type, &body));
    }
    // A failure may come in the headers alone, without a body.
    if let Some(status) = Status::from_header_map(&head.headers).filter(|status| status.code() != Code::Ok) {
        return Err(Refusal::from(status).into());
    }
    let (message, trailers) = split(body)?;
    match trailers.as_ref().unwrap_or(&head.headers).get("grpc-status") {
        Some(_) => {}
        None if head.status != StatusCode::OK => {
            return Err(CallFailure::Http {
                status: head.status,
                detail: String::new(),
            });
        }
        None => return Err(malformed("it ends without a gRPC status")),
    }
    if let Some(status) = trailers
        .as_ref()
        .and_then(Status::from_header_map)
        .filter(|status| status.code() != Code::Ok)
    {
        return Err(Refusal::from(status).into());
    }
    let message = message.ok_or_else(|| malformed("its status is OK but it has no message"))?;
    R::Response::decode(message).map_err(|error| malformed(&format!("its message cannot be read: {error}")))
}

/// Whether these are binary gRPC-web frames of protobuf.
fn is_grpc_web(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/grpc-web") || essence.eq_ignore_ascii_case("application/grpc-web+proto")
}

/// An answer that no gRPC-web endpoint made: a gateway's or a proxy's.
fn foreign(status: StatusCode, content_type: &str, body: &[u8]) -> CallFailure {
    if status == StatusCode::OK {
        return malformed(&format!(
            "its content type is {content_type:?}, not gRPC-web; is this the chat service?"
        ));
    }
    // Gateways say {"message": …}; anything else is quoted as it is.
    let text = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|json| Some(json.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let detail = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(QUOTE_CHARS_MAX)
        .collect();
    CallFailure::Http { status, detail }
}

fn malformed(problem: &str) -> CallFailure {
    CallFailure::Malformed(problem.to_owned())
}

/// Takes a body apart into at most one message and the trailers.
fn split(mut body: Bytes) -> Result<(Option<Bytes>, Option<HeaderMap>), CallFailure> {
    let mut message = None;
    let mut trailers = None;
    while !body.is_empty() {
        if trailers.is_some() {
            return Err(malformed("something follows its trailers"));
        }
        if body.len() < FRAME_HEAD_BYTES {
            return Err(malformed("it ends inside a frame"));
        }
        let head = body.split_to(FRAME_HEAD_BYTES);
        let (flag, length) = match *head {
            [flag, a, b, c, d] => (flag, u32::from_be_bytes([a, b, c, d]) as usize),
            _ => return Err(malformed("it ends inside a frame")),
        };
        if length > body.len() {
            return Err(malformed("it ends inside a frame"));
        }
        let frame = body.split_to(length);
        match flag {
            MESSAGE_FLAG if message.is_none() => message = Some(frame),
            MESSAGE_FLAG => return Err(malformed("it has more than one message")),
            TRAILERS_FLAG => trailers = Some(parse_trailers(&frame)?),
            _ => {
                return Err(malformed(&format!(
                    "it has a frame with flag {flag:#04x}; compression was not asked for"
                )));
            }
        }
    }
    Ok((message, trailers))
}

/// Reads `name: value` lines.
fn parse_trailers(frame: &[u8]) -> Result<HeaderMap, CallFailure> {
    let mut trailers = HeaderMap::new();
    for line in frame.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let unreadable = || malformed("it has unreadable trailers");
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(unreadable)?;
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name.trim_ascii()).map_err(|_| unreadable())?;
        let value = HeaderValue::from_bytes(
            value
                .trim_ascii_start()
                .strip_prefix(b":")
                .unwrap_or_default()
                .trim_ascii(),
        )
        .map_err(|_| unreadable())?;
        // `append` panics at 32,768 names; the bounded body would allow that many.
        trailers.try_append(name, value).map_err(|_| unreadable())?;
    }
    Ok(trailers)
}
