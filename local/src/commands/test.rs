//! `cargo chat test`: all tests, with the databases that they need.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::INTERRUPTED;
use super::environment::Environment;
use super::error::CommandError;
use super::signals::stop_token;
use super::testbed::Testbed;
use crate::stack::{Progress, StackError, reason};

/// How long tests that were asked to stop may take, before they are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(environment: &Environment, args: &[OsString]) -> Result<ExitCode, CommandError> {
    let stop = stop_token()?;
    let progress = Progress::new();
    let mut testbed = Testbed::open(environment, &progress, &stop).await?;
    let variables = testbed.endpoints().variables();
    let args = arguments(args);
    progress.line(format_args!("Running cargo {}", args.join(OsStr::new(" ")).display()));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    for name in own_variables(std::env::vars_os().map(|(name, _)| name)) {
        command.env_remove(name);
    }
    let child = command
        .args(args)
        .envs(variables)
        .current_dir(environment.workspace())
        .stdin(Stdio::null())
        // A group of its own, so that everything that the tests start can be stopped with them.
        .process_group(0)
        .spawn()
        .map_err(|source| StackError::Spawn {
            program: cargo.to_string_lossy().into_owned(),
            source,
        });
    let result = match child {
        Ok(mut child) => {
            let ended = tokio::select! {
                status = child.wait() => Some(status),
                error = testbed.keep(&progress) => { progress.line(reason(&error)); None }
                () = stop.cancelled() => None,
            };
            match ended {
                Some(Ok(status)) => Ok(exit_code(status)),
                Some(Err(source)) => Err(StackError::Spawn {
                    program: "cargo test".to_owned(),
                    source,
                }
                .into()),
                None => {
                    stop_group(&mut child).await;
                    Ok(ExitCode::from(INTERRUPTED))
                }
            }
        }
        Err(error) => Err(error.into()),
    };
    testbed.close(&progress, &stop).await;
    result
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

async fn stop_group(child: &mut Child) {
    let Some(group) = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw)
    else {
        return;
    };
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
