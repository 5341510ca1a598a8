//! The events that API Gateway makes of what it receives: payload format 2.0 for the HTTP API, and the proxy events of
//! the WebSocket API. Field names, their order and their forms follow AWS, so that mapping mistakes show locally.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use chrono::{DateTime, Utc};
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The account that local events name; no AWS account has it.
pub(crate) const ACCOUNT_ID: &str = "000000000000";
/// The API that local events name.
pub(crate) const API_ID: &str = "local";
/// The region in local ARNs.
pub(crate) const REGION: &str = "local";
/// What an event needs beside its body, for the first allocation.
const EVENT_OVERHEAD_BYTES: usize = 2_048;
/// Headers that end at the gateway. Cookies travel in a field of their own; the others are made anew here.
const OWN_HEADERS: [&str; 10] = [
    "connection",
    "cookie",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "x-amzn-trace-id",
    "x-forwarded-port",
    "x-forwarded-proto",
];

/// A fresh request id, as API Gateway makes them: 15 characters and `=`. Connection ids have the same form.
pub(crate) fn generate_id() -> String {
    URL_SAFE.encode(rand::random::<[u8; 11]>())
}

/// A moment in the two forms that events carry.
#[derive(Clone, Copy)]
pub(crate) struct Moment(DateTime<Utc>);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(Utc::now())
    }

    /// Milliseconds since 1970.
    pub(crate) fn epoch_ms(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// As in `12/Mar/2020:19:03:58 +0000`.
    fn common_log_form(self) -> impl Serialize {
        AsText(self.0.format("%d/%b/%Y:%H:%M:%S %z"))
    }
}

/// Serialises what it holds by its `Display`.
struct AsText<T>(T);

impl<T: std::fmt::Display> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What of a request the event is made of.
pub(crate) struct HttpRequest<'a> {
    pub(crate) parts: &'a http::request::Parts,
    pub(crate) body: &'a [u8],
    /// The route that it matched, as in `POST /chat.v1.UserService/GetProfiles`.
    pub(crate) route_key: &'a str,
    /// Who sent it.
    pub(crate) source_ip: IpAddr,
    /// The verified token's claims, as a JSON object of strings.
    pub(crate) claims: Option<&'a RawValue>,
    /// Stands in for the request's content type.
    pub(crate) content_type: Option<HeaderValue>,
    /// Stands in for the request's header of this name.
    pub(crate) timeout: Option<(HeaderName, HeaderValue)>,
    pub(crate) request_id: &'a str,
    /// When it came.
    pub(crate) received_at: Moment,
    /// The port that the gateway listens on.
    pub(crate) port: u16,
}

impl HttpRequest<'_> {
    /// The payload format 2.0 event.
    pub(crate) fn to_event(&self) -> serde_json::Result<Vec<u8>> {
        let headers = &self.parts.headers;
        let uri = &self.parts.uri;
        let host = authority(self.parts);
        let domain_name = super::host_of(host);
        let query = uri.query().unwrap_or_default();
        let content_type = self
            .content_type
            .as_ref()
            .or_else(|| headers.get(http::header::CONTENT_TYPE));
        let text = text_body(content_type, self.body);
        let content_type = self
            .content_type
            .clone()
            .map(|value| (http::header::CONTENT_TYPE, value));
        let replaced = content_type.into_iter().chain(self.timeout.clone()).collect();
        let added = Added::of(headers, self.source_ip, self.port, replaced);
        let event = HttpEvent {
            version: "2.0",
            route_key: self.route_key,
            raw_path: uri.path(),
            raw_query_string: query,
            cookies: headers.contains_key(COOKIE).then_some(Cookies(headers)),
            headers: Headers {
                received: headers,
                host,
                added: &added,
            },
            query_string_parameters: (!query.is_empty()).then(|| query_parameters(query)),
            request_context: HttpContext {
                account_id: ACCOUNT_ID,
                api_id: API_ID,
                authorizer: self.claims.map(|claims| HttpAuthorizer {
                    jwt: Jwt { claims, scopes: () },
                }),
                domain_name,
                domain_prefix: domain_name.split('.').next().unwrap_or_default(),
                http: HttpLine {
                    method: self.parts.method.as_str(),
                    path: uri.path(),
                    protocol: if self.parts.version == http::Version::HTTP_2 {
                        "HTTP/2.0"
                    } else {
                        "HTTP/1.1"
                    },
                    source_ip: self.source_ip,
                    user_agent: headers.get(USER_AGENT).map(text_of).unwrap_or_default(),
                },
                request_id: self.request_id,
                route_key: self.route_key,
                stage: "$default",
                time: self.received_at.common_log_form(),
                time_epoch: self.received_at.epoch_ms(),
            },
            body: match text {
                _ if self.body.is_empty() => None,
                Some(text) => Some(EventBody::Text(text)),
                None => Some(EventBody::Binary(AsText(Base64Display::new(self.body, &STANDARD)))),
            },
            is_base64_encoded: text.is_none(),
        };
        let mut bytes = Vec::with_capacity(self.body.len() / 3 * 4 + EVENT_OVERHEAD_BYTES);
        serde_json::to_writer(&mut bytes, &event)?;
        Ok(bytes)
    }
}

