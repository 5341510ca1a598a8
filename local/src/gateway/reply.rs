//! What functions return, read as API Gateway reads it, and the gateway's own short answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Either, Full, StreamBody};
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};

use super::cors;

/// Of native gRPC: the messages, then the trailers.
pub(crate) type GrpcBody = StreamBody<stream::Iter<std::array::IntoIter<Result<Frame<Bytes>, Infallible>, 2>>>;

/// Bytes, or with native gRPC, bytes and trailers.
pub(crate) type Answer = Response<Either<Full<Bytes>, GrpcBody>>;

/// When to come back after the gateway's own 429 and 503: what they tell of passes quickly, or with a new start.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Headers that HTTP itself needs and a function cannot set.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An answer with a JSON body of the form that API Gateway gives its own errors.
pub(crate) fn message(status: StatusCode, message: &str) -> Answer {
    #[derive(Serialize)]
    struct Message<'a> {
        message: &'a str,
    }
    json(status, &Message { message })
}

/// An answer with a JSON body. One that asks to come back later says when.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // The gateway's own bodies are structs of strings and numbers, which always serialise.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = bytes(status, "application/json", body);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    answer
}

/// An answer of one line of text.
pub(crate) fn line(status: StatusCode, text: &str) -> Answer {
    bytes(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
}

/// A page.
pub(crate) fn html(status: StatusCode, text: String) -> Answer {
    bytes(status, "text/html; charset=utf-8", text.into_bytes())
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

fn bytes(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// Why a function's response cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyError {
    #[error("the response is not of the proxy format: {0}")]
    Format(#[from] serde_json::Error),
    #[error("the response has statusCode {0}, which is not an HTTP status")]
    Status(u16),
    #[error("the response's body is not base64, though isBase64Encoded is true")]
    Base64,
    #[error("the response's header {0} has a name or value that HTTP does not allow")]
    Header(String),
}

/// A function's response in the proxy format, taken apart.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// Reads the JSON that a function returned. A response without `statusCode` is itself the body, with status 200.
    pub(crate) fn read(response: Vec<u8>) -> Result<Self, ReplyError> {
        let proxy = match response.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice::<ProxyResponse<'_>>(&response)?,
            _ => ProxyResponse::default(),
        };
        let Some(status) = proxy.status_code else {
            serde_json::from_slice::<serde::de::IgnoredAny>(&response)?;
            let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))]
                .into_iter()
                .collect();
            return Ok(Self {
                status: StatusCode::OK,
                headers,
                body: response.into(),
            });
        };
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| !status.is_informational());
        let status = status.ok_or(ReplyError::Status(proxy.status_code.unwrap_or_default()))?;
        let fields = proxy.headers.unwrap_or_default();
        let mut headers = HeaderMap::with_capacity(fields.len() + 2);
        for (name, value) in &fields {
            let fault = || ReplyError::Header(name.0.clone().into_owned());
            let name = HeaderName::from_bytes(name.0.as_bytes()).map_err(|_| fault())?;
            if !OWN_HEADERS.contains(&name.as_str()) {
                headers.append(name, HeaderValue::from_str(&value.0).map_err(|_| fault())?);
            }
        }
        for cookie in proxy.cookies.unwrap_or_default() {
            let fault = || ReplyError::Header(SET_COOKIE.to_string());
            headers.append(SET_COOKIE, HeaderValue::from_str(&cookie.0).map_err(|_| fault())?);
        }
        let body = if proxy.is_base64_encoded {
            STANDARD
                .decode(proxy.body.0.as_bytes())
                .map_err(|_| ReplyError::Base64)?
        } else {
            proxy.body.0.into_owned().into_bytes()
        };
        Ok(Self {
            status,
            headers,
            body: body.into(),
        })
    }

    /// The HTTP API's answer: CORS headers are the gateway's alone.
    pub(crate) fn into_answer(mut self) -> Answer {
        let foreign: Vec<_> = self
            .headers
            .keys()
            .filter(|name| cors::is_cors_header(name.as_str()))
            .cloned()
            .collect();
        for name in foreign {
            self.headers.remove(name);
        }
        self.headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("text/plain; charset=utf-8"));
        let mut answer = Response::new(Either::Left(Full::new(self.body)));
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers;
        answer
    }
}

/// Payload format 2.0's response; the WebSocket API's has the same fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ProxyResponse<'a> {
    status_code: Option<u16>,
    #[serde(borrow)]
    headers: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(borrow)]
    cookies: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    body: Text<'a>,
    is_base64_encoded: bool,
}

/// Text, borrowed where it has no escapes; also what API Gateway takes as text: numbers, booleans and null.
#[derive(Default, Eq, Ord, PartialEq, PartialOrd)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(if value { "true" } else { "false" })))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
                if value.is_finite() {
                    Ok(Text(Cow::Owned(value.to_string())))
                } else {
                    Err(E::custom("not a number"))
                }
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
        }

        deserializer.deserialize_any(TextVisitor).map_err(D::Error::custom)
    }
}
