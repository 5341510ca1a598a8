//! The databases that the chat needs, as processes of this machine: Postgres, a mongod replica set and a DynamoDB API.
//!
//! A stack lives in a folder, which holds the data, the logs, and the ports of the last time. It uses the servers that
//! the user names (`DATABASE_URL`, `MONGODB_URI`, `AWS_ENDPOINT_URL`) and never touches those; starts installed ones; or
//! fetches packaged ones. It never listens on anything but loopback, and it stops what it started and nothing else:
//! after a kill, the next start ends the leftovers.

mod account;
mod command;
mod complaint;
mod dynamodb;
mod error;
mod folder;
mod mongod;
mod postgres;
mod processes;
mod progress;
mod server;
mod tools;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(crate) use self::command::run_to_end;
pub use self::error::StackError;
pub use self::folder::{Folder, is_free, replace};
pub use self::progress::{Progress, Step};
pub use self::tools::Tools;

use self::server::Server;

/// How long servers that the user named are looked for without a word, and between two.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// How long a server that the user named may take to answer.
const GIVEN_PATIENCE: Duration = Duration::from_secs(5);

/// What a stack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// People's data: everything acknowledged survives a power cut.
    Up,
    /// Tests: many databases at once, fast, and nothing that a power cut may not take.
    Test,
}

/// Where the databases are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Postgres, with a role that may create databases and roles.
    pub database_url: String,
    /// The MongoDB replica set.
    pub mongodb_uri: String,
    /// The DynamoDB API.
    pub aws_endpoint_url: String,
}

impl Endpoints {
    /// The endpoints as the environment variables that functions, tests and AWS tools read. Credentials that the user
    /// has set win over the made-up ones, which a local API takes and AWS does not.
    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        let or = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        BTreeMap::from([
            ("DATABASE_URL", self.database_url.clone()),
            ("MONGODB_URI", self.mongodb_uri.clone()),
            ("AWS_ENDPOINT_URL", self.aws_endpoint_url.clone()),
            ("AWS_REGION", or("AWS_REGION", dynamodb::LOCAL_REGION)),
            ("AWS_ACCESS_KEY_ID", or("AWS_ACCESS_KEY_ID", dynamodb::LOCAL_CREDENTIAL)),
            (
                "AWS_SECRET_ACCESS_KEY",
                or("AWS_SECRET_ACCESS_KEY", dynamodb::LOCAL_CREDENTIAL),
            ),
        ])
    }
}

/// The servers that the user named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Postgres.
    pub database_url: Option<String>,
    /// MongoDB.
    pub mongodb_uri: Option<String>,
    /// DynamoDB.
    pub aws_endpoint_url: Option<String>,
}

impl Given {
    /// Reads `DATABASE_URL`, `MONGODB_URI` and `AWS_ENDPOINT_URL`; an empty one counts as not set.
    pub fn from_environment() -> Self {
        let read = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            database_url: read("DATABASE_URL"),
            mongodb_uri: read("MONGODB_URI"),
            aws_endpoint_url: read("AWS_ENDPOINT_URL"),
        }
    }

    /// The variables that name a server.
    fn variables(&self) -> impl Iterator<Item = &'static str> {
        [
            ("DATABASE_URL", &self.database_url),
            ("MONGODB_URI", &self.mongodb_uri),
            ("AWS_ENDPOINT_URL", &self.aws_endpoint_url),
        ]
        .into_iter()
        .filter_map(|(name, url)| url.is_some().then_some(name))
    }

    /// Checks that every server that the user named answers.
    pub async fn check(&self) -> Result<(), StackError> {
        let postgres = async {
            match &self.database_url {
                Some(url) => postgres::check(url).await,
                None => Ok(()),
            }
        };
        let mongod = async {
            match &self.mongodb_uri {
                Some(uri) => mongod::check(uri).await,
                None => Ok(()),
            }
        };
        let dynamodb = async {
            match &self.aws_endpoint_url {
                Some(url) => dynamodb::check(url).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(postgres, mongod, dynamodb).map(|_| ())
    }

    /// The endpoints with those that the user named in their place.
    pub fn instead_of(&self, endpoints: Endpoints) -> Endpoints {
        Endpoints {
            database_url: self.database_url.clone().unwrap_or(endpoints.database_url),
            mongodb_uri: self.mongodb_uri.clone().unwrap_or(endpoints.mongodb_uri),
            aws_endpoint_url: self.aws_endpoint_url.clone().unwrap_or(endpoints.aws_endpoint_url),
        }
    }
}

/// What every server's start needs to know.
struct Start<'a> {
    folder: &'a Folder,
    profile: Profile,
    tools: &'a Tools,
    progress: &'a Progress,
    stop: &'a CancellationToken,
}

