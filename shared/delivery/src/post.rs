//! What is done to one connection from here: posting to it, and closing it.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::http::HttpResponse;
use aws_sdk_apigatewaymanagement::error::{DisplayErrorContext, SdkError};
use aws_smithy_types::Blob;
use bytes::Bytes;
use chat_operation::{FromSettings, Grant, Settings, SettingsError};
use chat_stores::aws::{Aws, Patience};
use chat_stores::dynamo::ConnectionId;

/// A post is tried once by the SDK: what is tried again, and for how long, is decided by [`super::Deliverer`], which knows
/// of all posts.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(2),
    operation: Duration::from_secs(2),
    attempts: 1,
};

/// How a post ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Post {
    /// The gateway took the frame.
    Taken,
    /// There is no such connection, or not yet.
    Gone,
    /// The gateway is too busy, failed or was not reached: another try may succeed.
    Failed,
    /// There was no answer in time. The frame may have arrived.
    TimedOut,
    /// The gateway will never take this frame.
    Refused,
}

/// The action of all that is done to connections; its path says what.
const MANAGE: &str = "execute-api:ManageConnections";

/// The management API of the WebSocket API's connections, behind `LIVE_ENDPOINT`.
#[derive(Debug)]
struct Api {
    aws: Aws,
    endpoint: String,
    client: OnceLock<Client>,
}

/// Posts to connections.
#[derive(Debug)]
pub(crate) struct Poster(Api);

/// Closes connections.
#[derive(Debug)]
pub struct Closer(Api);

impl Api {
    fn new(settings: &Settings, path: &'static str) -> Result<Self, SettingsError> {
        const NAME: &str = "LIVE_ENDPOINT";
        const EXPECTED: &str = "the WebSocket API's @connections endpoint, such as https://host/stage";
        let endpoint = settings.require_granted(NAME, EXPECTED, &[Grant { action: MANAGE, path }])?;
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return Err(SettingsError::Invalid {
                name: NAME,
                expected: EXPECTED,
                problem: "it starts with neither https:// nor http://".to_owned(),
            });
        }
        Ok(Self {
            aws: Aws::new(settings)?,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            client: OnceLock::new(),
        })
    }

    fn client(&self) -> &Client {
        self.client
            .get_or_init(|| Client::new(&self.aws.sdk_config(Some(&self.endpoint), PATIENCE)))
    }
}

impl FromSettings for Closer {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Api::new(settings, "DELETE/@connections/*").map(Self)
    }
}

impl Closer {
    /// Closes a connection, if it is still there. Best effort: what fails is logged, and the connection lives on.
    pub async fn close(&self, id: &ConnectionId) {
        let answer = self
            .0
            .client()
            .delete_connection()
            .connection_id(id.as_str())
            .send()
            .await;
        let gone = |error: &SdkError<_, HttpResponse>| {
            error
                .raw_response()
                .is_some_and(|answer| answer.status().as_u16() == 410)
        };
        if let Err(error) = answer
            && !gone(&error)
        {
            let error = DisplayErrorContext(&error);
            tracing::warn!(connection_id = %id, error = %error, "a connection could not be closed");
        }
    }
}

impl FromSettings for Poster {
    fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        Api::new(settings, "POST/@connections/*").map(Self)
    }
}

impl Poster {
    /// Posts one frame to one connection.
    pub(crate) async fn post(&self, id: &ConnectionId, frame: &Bytes) -> Post {
        let answer = self
            .0
            .client()
            .post_to_connection()
            .connection_id(id.as_str())
            .data(Blob::new(frame.as_ref()))
            .send()
            .await;
        let Err(error) = answer else {
            return Post::Taken;
        };
        match &error {
            SdkError::TimeoutError(_) => Post::TimedOut,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Post::TimedOut,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Post::Failed,
            // The status alone decides: proxies answer without the error names of AWS.
            SdkError::ServiceError(refusal) => match refusal.raw().status().as_u16() {
                410 => Post::Gone,
                429 | 500..=599 => Post::Failed,
                status => {
                    tracing::error!(connection_id = %id, status, "the gateway refused a push");
                    Post::Refused
                }
            },
            _ => {
                tracing::error!(connection_id = %id, error = %error, "a push could not be built");
                Post::Refused
            }
        }
    }
}
