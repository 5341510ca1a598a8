//! The web app: built when Node.js is there, and when something has changed since.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::environment::Environment;
use crate::stack::{Progress, StackError, reason, run_to_end};

/// What others have written and what is made here: no change of these makes the app another one.
const NOT_SOURCES: [&str; 3] = ["node_modules", "dist", "screenshots"];

/// Builds the app, and answers the folder of its files. Without Node.js, or when that fails, it says so, and the service
/// is served without a page.
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
    let npm = |args: &[&str]| {
        let mut command = Command::new("npm");
        command.args(args).current_dir(&web);
        command
    };
    let has_npm = run_to_end("npm", &mut npm(&["--version"]), stop).await;
    if let Err(StackError::Interrupted) = has_npm {
        return Err(StackError::Interrupted);
    }
    if has_npm.is_err() {
        work.done("left out, since there is no npm: install Node.js 20 or newer for a page to chat on");
        return Ok(None);
    }
    let is_installed =
        modified(&web.join("node_modules/.package-lock.json")) >= modified(&web.join("package-lock.json"));
    let mut result = Ok(String::new());
    if !is_installed {
        work.say("installing packages with npm, which takes a minute");
        result = run_to_end("npm ci", &mut npm(&["ci", "--no-audit", "--no-fund"]), stop).await;
    }
    if result.is_ok() {
        work.say("building");
        result = run_to_end("npm run build", &mut npm(&["run", "build"]), stop).await;
    }
    match result {
        Ok(_) => {
            work.done("built");
            Ok(Some(built))
        }
        Err(StackError::Interrupted) => Err(StackError::Interrupted),
        Err(error) => {
            work.done(format_args!("left out: {}", reason(&error)));
            Ok(None)
        }
    }
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