/// The host that the request is for: `:authority` with HTTP/2, else the `host` header.
pub(crate) fn authority(parts: &http::request::Parts) -> &str {
    parts.uri.authority().map_or_else(
        || {
            parts
                .headers
                .get(http::header::HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default()
        },
        http::uri::Authority::as_str,
    )
}

/// The body as text where the HTTP API hands it over as text: by content type, and only what JSON can carry.
/// None stands for base64.
fn text_body<'a>(content_type: Option<&HeaderValue>, body: &'a [u8]) -> Option<&'a str> {
    const TEXT_TYPES: [&str; 3] = ["application/json", "application/javascript", "application/xml"];
    let textual = content_type.is_none_or(|content_type| {
        let essence = content_type
            .to_str()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        essence
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("text/"))
            || TEXT_TYPES
                .iter()
                .any(|text_type| essence.eq_ignore_ascii_case(text_type))
    });
    if textual || body.is_empty() {
        std::str::from_utf8(body).ok()
    } else {
        None
    }
}

/// A header's value; bytes that are not UTF-8 are replaced, since JSON cannot carry them.
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// All values of a header, joined with commas as API Gateway joins them.
fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(text_of).unwrap_or_default();
    values.fold(first, |mut all, value| {
        all.to_mut().push(',');
        all.to_mut().push_str(&text_of(value));
        all
    })
}

