//! A DynamoDB API, and beside it one of SQS: ministack, which is a Python package. What is in it lives only as long as the process: what it can save,
//! it saves when it ends in good order, so nothing after a kill. Whoever runs it closes the sockets that it knew of.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use rustix::process::Signal;
use tokio::time::timeout;

use super::account::RunAs;
use super::server::{Launch, Server};
use super::tools::{Package, Python};
use super::{GIVEN_PATIENCE, Revived, StackError, Start};

const NAME: &str = "DynamoDB";
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// Credentials for an API that checks none.
pub(super) const LOCAL_CREDENTIAL: &str = "local";
/// The region in which everything local is.
pub(super) const LOCAL_REGION: &str = "us-east-1";

const PACKAGE: Package = Package {
    tool: "ministack",
    folder: "ministack-1.5.33",
    requirements: &["ministack==1.5.33"],
    programs_only: false,
};

/// Starts the API and returns it with its URL.
pub(super) async fn start(start: &Start<'_>) -> Result<(Server, String), StackError> {
    let step = start.progress.step(NAME);
    let home = start.folder.of("dynamodb")?;
    let complete = async |_: &std::path::Path| Ok(());
    let packages = start.tools.fetch(&PACKAGE, &step, start.stop, complete).await?;
    let python = Python::find(NAME, start.stop).await?;
    let launch = |port: u16| launch(&python, &packages, &home, port);
    launch(0)
        .stop_leftover(start.folder.last_port("dynamodb"), &step)
        .await?;
    step.say("starting");
    let port = start.folder.port("dynamodb")?;
    let url = format!("http://127.0.0.1:{port}");
    let server = launch(port)
        .spawn()?
        .ready(start.stop, async || list_tables(&url).await)
        .await?;
    step.done(format_args!("{} on 127.0.0.1:{port}", PACKAGE.tool));
    Ok((server, url))
}

const FORM: &str = "http://127.0.0.1:8000";

/// Checks that the API that the user named answers.
pub(super) async fn check(url: &str) -> Result<(), StackError> {
    let variable = "AWS_ENDPOINT_URL";
    let uri: http::Uri = url.parse().map_err(|error: http::uri::InvalidUri| StackError::Url {
        variable,
        reason: error.to_string(),
        form: FORM,
    })?;
    let (Some("http" | "https"), Some(address)) = (uri.scheme_str(), uri.authority()) else {
        return Err(StackError::Url {
            variable,
            reason: "it does not start with http:// or https://".to_owned(),
            form: FORM,
        });
    };
    let address = address.to_string();
    match timeout(GIVEN_PATIENCE, list_tables(url)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(StackError::Given {
            variable,
            address,
            reason,
        }),
        Err(_) => {
            let reason = format!("no answer within {} s", GIVEN_PATIENCE.as_secs());
            Err(StackError::Given {
                variable,
                address,
                reason,
            })
        }
    }
}

fn launch(python: &Python, packages: &PathBuf, home: &PathBuf, port: u16) -> Launch {
    let mut marker = OsString::from("chat-folder=");
    marker.push(home);
    let value = |text: &str| OsString::from(text);
    Launch {
        name: NAME,
        program: python.executable().to_owned(),
        // Python takes any `-X name=value`; this one marks the process as this folder's.
        args: vec!["-X".into(), marker.clone(), "-m".into(), "ministack".into()],
        environment: vec![
            ("PYTHONPATH", packages.into()),
            ("PYTHONDONTWRITEBYTECODE", value("")),
            // It listens on all interfaces unless told otherwise.
            ("BIND_HOST", value("127.0.0.1")),
            ("MINISTACK_HOST", value("127.0.0.1")),
            ("GATEWAY_PORT", value(&port.to_string())),
            ("SERVICES", value("dynamodb,sqs")),
            // Services that would listen on ports of their own, on all interfaces.
            ("IOT_MTLS_ENABLED", value("0")),
            ("SFTP_ENABLED", value("0")),
            ("LOG_LEVEL", value("WARNING")),
        ],
        folder: home.clone(),
        marker,
        pid_files: Vec::new(),
        helpers_in: None,
        revived: Revived::Empty,
        run_as: RunAs::Ourselves,
        stop_signal: Signal::TERM,
    }
}

/// Calls the API once.
async fn list_tables(url: &str) -> Result<(), String> {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let credential = |name: &str| std::env::var(name).unwrap_or_else(|_| LOCAL_CREDENTIAL.to_owned());
    let credentials = Credentials::new(
        credential("AWS_ACCESS_KEY_ID"),
        credential("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        NAME,
    );
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| LOCAL_REGION.to_owned());
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client)
        .region(Region::new(region))
        .endpoint_url(url)
        .credentials_provider(credentials)
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    match timeout(PROBE_PATIENCE, client.list_tables().limit(1).send()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(innermost(&error)),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// The SDK's errors name their kind outside and their cause inside.
fn innermost<E: std::error::Error + 'static>(error: &E) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    if text.is_empty() {
        DisplayErrorContext(error).to_string()
    } else {
        text
    }
}
