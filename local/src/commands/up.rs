//! `cargo chat up`: the whole chat service on this machine.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::environment::Environment;
use super::error::CommandError;
use super::service::{self, Service};
use super::signals::stop_token;
use super::web;
use crate::gateway::GatewayError;
use crate::stack::{self, Endpoints, Folder, Given, Profile, Progress, Revived, Stack, StackError, is_free, reason};

const PORT_DEFAULT: u16 = 8080;
/// Where programs find the service while it runs.
const ADDRESSES_FILE: &str = "endpoints.json";
/// What is logged unless `RUST_LOG` says otherwise.
const LOG_DEFAULT: &str = "warn";

/// What `.chat/endpoints.json` tells programs while the service runs.
#[derive(Serialize)]
struct Addresses<'a> {
    /// The HTTP API; RPCs are at `{url}/chat.v1.…Service/…`.
    url: String,
    /// The socket for live events.
    live_url: String,
    /// `GET {token_url}?user=alice` answers with a token.
    token_url: String,
    /// The process that serves.
    pid: u32,
    #[serde(flatten)]
    databases: &'a Endpoints,
}

pub(super) async fn run(environment: &Environment) -> Result<ExitCode, CommandError> {
    let stop = stop_token()?;
    log();
    let folder = Folder::take(environment.folder())?;
    let port = port(&folder)?;
    // One that a killed run left says nothing true.
    let _ = std::fs::remove_file(folder.path().join(ADDRESSES_FILE));
    let progress = Progress::new();
    let given = Given::from_environment();
    let mut stack = Stack::start(folder, Profile::Up, &given, &environment.tools(), &progress, &stop).await?;
    let result = match web::build(environment, &progress, &stop).await {
        Err(StackError::Interrupted) => Err(StackError::Interrupted.into()),
        Ok(site) => serve(&mut stack, port, site, &progress, &stop).await,
        Err(error) => {
            progress.line(format_args!("There is no page to chat on: {}", reason(&error)));
            serve(&mut stack, port, None, &progress, &stop).await
        }
    };
    stack.stop(&progress).await;
    result.map(|()| ExitCode::SUCCESS)
}

/// Serves until it is time to stop.
async fn serve(
    stack: &mut Stack,
    port: u16,
    site: Option<PathBuf>,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<(), CommandError> {
    let has_page = site.is_some();
    let service = tokio::select! {
        service = Service::start(stack.folder(), stack.endpoints(), port, site, progress) => service?,
        () = stop.cancelled() => return Err(StackError::Interrupted.into()),
    };
    let file = stack.folder().join(ADDRESSES_FILE);
    let result = match publish(&file, service.address(), stack.endpoints()) {
        Ok(()) => {
            greet(service.address(), &file, has_page);
            tokio::select! {
                error = keep(stack, &service, progress) => Err(error),
                () = stop.cancelled() => Ok(()),
            }
        }
        Err(error) => Err(error.into()),
    };
    progress.line("Finishing what is under way.");
    let _ = std::fs::remove_file(&file);
    service.stop().await;
    result
}

/// Keeps the databases running and prepared. Returns when that is hopeless.
async fn keep(stack: &mut Stack, service: &Service, progress: &Progress) -> CommandError {
    let mut is_prepared = true;
    let mut registry_is_empty = false;
    loop {
        tokio::select! {
            revived = stack.revive(progress) => match revived {
                Ok(revived) => {
                    is_prepared = false;
                    registry_is_empty |= revived == Revived::Empty;
                }
                Err(error) => return error.into(),
            },
            prepared = service.prepare_again(), if !is_prepared => match prepared {
                Ok(()) => {
                    // Only now, so that those who connect again are let in.
                    if std::mem::take(&mut registry_is_empty) {
                        service.close_sockets();
                    }
                    progress.line("The databases are up again.");
                    is_prepared = true;
                }
                Err(error) => return error,
            },
        }
    }
}

/// The port to serve on, which is free at this moment: it is looked at before the databases take their time.
fn port(folder: &Folder) -> Result<u16, CommandError> {
    let wish = std::env::var("CHAT_PORT").unwrap_or_default();
    let port = match wish.trim() {
        "" => PORT_DEFAULT,
        wish => wish.parse().map_err(|_| CommandError::Port(wish.to_owned()))?,
    };
    if port == 0 {
        return Ok(folder.port("gateway")?);
    }
    if is_free(port) {
        Ok(port)
    } else {
        Err(GatewayError::Taken(service::address(port)).into())
    }
}

fn publish(file: &Path, address: SocketAddr, databases: &Endpoints) -> Result<(), StackError> {
    let addresses = Addresses {
        url: format!("http://{address}"),
        live_url: format!("ws://{address}/live"),
        token_url: format!("http://{address}/dev/token"),
        pid: std::process::id(),
        databases,
    };
    // Addresses of databases that the user named may hold passwords.
    stack::replace(file, &serde_json::to_vec_pretty(&addresses).unwrap_or_default(), 0o600)
}

/// Says what to do now.
fn greet(address: SocketAddr, file: &Path, has_page: bool) {
    let file = file.display();
    let open = if has_page {
        format!("  Open   http://{address}  to chat, in two windows as two people.\n\n")
    } else {
        String::new()
    };
    let text = format!(
        r#"
The chat is ready at http://{address}  (Ctrl-C stops it; addresses for programs: {file})

{open}  For programs, tokens are at  http://{address}/dev/token?user=alice :

  TOKEN=$(curl -s 'http://{address}/dev/token?user=alice')
  curl -s http://{address}/chat.v1.UserService/UpsertProfile \
    -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"displayName": "Alice"}}'

"#
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Sets the process's log up: on standard error, and only what is wrong unless `RUST_LOG` says otherwise.
pub(super) fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