/// The decoded query; values of one name are joined with commas.
fn query_parameters(query: &str) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
    let mut parameters = BTreeMap::<Cow<'_, str>, Cow<'_, str>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name)
            .and_modify(|all| {
                all.to_mut().push(',');
                all.to_mut().push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// The headers that the gateway itself writes.
struct Added {
    /// Those that stand in for what was received.
    replaced: Vec<(HeaderName, HeaderValue)>,
    forwarded_for: String,
    forwarded_port: String,
    trace_id: String,
}

impl Added {
    fn of(headers: &HeaderMap, source_ip: IpAddr, port: u16, replaced: Vec<(HeaderName, HeaderValue)>) -> Self {
        let mut forwarded_for = String::new();
        for hop in headers.get_all("x-forwarded-for") {
            forwarded_for.push_str(&text_of(hop));
            forwarded_for.push_str(", ");
        }
        // Writing to a String cannot fail.
        let _ = write!(forwarded_for, "{source_ip}");
        let trace = rand::random::<u128>() >> 32;
        Self {
            replaced,
            forwarded_for,
            forwarded_port: port.to_string(),
            trace_id: format!("Root=1-{:08x}-{trace:024x}", Utc::now().timestamp()),
        }
    }
}

/// A request's headers, lower case, one value each, with those that the gateway adds.
struct Headers<'a> {
    received: &'a HeaderMap,
    host: &'a str,
    added: &'a Added,
}

impl Headers<'_> {
    /// Calls `entry` for each name with its joined values.
    fn each<E>(&self, mut entry: impl FnMut(&str, &str) -> Result<(), E>) -> Result<(), E> {
        entry("host", self.host)?;
        for name in self.received.keys() {
            let replaced = matches!(name.as_str(), "host" | "x-forwarded-for")
                || OWN_HEADERS.contains(&name.as_str())
                || self.added.replaced.iter().any(|(other, _)| other == name);
            if !replaced {
                entry(name.as_str(), &joined(self.received, name))?;
            }
        }
        for (name, value) in &self.added.replaced {
            entry(name.as_str(), &text_of(value))?;
        }
        entry("x-amzn-trace-id", &self.added.trace_id)?;
        entry("x-forwarded-for", &self.added.forwarded_for)?;
        entry("x-forwarded-port", &self.added.forwarded_port)?;
        entry("x-forwarded-proto", "http")
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.each(|name, value| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// All cookies of a request, one an entry.
struct Cookies<'a>(&'a HeaderMap);

impl Serialize for Cookies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cookies = serializer.serialize_seq(None)?;
        for header in self.0.get_all(COOKIE) {
            for cookie in text_of(header)
                .split(';')
                .map(str::trim)
                .filter(|cookie| !cookie.is_empty())
            {
                cookies.serialize_element(cookie)?;
            }
        }
        cookies.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent<'a, T> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Cookies<'a>>,
    headers: Headers<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    request_context: HttpContext<'a, T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<EventBody<'a>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EventBody<'a> {
    Text(&'a str),
    Binary(AsText<Base64Display<'a, 'static, base64::engine::GeneralPurpose>>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpContext<'a, T> {
    account_id: &'static str,
    api_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<HttpAuthorizer<'a>>,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: HttpLine<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: T,
    time_epoch: i64,
}

#[derive(Serialize)]
struct HttpAuthorizer<'a> {
    jwt: Jwt<'a>,
}

#[derive(Serialize)]
struct Jwt<'a> {
    claims: &'a RawValue,
    /// Null: no route asks for scopes.
    scopes: (),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpLine<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: Cow<'a, str>,
}

/// The name of the WebSocket API's one stage, which is also its path.
pub(crate) const SOCKET_STAGE: &str = "live";

/// What is fixed for a connection and goes into each of its events.
pub(crate) struct SocketPeer {
    pub(crate) connection_id: String,
    pub(crate) domain_name: String,
    pub(crate) source_ip: IpAddr,
    pub(crate) user_agent: String,
    pub(crate) connected_at: Moment,
}

/// What a WebSocket event is about.
pub(crate) enum SocketEvent<'a> {
    /// The authorizer is asked.
    Authorize(&'a http::request::Parts),
    /// `$connect`.
    Connect(&'a http::request::Parts),
    /// `$default`, with the text of the message.
    Message(&'a str),
    /// `$disconnect`, with the close code and reason.
    Disconnect(u16, &'a str),
}

impl SocketPeer {
    /// The event for a WebSocket function. `authorizer` is the authorizer's context: a JSON object of flat values.
    pub(crate) fn event(
        &self,
        event: &SocketEvent<'_>,
        authorizer: Option<&RawValue>,
        port: u16,
    ) -> serde_json::Result<Vec<u8>> {
        let now = Moment::now();
        let (route_key, event_type) = match event {
            SocketEvent::Authorize(_) | SocketEvent::Connect(_) => ("$connect", "CONNECT"),
            SocketEvent::Message(_) => ("$default", "MESSAGE"),
            SocketEvent::Disconnect(..) => ("$disconnect", "DISCONNECT"),
        };
        let (code, reason) = match *event {
            SocketEvent::Disconnect(code, reason) => (Some(code), Some(reason)),
            _ => (None, None),
        };
        let (headers, query) = match event {
            SocketEvent::Authorize(parts) | SocketEvent::Connect(parts) => {
                let added = Added::of(&parts.headers, self.source_ip, port, Vec::new());
                let values = canonical_headers(&Headers {
                    received: &parts.headers,
                    host: authority(parts),
                    added: &added,
                });
                (Some(values), parts.uri.query().filter(|query| !query.is_empty()))
            }
            SocketEvent::Disconnect(..) => {
                let values = [
                    ("Host", self.domain_name.as_str()),
                    ("x-api-key", ""),
                    ("X-Forwarded-For", ""),
                    ("x-restapi", ""),
                ];
                (
                    Some(
                        values
                            .map(|(name, value)| (name.to_owned(), value.to_owned()))
                            .into_iter()
                            .collect(),
                    ),
                    None,
                )
            }
            SocketEvent::Message(_) => (None, None),
        };
        let request_id = generate_id();
        let event = SocketProxyEvent {
            r#type: matches!(event, SocketEvent::Authorize(_)).then_some("REQUEST"),
            method_arn: matches!(event, SocketEvent::Authorize(_)).then(connect_arn),
            multi_value_headers: headers.as_ref().map(MultiValue),
            headers: headers.as_ref(),
            query_string_parameters: query.map(query_parameters),
            multi_value_query_string_parameters: query.map(multi_value_query),
            request_context: SocketContext {
                route_key,
                authorizer,
                message_id: matches!(event, SocketEvent::Message(_)).then(generate_id),
                disconnect_status_code: code,
                event_type,
                extended_request_id: &request_id,
                request_time: now.common_log_form(),
                message_direction: "IN",
                disconnect_reason: reason,
                stage: SOCKET_STAGE,
                connected_at: self.connected_at.epoch_ms(),
                request_time_epoch: now.epoch_ms(),
                identity: Identity {
                    user_agent: &self.user_agent,
                    source_ip: self.source_ip,
                },
                request_id: &request_id,
                domain_name: &self.domain_name,
                connection_id: &self.connection_id,
                api_id: API_ID,
            },
            body: match *event {
                SocketEvent::Message(text) => Some(text),
                _ => None,
            },
            is_base64_encoded: false,
        };
        serde_json::to_vec(&event)
    }
}

/// What the socket's authorizer is asked for: to connect.
pub(crate) fn connect_arn() -> String {
    format!("arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/{SOCKET_STAGE}/$connect")
}

/// The WebSocket API hands header names over as browsers write them, not in lower case: a function that looks them up
/// must not mind the case.
fn canonical_headers(headers: &Headers<'_>) -> BTreeMap<String, String> {
    let mut canonical = BTreeMap::new();
    let Ok(()) = headers.each(|name, value| {
        let name = name
            .split('-')
            .map(|word| match word {
                "websocket" => "WebSocket".to_owned(),
                word => {
                    let mut letters = word.chars();
                    letters
                        .next()
                        .map(|first| first.to_ascii_uppercase())
                        .into_iter()
                        .chain(letters)
                        .collect()
                }
            })
            .collect::<Vec<String>>()
            .join("-");
        canonical.insert(name, value.to_owned());
        Ok::<(), std::convert::Infallible>(())
    });
    canonical
}

fn multi_value_query(query: &str) -> BTreeMap<Cow<'_, str>, Vec<Cow<'_, str>>> {
    let mut parameters = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters.entry(name).or_default().push(value);
    }
    parameters
}

/// The same headers, each with a list of values.
struct MultiValue<'a>(&'a BTreeMap<String, String>);

impl Serialize for MultiValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, [value])))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SocketProxyEvent<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<MultiValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_query_string_parameters: Option<BTreeMap<Cow<'a, str>, Vec<Cow<'a, str>>>>,
    request_context: SocketContext<'a, T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SocketContext<'a, T> {
    route_key: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_status_code: Option<u16>,
    event_type: &'static str,
    extended_request_id: &'a str,
    request_time: T,
    message_direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'a str>,
    stage: &'static str,
    connected_at: i64,
    request_time_epoch: i64,
    identity: Identity<'a>,
    request_id: &'a str,
    domain_name: &'a str,
    connection_id: &'a str,
    api_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    user_agent: &'a str,
    source_ip: IpAddr,
}
