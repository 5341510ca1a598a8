//! The web app's files, as `CloudFront` serves them in a deployment: with the same headers, and its start page wherever there
//! is no file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::{BodyExt as _, Either, Empty, Full};
use serde::Serialize;
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

use super::reply::{self, Answer};

/// The client that the local issuer knows the page as.
const CLIENT_ID: &str = "chat-web";
/// Where RPCs are.
const RPCS: &str = "/chat.v1.";
/// Files under this path have their content's hash in their name.
const HASHED: &str = "/assets/";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// The files of the web app.
pub(crate) struct Site {
    files: ServeDir<ServeFile>,
    policy: HeaderValue,
}

/// What `/config.json` tells the page: whom to sign in at, and where the service is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    issuer: String,
    client_id: &'static str,
    scope: &'static str,
    service_url: String,
}

impl Site {
    /// What stands in this folder, on a page that calls the gateway at `address`.
    pub(crate) fn new(folder: &Path, address: SocketAddr) -> Self {
        let index: PathBuf = folder.join("index.html");
        let port = address.port();
        // The socket is reached by the machine's address, whatever name the page was opened by.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; font-src 'self'; \
             manifest-src 'self'; connect-src 'self' http://{address} ws://{address} http://localhost:{port} \
             ws://localhost:{port}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types service-worker"
        );
        Self {
            files: ServeDir::new(folder)
                .append_index_html_on_directories(true)
                .fallback(ServeFile::new(index)),
            policy: HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
        }
    }

    /// Answers for a page that was opened at `base`, without a slash at its end.
    pub(crate) async fn answer(&self, parts: &request::Parts, issuer: &str, base: &str) -> Answer {
        let path = parts.uri.path();
        let mut answer = if path == "/config.json" {
            reply::json(
                StatusCode::OK,
                &Config {
                    issuer: issuer.to_owned(),
                    client_id: CLIENT_ID,
                    scope: "openid",
                    service_url: base.to_owned(),
                },
            )
        } else {
            self.file(parts).await
        };
        let is_hashed = path.starts_with(HASHED);
        let is_page = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/html");
        if is_hashed && is_page {
            // What is gone there is another version's, and no address within the app.
            answer = reply::message(StatusCode::NOT_FOUND, "Not Found");
        }
        let is_kept = is_hashed && answer.status() == StatusCode::OK;
        let headers = answer.headers_mut();
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static(if is_kept {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            }),
        );
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(
            PERMISSIONS_POLICY,
            HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
        );
        answer
    }

    async fn file(&self, parts: &request::Parts) -> Answer {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        let Ok(response) = self.files.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Response::from_parts(head, Either::Left(Full::new(body.to_bytes()))),
            Err(error) => {
                tracing::warn!(%error, "a file of the web app cannot be read");
                reply::message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        }
    }

    /// Whether a request is for a file, and not for the service: deployed, the service's paths are none of the page's.
    pub(crate) fn is_asked(parts: &request::Parts) -> bool {
        (parts.method == Method::GET || parts.method == Method::HEAD) && !parts.uri.path().starts_with(RPCS)
    }
}
