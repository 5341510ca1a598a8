//! How the clients of AWS are built.
//!
//! Without `aws-config`: a function is told its region, endpoint and credentials by its environment, so there is nothing
//! to discover, and a cold start does no more than it must. The one TLS provider is ring; the trusted roots are those
//! that sign AWS's endpoints, since loading a system's whole store costs more than the first request.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chat_operation::{Settings, SettingsError};

use crate::{StoreError, StoreErrorKind};

/// What the certificates of the roots that sign AWS's endpoints are called.
const ROOT_NAMES: [&[u8]; 2] = [
    b"Amazon Root CA ",
    b"Starfield Services Root Certificate Authority - G2",
];
/// A certificate's issuer stands within its first bytes.
const ISSUER_BYTES_MAX: usize = 256;

/// How long an open connection may stay unused; less than what AWS's endpoints allow, so that the pool never hands out a
/// connection that is just being closed.
const POOL_IDLE_MAX: Duration = Duration::from_secs(15);

/// The wait before the second attempt is up to this long; it doubles each time. The SDK's own second is longer than anyone
/// here has time for.
const RETRY_WAIT: Duration = Duration::from_millis(100);

/// Errors of AWS that a later try may not meet.
const PASSING_ERRORS: [&str; 6] = [
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServiceUnavailable",
    "ThrottlingException",
];

/// How long the parts of a call may take, and how often it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// One attempt, connecting included.
    pub attempt: Duration,
    /// All attempts and the waits between them.
    pub operation: Duration,
    /// Attempts, the first included.
    pub attempts: u32,
}

/// The region and credentials that AWS is called with.
#[derive(Clone, Debug)]
pub struct Aws {
    region: Region,
    credentials: Credentials,
}

impl Aws {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`.
    pub fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let region = settings.require("AWS_REGION", "an AWS region such as eu-central-1")?;
        let key_id = settings.require("AWS_ACCESS_KEY_ID", "the id of an AWS access key")?;
        let secret = settings.require("AWS_SECRET_ACCESS_KEY", "the secret of an AWS access key")?;
        let session_token = settings.get("AWS_SESSION_TOKEN").map(str::to_owned);
        Ok(Self {
            region: Region::new(region.to_owned()),
            // Lambda hands out credentials that outlive the environment, so they need no expiry here.
            credentials: Credentials::new(key_id, secret, session_token, None, "environment"),
        })
    }

    /// The configuration of a client that calls `endpoint`, or the region's own endpoint. Building it costs some CPU
    /// time, so it is done at a client's first use.
    pub fn sdk_config(&self, endpoint: Option<&str>, patience: Patience) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(patience.connect)
            .operation_attempt_timeout(patience.attempt)
            .operation_timeout(patience.operation)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(patience.attempts)
            .with_initial_backoff(RETRY_WAIT);
        let mut config = SdkConfig::builder()
            .region(self.region.clone())
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .timeout_config(timeouts)
            .retry_config(retries);
        config.set_endpoint_url(endpoint.map(str::to_owned));
        let http_client = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(POOL_IDLE_MAX)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(tls_context())
            .build_https();
        config.http_client(http_client).build()
    }
}

/// What a failed call of AWS means to whoever asked.
pub(crate) fn store_error<E>(store: &'static str, action: &'static str, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let kind = match &error {
        SdkError::TimeoutError(_) => StoreErrorKind::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => StoreErrorKind::Timeout,
        SdkError::ServiceError(refusal) => {
            let passes = refusal.err().code().is_some_and(|code| PASSING_ERRORS.contains(&code));
            if passes || refusal.raw().status().is_server_error() {
                StoreErrorKind::Unavailable
            } else {
                StoreErrorKind::Corrupt
            }
        }
        SdkError::ConstructionFailure(_) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, store, action, error)
}

/// Trusts the roots that sign AWS's endpoints and no others.
fn tls_context() -> TlsContext {
    let trust_store = aws_roots()
        .map(|der| {
            format!(
                "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                STANDARD.encode(der)
            )
        })
        .fold(TrustStore::empty(), TrustStore::with_pem_certificate);
    #[expect(
        clippy::expect_used,
        reason = "building this context has no way to fail with a rustls provider"
    )]
    TlsContext::builder()
        .with_trust_store(trust_store)
        .build()
        .expect("a trust store is all that it needs")
}

/// The certificates of the roots that sign AWS's endpoints, in DER.
fn aws_roots() -> impl Iterator<Item = &'static [u8]> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(AsRef::as_ref)
        .filter(|der| {
            let issuer = der.get(..ISSUER_BYTES_MAX).unwrap_or(der);
            ROOT_NAMES
                .iter()
                .any(|name| issuer.windows(name.len()).any(|window| window == *name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
    }

    #[test]
    fn the_four_amazon_roots_and_starfields_are_trusted() {
        let mut roots: Vec<_> = aws_roots().map(<[u8]>::len).collect();
        roots.sort_unstable();
        assert_eq!(roots.len(), 5);
        tls_context();
    }

    #[test]
    fn what_is_missing_is_named() {
        Aws::new(&settings()).unwrap();
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            let error = Aws::new(&settings().with(name, "")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name} is not set")), "{error}");
        }
    }
}
