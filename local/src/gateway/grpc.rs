//! Native gRPC over HTTP/2, a convenience that AWS' HTTP API does not have: a request is handed to the function as
//! gRPC-web, and the trailer frame of its answer becomes HTTP/2 trailers.

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode, Version, request};
use http_body::Frame;
use http_body_util::{Either, StreamBody};

use super::reply::{Answer, Reply};

/// The bit that marks a gRPC-web frame as trailers.
const TRAILERS: u8 = 0x80;
/// Bytes before a frame's payload: flags and length.
const FRAME_HEAD_BYTES: usize = 5;

/// The content type that the function shall see, when this is a native gRPC request.
pub(crate) fn web_content_type(request: &request::Parts) -> Option<HeaderValue> {
    let content_type = request
        .headers
        .get(CONTENT_TYPE)?
        .to_str()
        .ok()?
        .split(';')
        .next()?
        .trim();
    let native = matches!(content_type, "application/grpc" | "application/grpc+proto");
    (native && request.version == Version::HTTP_2).then_some(HeaderValue::from_static("application/grpc-web+proto"))
}

/// A gRPC-web reply as a native gRPC answer. What is no gRPC answer stays as it is.
pub(crate) fn native(reply: Reply) -> Answer {
    let Some((messages, trailers)) = (reply.status == StatusCode::OK).then(|| split(&reply.body)).flatten() else {
        return reply.into_answer();
    };
    let frames = [Ok(Frame::data(messages)), Ok(Frame::trailers(trailers))];
    let mut answer = Response::new(Either::Right(StreamBody::new(stream::iter(frames))));
    *answer.headers_mut() = reply.headers;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    answer
}

/// The frames before the trailer frame, and the trailers in it.
fn split(body: &Bytes) -> Option<(Bytes, HeaderMap)> {
    let mut start = 0;
    loop {
        let (head, rest) = body.get(start..)?.split_at_checked(FRAME_HEAD_BYTES)?;
        let (flags, length) = head.split_first()?;
        let length = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        let payload = rest.get(..length)?;
        if flags & TRAILERS != 0 {
            return Some((body.slice(..start), trailers(payload)?));
        }
        start += FRAME_HEAD_BYTES + length;
    }
}

fn trailers(payload: &[u8]) -> Option<HeaderMap> {
    let mut trailers = HeaderMap::new();
    for line in payload
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
    {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        trailers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
    }
    Some(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_taken_out_of_the_body() {
        let body = Bytes::from_static(b"\0\0\0\0\x02hi\x80\0\0\0\x20grpc-status:5\r\ngrpc-message: no\r\n");
        let (messages, trailers) = split(&body).expect("a trailer frame");
        assert_eq!(messages, Bytes::from_static(b"\0\0\0\0\x02hi"));
        assert_eq!(trailers["grpc-status"], "5");
        assert_eq!(trailers["grpc-message"], "no");
    }

    #[test]
    fn a_body_without_whole_frames_is_no_grpc_answer() {
        for body in [
            &b""[..],
            b"{}",
            b"\0\0\0\0\x02h",
            b"\0\0\0\0\x00",
            b"\x80\0\0\0\x09grpc",
            b"\x80\0\0\0\x03abc",
        ] {
            assert!(split(&Bytes::from_static(body)).is_none(), "{body:?}");
        }
    }
}
