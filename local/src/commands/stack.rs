//! `cargo chat stack`: databases for tests, for as long as one likes.

use std::io::Write;
use std::process::ExitCode;

use super::environment::Environment;
use super::signals::stop_token;
use crate::stack::{Folder, Given, Profile, Progress, Stack, StackError};

pub(super) async fn run(environment: &Environment) -> Result<ExitCode, StackError> {
    let stop = stop_token().map_err(|source| StackError::File {
        action: "listen for",
        path: "signals".into(),
        source,
    })?;
    let progress = Progress::new();
    let folder = Folder::take(&environment.test_folder())?;
    let stack =
        Stack::start(folder, Profile::Test, &Given::from_environment(), &environment.tools(), &progress, &stop).await?;
    let mut exports = String::new();
    for (name, value) in stack.endpoints().variables() {
        exports.push_str(&format!("export {name}='{value}'\n"));
    }
    let _ = std::io::stdout().write_all(exports.as_bytes());
    progress.line("The databases run until Ctrl-C.");
    stop.cancelled().await;
    progress.line("Stopping.");
    stack.stop().await;
    Ok(ExitCode::SUCCESS)
}
