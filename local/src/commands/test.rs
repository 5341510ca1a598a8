//! `cargo chat test`: all tests, with the databases that they need.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::INTERRUPTED;
use super::environment::Environment;
use super::error::CommandError;
use super::signals::stop_token;
use super::testbed::Testbed;
use super::web;
use crate::stack::{Endpoints, Progress, StackError};

/// How long tests that were asked to stop may take, before they are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Runs cargo's tests, and those of the web app after them when nothing else was asked for.
pub(super) async fn run(environment: &Environment, args: &[OsString]) -> Result<ExitCode, CommandError> {
    on_databases(environment, async |endpoints, progress, stop| {
        let code = cargo_test(environment, endpoints, args, progress, stop).await?;
        if args.is_empty() && code == ExitCode::SUCCESS {
            return web::test(environment, endpoints, progress, stop).await;
        }
        Ok(code)
    })
    .await
}

/// Runs the web app's tests.
pub(super) async fn run_web(environment: &Environment) -> Result<ExitCode, CommandError> {
    on_databases(environment, async |endpoints, progress, stop| {
        web::test(environment, endpoints, progress, stop).await
    })
    .await
}

/// Runs tests while databases for them are up.
async fn on_databases(
    environment: &Environment,
    tests: impl AsyncFnOnce(&Endpoints, &Progress, &CancellationToken) -> Result<ExitCode, CommandError>,
) -> Result<ExitCode, CommandError> {
    let (stop, progress) = (stop_token()?, Progress::new());
    let mut testbed = Testbed::open(environment, &progress, &stop).await?;
    let endpoints = testbed.endpoints().clone();
    let result = tokio::select! {
        result = tests(&endpoints, &progress, &stop) => result,
        error = testbed.keep(&progress) => Err(error.into()),
    };
    testbed.close(&progress, &stop).await;
    result
}

async fn cargo_test(
    environment: &Environment,
    endpoints: &Endpoints,
    args: &[OsString],
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<ExitCode, CommandError> {
    let args = arguments(args);
    progress.line(format_args!("Running cargo {}", args.join(OsStr::new(" ")).display()));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    for name in own_variables(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
    command
        .args(args)
        .envs(endpoints.variables())
        .current_dir(environment.workspace())
        .stdin(Stdio::null());
    run_tests(&mut command, "cargo test", stop).await
}

/// Runs a program whose output is for the person, and whose exit code is passed on.
pub(super) async fn run_tests(
    command: &mut Command,
    what: &'static str,
    stop: &CancellationToken,
) -> Result<ExitCode, CommandError> {
    let fault = |source| StackError::Spawn {
        program: what.to_owned(),
        source,
    };
    // A group of its own, so that everything that the tests start can be stopped with them.
    let mut child = Group(command.process_group(0).spawn().map_err(fault)?);
    tokio::select! {
        status = child.0.wait() => Ok(exit_code(status.map_err(fault)?)),
        () = stop.cancelled() => {
            stop_group(&mut child.0).await;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// A program and all that it started, which do not outlive whoever waits for them.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = group_of(&self.0) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// What cargo is told: all packages, unless some are chosen, which `--workspace` would override.
fn arguments(args: &[OsString]) -> Vec<OsString> {
    let chosen = args
        .iter()
        .map(|arg| arg.to_string_lossy())
        .take_while(|arg| arg != "--")
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    let workspace = (!chosen).then(|| OsString::from("--workspace"));
    [OsString::from("test")]
        .into_iter()
        .chain(workspace)
        .chain(args.iter().cloned())
        .collect()
}

/// What cargo told this process about its own package. Build scripts that say they depend on such a variable would be run
/// again, and everything above them built again, each time that it was another package's.
fn own_variables(names: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    names.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    })
}

/// The group that a child leads, unless it has ended.
fn group_of(child: &Child) -> Option<Pid> {
    child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw)
}

async fn stop_group(child: &mut Child) {
    let Some(group) = group_of(child) else { return };
    let _ = rustix::process::kill_process_group(group, Signal::INT);
    let _ = timeout(STOP_PATIENCE, child.wait()).await;
    // Cargo does not wait for its tests when it is interrupted.
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    let _ = child.wait().await;
}

/// The code to end with: that of the tests, or what a shell reports for the signal that ended them.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_packages_are_tested_unless_some_are_chosen() {
        let shown = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            arguments(&args).join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(shown(&[]), "test --workspace");
        assert_eq!(shown(&["--", "-p"]), "test --workspace -- -p");
        assert_eq!(shown(&["-p", "chat-user", "--", "x"]), "test -p chat-user -- x");
        assert_eq!(shown(&["--package=chat-user"]), "test --package=chat-user");
    }

    #[test]
    fn the_tests_are_not_told_of_this_package() {
        let names = [
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
            "CARGO_TARGET_DIR",
            "CARGO_NET_RETRY",
            "PATH",
        ];
        let removed: Vec<OsString> = own_variables(names.into_iter().map(OsString::from)).collect();
        assert_eq!(removed, ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"]);
    }

    #[test]
    fn the_exit_code_is_that_of_the_tests() {
        assert_eq!(exit_code(ExitStatus::from_raw(101 << 8)), ExitCode::from(101));
        assert_eq!(exit_code(ExitStatus::from_raw(9)), ExitCode::from(137));
        assert_eq!(exit_code(ExitStatus::from_raw(0)), ExitCode::SUCCESS);
    }
}
