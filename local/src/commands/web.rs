//! The web app: built when Node.js is there and something has changed since, and tested.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::SystemTime;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::environment::Environment;
use super::error::CommandError;
use super::service::Service;
use super::test::run_tests;
use crate::stack::{Endpoints, Progress, StackError, run_to_end};

/// What others have written and what is made here: no change of these makes the app another one.
const NOT_SOURCES: [&str; 4] = ["node_modules", "dist", "e2e", "screenshots"];

/// Builds the app unless it is built, and answers the folder of its files; none without npm, which it says.
pub(super) async fn build(
    environment: &Environment,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Option<PathBuf>, StackError> {
    let web = environment.workspace().join("web");
    let built = web.join("app/dist");
    let work = progress.step("Web app");
    let made = modified(&built.join("index.html"));
    if made.is_some() && made >= newest(&web) {
        work.done("built before");
        return Ok(Some(built));
    }
    match run_to_end("npm", &mut npm(&web, &["--version"]), stop).await {
        Ok(_) => {}
        Err(StackError::Interrupted) => return Err(StackError::Interrupted),
        Err(_) => {
            work.done("left out, since there is no npm: with Node.js there is a page to chat on");
            return Ok(None);
        }
    }
    if modified(&web.join("node_modules/.package-lock.json")) < modified(&web.join("package-lock.json")) {
        work.say("installing packages with npm, which takes a minute");
        run_to_end("web/install.sh", &mut Command::new(web.join("install.sh")), stop).await?;
    }
    work.say("building");
    run_to_end("npm run build", &mut npm(&web, &["run", "build"]), stop).await?;
    work.done("built");
    Ok(Some(built))
}

/// Tests the client library and the app, in a browser and against the service on these databases. Without npm there is
/// nothing to test with, which it says.
pub(super) async fn test(
    environment: &Environment,
    endpoints: &Endpoints,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<ExitCode, CommandError> {
    let Some(site) = build(environment, progress, stop).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let folder = environment.test_folder();
    // Tokens name the address, so it is chosen before the gateway listens.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = port.map_err(StackError::file("find a free port for", &folder))?.port();
    let service = Box::pin(Service::start(&folder, endpoints, port, Some(site), progress)).await?;
    progress.line("Running npm test");
    let mut command = npm(&environment.workspace().join("web"), &["test"]);
    command
        .env("CHAT_URL", format!("http://{}", service.address()))
        .stdin(Stdio::null());
    let result = run_tests(&mut command, "npm test", stop).await;
    service.stop().await;
    result
}

fn npm(web: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(args).current_dir(web);
    command
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// When the last of the sources was written.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| !NOT_SOURCES.iter().any(|name| entry.file_name() == *name))
        .filter_map(|entry| {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { newest(&path) } else { modified(&path) }
        })
        .max()
}