/// What a server that was started again has of what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revived {
    /// Everything that it had acknowledged.
    WithData,
    /// Nothing: it keeps all in memory, as the DynamoDB API does.
    Empty,
}

/// Running databases. Whoever holds the stack calls [`Stack::stop`]; dropping it kills its servers.
pub struct Stack {
    endpoints: Endpoints,
    servers: Vec<Server>,
    // Last, so that the folder is free only when the servers are gone.
    folder: Folder,
}

impl Stack {
    /// Starts everything at once. On failure, and when `stop` is cancelled, whatever had started is stopped again.
    pub async fn start(
        folder: Folder,
        profile: Profile,
        given: &Given,
        tools: &Tools,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self, StackError> {
        let mut check = Box::pin(given.check());
        loop {
            tokio::select! {
                checked = &mut check => break checked?,
                () = stop.cancelled() => return Err(StackError::Interrupted),
                () = tokio::time::sleep(TELL_AFTER) => {
                    let named: Vec<_> = given.variables().collect();
                    progress.line(format_args!("Looking for the servers that are named: {}.", named.join(", ")));
                }
            }
        }
        for variable in given.variables() {
            progress.line(format_args!("Using the server that {variable} names."));
        }
        // The first failure ends the others' starts.
        let stop = stop.child_token();
        let start = Start {
            folder: &folder,
            profile,
            tools,
            progress,
            stop: &stop,
        };
        let started = tokio::join!(
            unless_given(given.database_url.as_deref(), Box::pin(postgres::start(&start)), &stop),
            unless_given(given.mongodb_uri.as_deref(), Box::pin(mongod::start(&start)), &stop),
            unless_given(
                given.aws_endpoint_url.as_deref(),
                Box::pin(dynamodb::start(&start)),
                &stop
            ),
        );
        let mut servers = Vec::new();
        let mut failures = Vec::new();
        let mut take = |result: Result<(Option<Server>, String), StackError>| match result {
            Ok((server, url)) => {
                servers.extend(server);
                url
            }
            Err(error) => {
                failures.push(error);
                String::new()
            }
        };
        let endpoints = Endpoints {
            database_url: take(started.0),
            mongodb_uri: take(started.1),
            aws_endpoint_url: take(started.2),
        };
        if failures.is_empty() {
            return Ok(Self {
                endpoints,
                servers,
                folder,
            });
        }
        stop_all(servers).await;
        // Those that were only interrupted by another's failure have nothing to say.
        let cause = failures
            .iter()
            .position(|error| !matches!(error, StackError::Interrupted))
            .unwrap_or_default();
        Err(failures.swap_remove(cause))
    }

    /// Where the databases are.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The folder that the stack lives in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until a server ends by itself, and starts it again where it was; it answers a little later. Fails when
    /// that is hopeless. May be dropped and called again.
    pub async fn revive(&mut self, progress: &Progress) -> Result<Revived, StackError> {
        let revivals: Vec<_> = self
            .servers
            .iter_mut()
            .map(|server| Box::pin(server.revive(progress)))
            .collect();
        if revivals.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(revivals).await.0
    }

    /// Stops everything that was started.
    pub async fn stop(self, progress: &Progress) {
        if !self.servers.is_empty() {
            progress.line("Stopping the databases.");
        }
        stop_all(self.servers).await;
    }
}

async fn stop_all(servers: Vec<Server>) {
    futures::future::join_all(servers.into_iter().map(Server::stop)).await;
}

/// Starts a server that the user did not name. A failure cancels `stop`.
async fn unless_given(
    given: Option<&str>,
    start: impl Future<Output = Result<(Server, String), StackError>>,
    stop: &CancellationToken,
) -> Result<(Option<Server>, String), StackError> {
    if let Some(url) = given {
        return Ok((None, url.to_owned()));
    }
    let result = start.await;
    if result.is_err() {
        stop.cancel();
    }
    result.map(|(server, url)| (Some(server), url))
}

/// An error's own text and its causes', in one line, without what is repeated.
pub fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}
