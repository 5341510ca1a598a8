//! The folder that a stack lives in: who holds it, and which ports it had the last time.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rand::Rng;

use super::StackError;

/// Ports are chosen below the range that Linux and macOS give to outgoing connections, so that they are likely to be
/// free again at the next start.
const PORT_FIRST: u16 = 20_000;
const PORT_LAST: u16 = 32_000;
const PORT_ATTEMPTS: usize = 200;

/// A folder that this process alone uses, until it is dropped or the process ends in any way.
pub struct Folder {
    path: PathBuf,
    ports: Mutex<BTreeMap<String, u16>>,
    _lock: File,
}

impl Folder {
    /// Creates the folder if need be, and takes it.
    pub fn take(path: &Path) -> Result<Self, StackError> {
        create_folder(path)?;
        let path = path.canonicalize().map_err(StackError::file("open", path))?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(StackError::file("open", &lock_path))?;
        // The operating system drops the lock when its holder ends, however it ends: there are no stale ones.
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = lock.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() {
                    "?".to_owned()
                } else {
                    pid.trim().to_owned()
                };
                return Err(StackError::Running { folder: path, pid });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StackError::File {
                    action: "lock",
                    path: lock_path,
                    source,
                });
            }
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(StackError::file("write", &lock_path))?;
        let ports = std::fs::read(path.join("ports.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Ok(Self {
            path,
            ports: Mutex::new(ports),
            _lock: lock,
        })
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of one server, created if need be.
    pub(super) fn of(&self, server: &str) -> Result<PathBuf, StackError> {
        let path = self.path.join(server);
        create_folder(&path)?;
        Ok(path)
    }

    /// The port that a server had the last time.
    pub(super) fn last_port(&self, server: &str) -> Option<u16> {
        self.ports
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(server)
            .copied()
    }

    /// A free loopback port for a server: the one that it had the last time, if that is still free.
    pub fn port(&self, server: &str) -> Result<u16, StackError> {
        let mut ports = self.ports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(port) = ports.get(server).copied().filter(|port| is_free(*port)) {
            return Ok(port);
        }
        let mut random = rand::rng();
        let port = std::iter::repeat_with(|| random.random_range(PORT_FIRST..=PORT_LAST))
            .take(PORT_ATTEMPTS)
            .find(|port| !ports.values().any(|taken| taken == port) && is_free(*port))
            .ok_or(StackError::Ports {
                first: PORT_FIRST,
                last: PORT_LAST,
            })?;
        ports.insert(server.to_owned(), port);
        let text = serde_json::to_vec_pretty(&*ports).unwrap_or_default();
        replace(&self.path.join("ports.json"), &text, 0o644)?;
        Ok(port)
    }
}

/// Whether nobody listens on a loopback port at this moment.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Writes a small file so that a reader sees the old text or the new one, never a half.
pub fn replace(path: &Path, text: &[u8], mode: u32) -> Result<(), StackError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let write = || {
        // A partial file of an earlier process with our id may have other permissions.
        let _ = std::fs::remove_file(&partial);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&partial)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(StackError::file("write", path))
}

/// Others may pass through the folder, since Postgres may have to run as another account; files keep to themselves.
pub(super) fn create_folder(path: &Path) -> Result<(), StackError> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(StackError::file("create", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(StackError::file("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new folder under the target folder of the build, which tests may fill.
    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("chat-folder-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_second_taker_is_told_who_holds_the_folder() {
        let path = scratch("second-taker");
        let first = Folder::take(&path).unwrap();
        let refusal = Folder::take(&path).err().unwrap().to_string();
        assert!(refusal.contains(&format!("(pid {})", std::process::id())), "{refusal}");
        drop(first);
        take_again(&path);
        std::fs::remove_dir_all(&path).unwrap();
    }

    /// Takes a folder that was dropped. A program that another test starts holds a copy of its lock between fork and exec.
    fn take_again(path: &Path) -> Folder {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            match Folder::take(path) {
                Err(StackError::Running { .. }) if std::time::Instant::now() < deadline => std::thread::yield_now(),
                taken => return taken.unwrap(),
            }
        }
    }

    #[test]
    fn a_port_is_remembered_while_it_is_free_and_replaced_when_it_is_not() {
        let path = scratch("ports");
        let first = Folder::take(&path).unwrap().port("postgres").unwrap();
        let folder = take_again(&path);
        assert_eq!(folder.port("postgres").unwrap(), first);
        let _occupied = TcpListener::bind(("127.0.0.1", first)).unwrap();
        let second = folder.port("postgres").unwrap();
        assert_ne!(second, first);
        assert_ne!(folder.port("mongod").unwrap(), second);
        drop(folder);
        assert_eq!(take_again(&path).port("postgres").unwrap(), second);
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_broken_ports_file_is_forgotten() {
        let path = scratch("broken-ports");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("ports.json"), "{\"postgres\":").unwrap();
        assert!(Folder::take(&path).unwrap().port("postgres").is_ok());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
