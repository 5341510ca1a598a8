//! Databases for tests, which several `cargo chat` processes of a checkout may use at once: the first one starts them,
//! later ones join, and the first one waits for the others before it stops them.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::environment::Environment;
use crate::stack::{self, Endpoints, Folder, Given, Profile, Progress, Stack, StackError};

/// How often a lock or file of another process is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const ENDPOINTS_FILE: &str = "endpoints.json";
/// Held shared by those who use the databases, and exclusively by the one that stops them.
const USERS_FILE: &str = "users";

/// Databases for tests.
pub(super) struct Testbed {
    endpoints: Endpoints,
    /// None when another process runs them.
    stack: Option<Stack>,
    users: File,
}

impl Testbed {
    /// Starts the databases, or joins those that another `cargo chat` has started.
    pub(super) async fn open(
        environment: &Environment,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self, StackError> {
        let path = environment.test_folder();
        let given = Given::from_environment();
        let mut told = false;
        loop {
            match Folder::take(&path) {
                Ok(folder) => return Self::own(folder, &given, environment, progress, stop).await,
                Err(StackError::Running { pid, .. }) => {
                    if let Some((endpoints, users)) = join(&path)? {
                        progress.line(format_args!("Using the test databases that pid {pid} runs."));
                        given.check().await?;
                        return Ok(Self {
                            endpoints: given.instead_of(endpoints),
                            stack: None,
                            users,
                        });
                    }
                    if !told {
                        progress.line(format_args!("Waiting for the test databases of pid {pid}."));
                        told = true;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_INTERVAL) => {}
                        () = stop.cancelled() => return Err(StackError::Interrupted),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn own(
        folder: Folder,
        given: &Given,
        environment: &Environment,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self, StackError> {
        let endpoints_path = folder.path().join(ENDPOINTS_FILE);
        let users = users(folder.path())?;
        // Those of an earlier run that was killed are not answering, or not for long.
        let _ = std::fs::remove_file(&endpoints_path);
        let stack = Stack::start(folder, Profile::Test, given, &environment.tools(), progress, stop).await?;
        let endpoints = stack.endpoints().clone();
        let text = serde_json::to_vec_pretty(&endpoints).unwrap_or_default();
        if let Err(error) = stack::replace(&endpoints_path, &text, 0o600) {
            stack.stop(progress).await;
            return Err(error);
        }
        Ok(Self {
            endpoints,
            stack: Some(stack),
            users,
        })
    }

    /// Where the databases are.
    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Keeps the databases running if they are ours. Returns when that is hopeless.
    pub(super) async fn keep(&mut self, progress: &Progress) -> StackError {
        let Some(stack) = &mut self.stack else {
            return std::future::pending().await;
        };
        loop {
            if let Err(error) = stack.revive(progress).await {
                return error;
            }
        }
    }

    /// Stops the databases if they are ours, as soon as nobody else uses them, or at once when `stop` is cancelled.
    pub(super) async fn close(self, progress: &Progress, stop: &CancellationToken) {
        let Some(stack) = self.stack else { return };
        let mut told = false;
        while let Err(TryLockError::WouldBlock) = self.users.try_lock() {
            if stop.is_cancelled() {
                break;
            }
            if !told {
                progress.line("Waiting for others who use these databases. Ctrl-C stops the databases now.");
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
        }
        let _ = std::fs::remove_file(stack.folder().join(ENDPOINTS_FILE));
        stack.stop(progress).await;
    }
}

fn users(folder: &Path) -> Result<File, StackError> {
    let path = folder.join(USERS_FILE);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| StackError::File {
            action: "open",
            path,
            source,
        })
}

/// The endpoints of databases that another process runs, with the lock that keeps them up; none while they are
/// starting or stopping.
fn join(folder: &Path) -> Result<Option<(Endpoints, File)>, StackError> {
    let users = users(folder)?;
    if users.try_lock_shared().is_err() {
        return Ok(None);
    }
    let text = std::fs::read(folder.join(ENDPOINTS_FILE)).ok();
    Ok(text
        .and_then(|text| serde_json::from_slice(&text).ok())
        .map(|endpoints| (endpoints, users)))
}
