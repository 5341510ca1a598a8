//! Under which account a server runs. Postgres refuses to run as root, and people do run `cargo chat` as root:
//! in containers and on machines that exist for an hour.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::StackError;
use super::command::run_to_end;

/// Unprivileged accounts that may be there, the most fitting one first.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The account of a server process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunAs {
    /// The account that runs `cargo chat`.
    Ourselves,
    /// Another account, which only root can give.
    Account {
        /// Its user id.
        user: u32,
        /// Its group id.
        group: u32,
    },
    /// Root outside, this account inside a user namespace: for folders that only root can reach.
    Namespace {
        /// The user id inside.
        user: u32,
        /// The group id inside.
        group: u32,
    },
}

impl RunAs {
    /// Finds an account that is not root and can reach all `paths`.
    pub(super) async fn unprivileged(paths: &[&Path], stop: &CancellationToken) -> Result<Self, StackError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let accounts = tokio::fs::read_to_string("/etc/passwd").await.unwrap_or_default();
        let Some((user, group)) = ACCOUNTS.iter().find_map(|name| find(&accounts, name)) else {
            return Err(unusable("neither an account `postgres` nor `nobody` exists"));
        };
        if paths.iter().all(|path| others_can_reach(path)) {
            return Ok(Self::Account { user, group });
        }
        let namespace = Self::Namespace { user, group };
        match run_to_end("unshare", namespace.command(Path::new("true")).current_dir("/"), stop).await {
            Ok(_) => Ok(namespace),
            Err(StackError::Interrupted) => Err(StackError::Interrupted),
            Err(_) => Err(unusable("other accounts cannot reach this folder")),
        }
    }

    /// A command that will run under the account, with little of our environment and in its own process group, so
    /// that the terminal's Ctrl-C reaches only us and we decide when and how to stop it.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = match self {
            Self::Ourselves => Command::new(program),
            Self::Account { user, group } => {
                let mut command = Command::new(program);
                command.uid(user).gid(group);
                command
            }
            Self::Namespace { user, group } => {
                let mut command = Command::new("unshare");
                command
                    .arg("--user")
                    .arg(format!("--map-user={user}"))
                    .arg(format!("--map-group={group}"));
                command.arg("--").arg(program);
                command
            }
        };
        command.env_clear().process_group(0).kill_on_drop(true);
        for name in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// Makes a folder and all in it the account's own. Which account serves a folder can change between two starts.
    pub(super) fn own(self, folder: &Path) -> Result<(), StackError> {
        let (user, group) = match self {
            Self::Ourselves => return Ok(()),
            Self::Account { user, group } => (user, group),
            Self::Namespace { .. } => (0, 0),
        };
        let metadata = folder.symlink_metadata().map_err(StackError::file("read", folder))?;
        if metadata.uid() != user || metadata.gid() != group {
            std::os::unix::fs::lchown(folder, Some(user), Some(group)).map_err(StackError::file("own", folder))?;
        }
        if metadata.is_dir() {
            for entry in std::fs::read_dir(folder).map_err(StackError::file("read", folder))? {
                self.own(&entry.map_err(StackError::file("read", folder))?.path())?;
            }
        }
        Ok(())
    }
}

fn unusable(reason: &str) -> StackError {
    StackError::Unusable {
        tool: "Postgres",
        reason: format!("it refuses to run as root, and {reason}"),
        advice: "run `cargo chat` as an ordinary user, or set DATABASE_URL to a server".to_owned(),
    }
}

/// User and group id of an account in the text of `/etc/passwd`.
fn find(accounts: &str, name: &str) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        (user != 0).then_some((user, group))
    })
}

/// Whether every folder on the way lets everybody pass.
fn others_can_reach(path: &Path) -> bool {
    path.ancestors().all(|folder| {
        folder
            .metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name_and_never_root() {
        let accounts = "root:x:0:0::/root:/bin/bash\npostgresql:x:9:9::/:/bin/sh\npostgres:x:101:104::/:/bin/sh\nnobody:x:0:0::/:/x\n";
        assert_eq!(find(accounts, "postgres"), Some((101, 104)));
        assert_eq!(find(accounts, "nobody"), None);
        assert_eq!(find(accounts, "chat"), None);
    }
}
