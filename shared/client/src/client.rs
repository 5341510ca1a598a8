//! Typed calls over gRPC-web.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use chat_contract::{Rpc, v1};
use futures::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::Url;
use rustls::ClientConfig;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{CallError, CallFailure, Outcome};
use crate::{tls, wire};

/// How long a call may take, with all its attempts, when the builder does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How often a call is tried in all when the builder does not say.
pub const ATTEMPTS_DEFAULT: u32 = 4;
/// Bytes of an answer, at most. A function's answer has at most 6 MB.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long the TCP and TLS handshakes may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// `grpc-timeout` has at most eight digits.
const GRPC_TIMEOUT_MILLIS_MAX: u128 = 99_999_999;

/// Calls the chat service as one user, or as nobody. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct ChatClient {
    http: reqwest::Client,
    pub(crate) tls: Arc<ClientConfig>,
    base_url: Arc<str>,
    token: Option<TokenSource>,
    timeout: Duration,
    retries: Retries,
}

/// How a [`ChatClient`] is to be.
pub struct ChatClientBuilder {
    base_url: String,
    tls: Option<Arc<ClientConfig>>,
    token: Option<TokenSource>,
    timeout: Duration,
    retries: Retries,
}

/// A client that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL is none.
    #[error("{url:?} is not the base URL of a chat service; use one such as http://127.0.0.1:8080")]
    BaseUrl {
        /// What was given.
        url: String,
    },
    /// TLS or the HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Http(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a token source gave no token.
pub type TokenError = Box<dyn Error + Send + Sync>;

/// Where a client's bearer tokens come from. It is asked before each attempt of a call, so it should cache.
#[derive(Clone)]
pub struct TokenSource(Arc<dyn Fn() -> BoxFuture<'static, Result<String, TokenError>> + Send + Sync>);

impl TokenSource {
    /// Always the same token.
    pub fn fixed(token: impl Into<String>) -> Self {
        let token = token.into();
        Self::new(move || std::future::ready(Ok(token.clone())))
    }

    /// Tokens from a function, such as one that renews them.
    pub fn new<F, T>(source: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, TokenError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(source())))
    }
}

/// How calls that end in UNAVAILABLE, or without an answer, are tried again.
///
/// On by default for every RPC: reads change nothing, and each call that changes something is repeatable by the ids in
/// its request. Other failures are final. All attempts together stay within the call's timeout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// Attempts in all; 1 means no retry.
    pub attempts_max: u32,
    /// The longest pause before the second attempt; it doubles with each further one.
    pub pause: Duration,
    /// The longest pause of all.
    pub pause_max: Duration,
}

impl Retries {
    /// One attempt only.
    pub const NONE: Self = Self {
        attempts_max: 1,
        pause: Duration::ZERO,
        pause_max: Duration::ZERO,
    };

    /// A pause after this many failed attempts: between half and all of the bound, so that clients that failed together
    /// do not return together.
    pub(crate) fn jittered(self, failed: u32) -> Duration {
        let bound = self
            .pause
            .saturating_mul(2_u32.saturating_pow(failed.saturating_sub(1)))
            .min(self.pause_max);
        bound.mul_f64(rand::random_range(0.5..=1.0))
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts_max: ATTEMPTS_DEFAULT,
            pause: Duration::from_millis(100),
            pause_max: Duration::from_secs(2),
        }
    }
}

impl ChatClientBuilder {
    /// Calls with this bearer token.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        self.token_source(TokenSource::fixed(token))
    }

    /// Calls with bearer tokens from this source.
    #[must_use]
    pub fn token_source(mut self, source: TokenSource) -> Self {
        self.token = Some(source);
        self
    }

    /// How long a call may take, with all its attempts. Sent along as `grpc-timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How failed calls are tried again.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// TLS of one's own, such as for a private certificate authority. Leave its ALPN protocols empty.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Builds the client. It connects at its first call.
    pub fn build(self) -> Result<ChatClient, BuildError> {
        let refused = || BuildError::BaseUrl {
            url: self.base_url.clone(),
        };
        let url = Url::parse(&self.base_url).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(refused());
        }
        let tls = match self.tls {
            Some(tls) => tls,
            None => tls::public_roots().map_err(|error| BuildError::Http(error.into()))?,
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&tls))
            .connect_timeout(CONNECT_TIMEOUT)
            // A POST that is sent on elsewhere would hand the token to whoever answered.
            .redirect(reqwest::redirect::Policy::none())
            // Retries are ours: counted, bounded and told about.
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .build()
            .map_err(|error| BuildError::Http(error.into()))?;
        Ok(ChatClient {
            http,
            tls,
            base_url: self.base_url.trim_end_matches('/').into(),
            token: self.token,
            timeout: self.timeout,
            retries: self.retries,
        })
    }
}

impl ChatClient {
    /// A client without a token, with default limits. `base_url` is such as `http://127.0.0.1:8080`.
    pub fn new(base_url: impl Into<String>) -> Result<Self, BuildError> {
        Self::builder(base_url).build()
    }

    /// A client to be set up.
    pub fn builder(base_url: impl Into<String>) -> ChatClientBuilder {
        ChatClientBuilder {
            base_url: base_url.into(),
            tls: None,
            token: None,
            timeout: TIMEOUT_DEFAULT,
            retries: Retries::default(),
        }
    }

