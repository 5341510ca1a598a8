//! Requests and responses as bytes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use chat_operation::Operation;
use chat_rpc::{Claims, Endpoint};
use http::{Request, Response};
use prost::Message;
use tonic::{Code, Status};
use tower::ServiceExt;

pub(crate) const TRAILERS_OK: &[u8] = b"\x80\0\0\0\x0fgrpc-status:0\r\n";

pub(crate) fn frame(message: &impl Message) -> Vec<u8> {
    framed(0, &message.encode_to_vec())
}

pub(crate) fn framed(flags: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![flags];
    frame.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
    frame.extend(content);
    frame
}

pub(crate) fn claims() -> Claims {
    Claims(BTreeMap::from([
        ("sub".to_owned(), "alice".to_owned()),
        ("exp".to_owned(), "1700000000".to_owned()),
    ]))
}

/// A request by alice.
pub(crate) fn post(content_type: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post("/chat.v1.MessageService/SendMessage")
        .header("content-type", content_type)
        .extension(claims())
        .body(body.into())
        .unwrap()
}

pub(crate) fn with(mut request: Request<Bytes>, name: &'static str, value: &str) -> Request<Bytes> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

pub(crate) async fn send<O: Operation>(operation: O, request: Request<Bytes>) -> Response<Bytes> {
    Endpoint::new(operation).oneshot(request).await.unwrap()
}

pub(crate) fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// A gRPC-web response taken apart: its messages and its trailers.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) trailers: BTreeMap<String, String>,
}

impl Answered {
    /// Demands the form that clients rely on: HTTP 200, whole frames, and one last frame of trailers with a status.
    pub(crate) fn of(response: &Response<Bytes>) -> Self {
        assert_eq!(response.status(), 200);
        let mut body = match header(response, "content-type") {
            Some("application/grpc-web+proto") => response.body().to_vec(),
            Some("application/grpc-web-text+proto") => STANDARD.decode(response.body()).unwrap(),
            other => panic!("the content type is {other:?}"),
        };
        assert!(
            response
                .headers()
                .keys()
                .all(|name| !name.as_str().starts_with("access-control"))
        );
        let mut answered = Self {
            messages: Vec::new(),
            trailers: BTreeMap::new(),
        };
        while !body.is_empty() {
            assert!(answered.trailers.is_empty(), "something follows the trailers");
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
            let rest = body.split_off(5 + length);
            let content = body[5..].to_vec();
            match body[0] {
                0 => answered.messages.push(content),
                0x80 => {
                    for line in String::from_utf8(content).unwrap().split_terminator("\r\n") {
                        let (name, value) = line.split_once(':').unwrap();
                        assert!(answered.trailers.insert(name.to_owned(), value.to_owned()).is_none());
                    }
                }
                flags => panic!("a frame has the flags {flags}"),
            }
            body = rest;
        }
        assert!(answered.trailers.contains_key("grpc-status"));
        // Where the headers tell a status too, it is the same one.
        for (name, value) in &answered.trailers {
            assert!(header(response, name).is_none_or(|header| header == value));
        }
        answered
    }

    pub(crate) fn code(&self) -> Code {
        Code::from_bytes(self.trailers["grpc-status"].as_bytes())
    }

    /// The status as a client reads it from the trailers.
    pub(crate) fn status(&self) -> Status {
        let mut headers = http::HeaderMap::new();
        for (name, value) in &self.trailers {
            headers.insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        }
        Status::from_header_map(&headers).unwrap()
    }

    pub(crate) fn message<M: Message + Default>(&self) -> M {
        assert_eq!((self.code(), self.messages.len()), (Code::Ok, 1));
        M::decode(self.messages[0].as_slice()).unwrap()
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn from_base64(text: &str) -> Vec<u8> {
    STANDARD_NO_PAD.decode(text).unwrap()
}
