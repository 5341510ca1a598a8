//! The chat service on top of running databases: prepared, and served behind the gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chat_operation::Settings;
use chat_runtime::{Function, Trigger};
use chat_stores::dynamo::RegistryTable;
use chat_stores::sqs::LocalQueue;
use tokio::time::{sleep, timeout};

use super::error::CommandError;
use super::settings::settings;
use crate::gateway::{Gateway, GatewayConfig, Issuer, Limits, serve};
use crate::stack::{Endpoints, Progress};

/// For whom tokens are.
pub(super) const AUDIENCE: &str = "chat";
/// How long it may take to bring the databases' schemas up to date.
const PREPARATION_PATIENCE: Duration = Duration::from_mins(2);

/// How often they are prepared after a database was started again, until that succeeds.
const PREPARATIONS_MAX: usize = 30;
const PREPARATION_PAUSE: Duration = Duration::from_secs(1);

/// Where a gateway on this port listens: on loopback, for this machine alone.
pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The chat service, serving.
pub(super) struct Service {
    gateway: Gateway,
    functions: Vec<Function>,
    settings: Settings,
}

impl Service {
    /// Does what a deployment does before it takes traffic, and then serves the functions on loopback.
    pub(super) async fn start(
        folder: &Path,
        endpoints: &Endpoints,
        port: u16,
        site: Option<PathBuf>,
        progress: &Progress,
    ) -> Result<Self, CommandError> {
        let functions = crate::functions();
        let settings = settings(folder, endpoints)?;
        let step = progress.step("Schemas");
        step.say("bringing them up to date");
        prepare(&functions, &settings).await?;
        step.done("up to date");

        let step = progress.step("Gateway");
        step.say("starting");
        let address = address(port);
        let key_file = folder.join("issuer.pem");
        // A new key takes a second of computing.
        let issuer = tokio::task::spawn_blocking(move || {
            Issuer::load_or_create(&key_file, &format!("http://{address}"), AUDIENCE)
        });
        let issuer = match issuer.await {
            Ok(issuer) => issuer?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let config = GatewayConfig {
            address,
            functions: functions.clone(),
            settings: settings.clone(),
            issuer,
            limits: Limits::default(),
            site,
        };
        let gateway = serve(config).await?;
        step.done(format_args!("listening on {}", gateway.address()));
        Ok(Self {
            gateway,
            functions,
            settings,
        })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Prepares the databases again, as soon as they answer: one that was started again may have forgotten everything,
    /// as the DynamoDB API does.
    pub(super) async fn prepare_again(&self) -> Result<(), CommandError> {
        let mut attempts = 1..PREPARATIONS_MAX;
        loop {
            match prepare(&self.functions, &self.settings).await {
                Err(_) if attempts.next().is_some() => sleep(PREPARATION_PAUSE).await,
                result => return result,
            }
        }
    }

    /// Has the clients of all sockets connect again, and so register again.
    pub(super) fn close_sockets(&self) {
        self.gateway.close_sockets();
    }

    /// Ends what is under way, and serves no more.
    pub(super) async fn stop(self) {
        self.gateway.stop().await;
    }
}

/// Does what a deployment does: makes the table of connections and the queue of deliveries, which are resources of the template
/// there, and calls the functions that a deployment calls.
pub(super) async fn prepare(functions: &[Function], settings: &Settings) -> Result<(), CommandError> {
    let table = RegistryTable::new(settings).map_err(|source| CommandError::Settings {
        function: "the table of connections",
        source,
    })?;
    table.create().await.map_err(CommandError::Table)?;
    let queue = LocalQueue::new(settings).map_err(|source| CommandError::Settings {
        function: "the queue of deliveries",
        source,
    })?;
    queue.create().await.map_err(CommandError::Queue)?;
    for function in functions
        .iter()
        .filter(|function| matches!(function.trigger(), Trigger::Deployment))
    {
        let name = function.name();
        let mut environment = function
            .environment(settings)
            .map_err(|source| CommandError::Settings { function: name, source })?;
        let call = async {
            let invocation = environment.invoke(b"{}", Instant::now() + PREPARATION_PATIENCE).await?;
            invocation.after_answer.await;
            Ok(())
        };
        let called = timeout(PREPARATION_PATIENCE, call).await;
        let seconds = PREPARATION_PATIENCE.as_secs();
        let result = called.map_err(|_| CommandError::PreparationTime {
            function: name,
            seconds,
        })?;
        result.map_err(|source| CommandError::Preparation { function: name, source })?;
    }
    Ok(())
}