    /// The same client, connections included, for another user.
    #[must_use]
    pub fn with_token_source(&self, source: TokenSource) -> Self {
        Self {
            token: Some(source),
            ..self.clone()
        }
    }

    /// The same client, connections included, with another way to try again.
    #[must_use]
    pub fn with_retries(&self, retries: Retries) -> Self {
        Self {
            retries,
            ..self.clone()
        }
    }

    /// Makes a call and answers its response.
    ///
    /// It is tried again as [`Retries`] says, no earlier than the service says; a message that is sent again says so
    /// (`retry`). Dropping the future gives the call up; the service may finish it all the same.
    pub async fn call<R: Rpc>(&self, mut request: R) -> Result<R::Response, CallError> {
        let deadline = Instant::now() + self.timeout;
        let too_large = || CallError::new(R::NAME, CallFailure::Request("it has 4 GiB or more"), false);
        let mut body = wire::encode(&request).ok_or_else(too_large)?;
        let mut attempt_lost = false;
        let mut failed = 0;
        loop {
            let answer = tokio::time::timeout_at(deadline, self.attempt::<R>(body.clone(), deadline)).await;
            let failure = match answer {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(failure)) => failure,
                Err(_) => CallFailure::Timeout(self.timeout),
            };
            failed += 1;
            let pause = self.retries.jittered(failed);
            let resume_at = Instant::now() + pause.max(failure.retry_after().unwrap_or_default());
            if !failure.is_transient() || failed >= self.retries.attempts_max || resume_at >= deadline {
                return Err(CallError::new(R::NAME, failure, attempt_lost));
            }
            attempt_lost |= failure.outcome() == Outcome::Unknown;
            if let Some(send) = (&mut request as &mut dyn Any).downcast_mut::<v1::SendMessageRequest>() {
                send.retry = true;
                body = wire::encode(&request).ok_or_else(too_large)?;
            }
            tracing::debug!(rpc = R::NAME, %failure, failed, "a call is tried again");
            tokio::time::sleep_until(resume_at).await;
        }
    }

    /// Says something, under a fresh `client_message_id`. To be able to repeat a call whose outcome stayed unknown, make
    /// the request with [`text_message`](Self::text_message) and [`call`](Self::call) it.
    pub async fn send_text(&self, conversation_id: &str, text: &str) -> Result<v1::SendMessageResponse, CallError> {
        self.call(Self::text_message(conversation_id, text)).await
    }

    /// A request that says something, under a fresh `client_message_id`.
    pub fn text_message(conversation_id: &str, text: &str) -> v1::SendMessageRequest {
        v1::SendMessageRequest {
            conversation_id: conversation_id.to_owned(),
            client_message_id: Uuid::now_v7().to_string(),
            text: text.to_owned(),
            ..v1::SendMessageRequest::default()
        }
    }

    /// Whose token this is, as the token itself says; nothing when it is no JWT. Enough to tell one's own messages from
    /// others' on one's own screen, and for nothing else: the signature is not looked at.
    pub(crate) async fn subject(&self) -> Option<String> {
        let TokenSource(source) = self.token.as_ref()?;
        let token = source().await.ok()?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
        Some(claims.get("sub")?.as_str()?.to_owned())
    }

    async fn attempt<R: Rpc>(&self, body: Bytes, deadline: Instant) -> Result<R::Response, CallFailure> {
        let mut request = self
            .http
            .post(format!("{}{}", self.base_url, R::PATH))
            .header(CONTENT_TYPE, wire::GRPC_WEB)
            .header(ACCEPT, wire::GRPC_WEB)
            .header("x-grpc-web", "1")
            .body(body);
        if let Some(TokenSource(source)) = &self.token {
            let token = source().await.map_err(CallFailure::Token)?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| CallFailure::Token("the token has characters that no header may have".into()))?;
            bearer.set_sensitive(true);
            request = request.header(AUTHORIZATION, bearer);
        }
        // Measured last: the source may have taken its time. Zero is no timeout; an attempt has at least a moment.
        let millis = deadline
            .saturating_duration_since(Instant::now())
            .as_millis()
            .clamp(1, GRPC_TIMEOUT_MILLIS_MAX);
        let response = request.header("grpc-timeout", format!("{millis}m")).send().await;
        let mut response = response.map_err(|error| self.broken(error))?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
                return Err(CallFailure::TooLarge(RESPONSE_BYTES_MAX));
            }
            body.extend_from_slice(&chunk);
        }
        let (head, ()) = http::Response::from(response).map(drop).into_parts();
        wire::decode::<R>(&head, body.freeze())
    }

    /// Whether calls are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.base_url
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }

    /// Tells a service that was never reached from a connection that broke on the way. The error loses its URL, which
    /// the failure shows already.
    fn broken(&self, error: reqwest::Error) -> CallFailure {
        let url = self.base_url.to_string();
        let source = error.without_url();
        if source.is_connect() {
            CallFailure::Connect { url, source }
        } else {
            CallFailure::Transport { url, source }
        }
    }
}

impl fmt::Debug for ChatClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChatClient")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
