//! A function alone: an environment that is handed finished events, as Lambda hands them over, and nothing around it. Of the
//! service's side this is what a deployment runs; client, HTTP and gateway are other people's machines there.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use chat_client::ChatClient;
use chat_contract::Rpc;
use chat_contract::v1::{ListConversationsRequest, SendMessageRequest};
use chat_operation::Settings;
use chat_runtime::{Environment, Function, Trigger};
use http::Request;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use prost::Message;
use serde::Deserialize;
use serde_json::value::to_raw_value;

use super::scene::{LISTED, Part, TEXT};
use super::{BenchError, CommandError, Subject};
use crate::commands::service::AUDIENCE;
use crate::gateway::{HttpRequest, Moment, generate_id};

/// How long a call may take.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(30);
/// What ends the answer to a call that succeeded.
const OK: &[u8] = b"grpc-status:0\r\n";
/// Characters of base64 that hold it, however it falls into groups of four.
const OK_CHARS: usize = 24;

/// Makes one call after the other, in an environment of its own.
pub(super) struct FunctionCaller {
    subject: Subject,
    part: Part,
    environment: Environment,
    event: Event,
}

impl FunctionCaller {
    /// A caller of the function behind a subject. The settings are those of all functions, and the token is the caller's.
    pub(super) fn new(subject: Subject, part: Part, settings: &Settings, token: &str) -> Result<Self, CommandError> {
        let path = match subject {
            Subject::SendFunction => SendMessageRequest::PATH,
            _ => ListConversationsRequest::PATH,
        };
        let functions = crate::functions();
        let serves =
            |function: &&Function| matches!(function.trigger(), Trigger::Rpc { path: served, .. } if served == path);
        let function = functions.iter().find(serves).ok_or(BenchError::Event)?;
        let environment = function
            .environment(settings)
            .map_err(|source| CommandError::Settings {
                function: function.name(),
                source,
            })?;
        Ok(Self {
            event: Event::new(path, &part.user, token)?,
            subject,
            part,
            environment,
        })
    }

    /// Makes one call, tells how long its answer took, and is back when what follows the answer is done.
    pub(super) async fn call(&mut self) -> Result<Duration, BenchError> {
        let event = match self.subject {
            Subject::SendFunction => {
                let conversation_id = self.part.conversation.to_string();
                self.event.with(&ChatClient::text_message(&conversation_id, TEXT))
            }
            _ => self.event.with(&ListConversationsRequest {
                page_size: i32::try_from(LISTED).unwrap_or_default(),
                page_token: String::new(),
                ..ListConversationsRequest::default()
            }),
        };
        let start = Instant::now();
        let invocation = self.environment.invoke(&event, start + INVOCATION_TIMEOUT).await?;
        let duration = start.elapsed();
        invocation.after_answer.await;
        if is_ok(&invocation.response) {
            Ok(duration)
        } else {
            Err(BenchError::Refused)
        }
    }
}

/// What API Gateway makes of a client's calls, but for the body.
struct Event {
    before: String,
    after: String,
}

impl Event {
    fn new(path: &str, user: &str, token: &str) -> Result<Self, BenchError> {
        const CONTENT: &str = "application/grpc-web+proto";
        /// Stands for the body.
        const BODY: &[u8] = b"body";
        let request = Request::post(path)
            .header(HOST, "127.0.0.1:8080")
            .header(CONTENT_TYPE, CONTENT)
            .header(ACCEPT, CONTENT)
            .header("x-grpc-web", "1")
            .header("grpc-timeout", "10000m")
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let (parts, ()) = request.body(()).map_err(|_| BenchError::Event)?.into_parts();
        let claims = serde_json::json!({ "aud": AUDIENCE, "exp": "4102444800", "iat": "1700000000", "sub": user });
        let claims = to_raw_value(&claims).map_err(|_| BenchError::Event)?;
        let event = HttpRequest {
            parts: &parts,
            body: BODY,
            route_key: &format!("POST {path}"),
            source_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            claims: Some(&claims),
            content_type: None,
            timeout: None,
            request_id: &generate_id(),
            received_at: Moment::now(),
            port: 8080,
        };
        let event = event.to_event().map_err(|_| BenchError::Event)?;
        let event = String::from_utf8(event).map_err(|_| BenchError::Event)?;
        let (before, after) = event.split_once(&STANDARD.encode(BODY)).ok_or(BenchError::Event)?;
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// The event of a request.
    fn with(&self, request: &impl Message) -> Vec<u8> {
        let length = request.encoded_len();
        let mut frame = BytesMut::with_capacity(5 + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).unwrap_or_default());
        request.encode_raw(&mut frame);
        [&self.before, STANDARD.encode(&frame).as_str(), &self.after]
            .concat()
            .into_bytes()
    }
}

/// Whether the function answered what was asked. Only the end of the answer is looked at, which costs next to nothing.
fn is_ok(response: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Response<'a> {
        status_code: u16,
        body: &'a str,
    }
    let Ok(response) = serde_json::from_slice::<Response<'_>>(response) else {
        return false;
    };
    let end = response.body.len().saturating_sub(OK_CHARS);
    let end = response.body.get(end..).and_then(|end| STANDARD.decode(end).ok());
    response.status_code == 200 && end.is_some_and(|end| end.ends_with(OK))
}
