//! A server process: started in its own process group, watched while it starts, and stopped the way it likes.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::account::RunAs;
use super::complaint::last_complaint;
use super::folder::is_free;
use super::processes::{signal_all, tree, working_in};
use super::progress::{Progress, Step};
use super::{Revived, StackError};

/// How long a server may take until it answers. Recovery after a crash can take long, a hang must not last for ever.
const START_PATIENCE: Duration = Duration::from_secs(90);
/// How long a server may take to end after it was asked to, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a killed process may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// How often a server is started again before its end counts as final.
const REVIVALS_MAX: usize = 10;
/// How long a server must have run for its earlier ends to be forgotten.
const STABLE_AFTER: Duration = Duration::from_mins(1);
const REVIVAL_PAUSE: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(40);
/// How long helpers that outlived their server may take to end by themselves.
const STRAY_PATIENCE: Duration = Duration::from_secs(1);
/// Everything that is needed to start a server, as often as need be.
#[derive(Clone)]
pub(super) struct Launch {
    /// What people call it.
    pub name: &'static str,
    /// The executable.
    pub program: PathBuf,
    /// Its arguments. `marker` is among them.
    pub args: Vec<OsString>,
    /// Its whole environment besides what every program needs.
    pub environment: Vec<(&'static str, OsString)>,
    /// Where its log and pid file are.
    pub folder: PathBuf,
    /// Text in its arguments that no other process has: how a leftover is told from a stranger with the same pid.
    pub marker: OsString,
    /// More files whose first line is the pid of a process that may have been left over.
    pub pid_files: Vec<PathBuf>,
    /// The folder in which its helpers work, when it has some whose arguments do not hold the marker.
    pub helpers_in: Option<PathBuf>,
    /// What is left of its data when it ends.
    pub revived: Revived,
    /// Under which account.
    pub run_as: RunAs,
    /// The signal that makes it end in good order.
    pub stop_signal: Signal,
}

impl Launch {
    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    /// Where its output goes.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Where the output of the run before is.
    fn old_log(&self) -> PathBuf {
        self.folder.join("log.before")
    }

    /// Keeps the log of a run that is over, until the next one is.
    fn put_log_away(&self) {
        let log = self.log();
        if log.exists() {
            let _ = std::fs::rename(&log, self.old_log());
        }
    }

    /// Stops what an earlier, killed run of ours left running, and removes pid files that name a stranger. `port` is
    /// where the leftover would be listening.
    pub(super) async fn stop_leftover(&self, port: Option<u16>, step: &Step) -> Result<(), StackError> {
        let own = self.pid_file();
        for file in self.pid_files.iter().chain([&own]) {
            let Ok(text) = tokio::fs::read_to_string(file).await else {
                continue;
            };
            if let Some(pid) = text
                .lines()
                .next()
                .and_then(|line| line.trim().parse().ok())
                .and_then(Pid::from_raw)
                && self.owns(pid).await
            {
                step.say(format_args!("stopping what an earlier run left running (pid {pid})"));
                self.end_leftover(pid).await?;
                // The system closes a process's sockets a little after its command line is gone.
                let deadline = Instant::now() + KILL_PATIENCE;
                while port.is_some_and(|port| !is_free(port)) && Instant::now() < deadline {
                    sleep(POLL_INTERVAL).await;
                }
            }
            // The number now belongs to nobody or to a stranger; a server that finds it would refuse to start.
            match tokio::fs::remove_file(file).await {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StackError::File {
                        action: "remove",
                        path: file.clone(),
                        source,
                    });
                }
                _ => {}
            }
        }
        self.end_strays().await
    }

    async fn end_leftover(&self, pid: Pid) -> Result<(), StackError> {
        // It may end by itself between the look and a signal.
        ask_to_end(pid, self.stop_signal);
        for patience in [STOP_PATIENCE, KILL_PATIENCE] {
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.owns(pid).await {
                    return Ok(());
                }
                sleep(POLL_INTERVAL).await;
            }
            signal_all(&tree(pid), Signal::KILL);
        }
        Err(self.does_not_end(&[pid]))
    }

    /// Ends the helpers of a server that is gone. They do so by themselves, unless they are frozen, and hold what the
    /// next server needs until then.
    async fn end_strays(&self) -> Result<(), StackError> {
        let Some(folder) = &self.helpers_in else {
            return Ok(());
        };
        let mut strays = working_in(folder, &self.program);
        for (signal, patience) in [(Signal::CONT, STRAY_PATIENCE), (Signal::KILL, KILL_PATIENCE)] {
            let deadline = Instant::now() + patience;
            while !strays.is_empty() && Instant::now() < deadline {
                signal_all(&strays, signal);
                sleep(POLL_INTERVAL).await;
                strays = working_in(folder, &self.program);
            }
        }
        if strays.is_empty() {
            Ok(())
        } else {
            Err(self.does_not_end(&strays))
        }
    }

    fn does_not_end(&self, pids: &[Pid]) -> StackError {
        let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
        StackError::Failed {
            program: format!("stopping the {} of an earlier run", self.name),
            reason: format!("it does not end: try `kill -9 {}`, then start again", list.join(" ")),
        }
    }

    /// Whether a process is this server. A zombie has no command line, so it is nobody's.
    async fn owns(&self, pid: Pid) -> bool {
        let pid = pid.as_raw_nonzero().get();
        let line = if Path::new("/proc/self/cmdline").exists() {
            tokio::fs::read(format!("/proc/{pid}/cmdline"))
                .await
                .unwrap_or_default()
        } else {
            let ps = Command::new("ps")
                .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
                .output()
                .await;
            ps.map(|output| output.stdout).unwrap_or_default()
        };
        let marker = self.marker.as_encoded_bytes();
        line.windows(marker.len().max(1)).any(|window| window == marker)
    }

    /// Starts the process.
    pub(super) fn spawn(self) -> Result<Server, StackError> {
        let log = self.log();
        self.put_log_away();
        let output = std::fs::File::create(&log).map_err(StackError::file("create", &log))?;
        let errors = output.try_clone().map_err(StackError::file("create", &log))?;
        let child = self
            .run_as
            .command(&self.program)
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| StackError::Spawn {
                program: self.program.display().to_string(),
                source,
            })?;
        if let Some(pid) = child.id() {
            super::folder::replace(&self.pid_file(), format!("{pid}\n").as_bytes(), 0o644)?;
        }
        Ok(Server {
            launch: self,
            child,
            started: Instant::now(),
            revivals: 0,
            revival: None,
        })
    }
}

/// A running server. Whoever holds it stops it; one that is dropped is killed.
pub(super) struct Server {
    launch: Launch,
    child: Child,
    started: Instant,
    /// How often it was started again since it last was stable.
    revivals: usize,
    /// When it is to be started again, once it has ended.
    revival: Option<Instant>,
}

impl Server {
    /// Calls `probe` until it succeeds. A server that ends, stays silent, or is no longer wanted is stopped.
    pub(super) async fn ready<P>(self, stop: &CancellationToken, mut probe: P) -> Result<Self, StackError>
    where
        P: AsyncFnMut() -> Result<(), String>,
    {
        let name = self.launch.name;
        let log = self.launch.log();
        self.guard(stop, async {
            let deadline = Instant::now() + START_PATIENCE;
            loop {
                match timeout(START_PATIENCE, probe()).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(reason)) if Instant::now() > deadline => {
                        return Err(StackError::Silent {
                            name,
                            waited: START_PATIENCE,
                            reason,
                            log,
                        });
                    }
                    Err(_) => {
                        let reason = "it accepts connections but says nothing".to_owned();
                        return Err(StackError::Silent {
                            name,
                            waited: START_PATIENCE,
                            reason,
                            log,
                        });
                    }
                    Ok(Err(_)) => sleep(POLL_INTERVAL).await,
                }
            }
        })
        .await
    }

    /// Does something with the starting server, and stops the server when that fails.
    pub(super) async fn guard<W>(mut self, stop: &CancellationToken, work: W) -> Result<Self, StackError>
    where
        W: Future<Output = Result<(), StackError>>,
    {
        let result = tokio::select! {
            result = work => result,
            status = self.child.wait() => Err(StackError::Ended {
                name: self.launch.name,
                status: describe(status.ok()),
                reason: last_complaint(&self.launch.log()).await,
                log: self.launch.log(),
            }),
            () = stop.cancelled() => Err(StackError::Interrupted),
        };
        match result {
            Ok(()) => Ok(self),
            Err(error) => {
                self.stop().await;
                Err(error)
            }
        }
    }

    /// Waits until the process ends by itself, and starts it again, which is what a managed database would do. Fails
    /// when it ends too often. May be dropped and called again.
    pub(super) async fn revive(&mut self, progress: &Progress) -> Result<Revived, StackError> {
        let status = describe(self.child.wait().await.ok());
        let (name, log) = (self.launch.name, self.launch.log());
        let moment = if let Some(moment) = self.revival {
            moment
        } else {
            if self.started.elapsed() > STABLE_AFTER {
                self.revivals = 0;
            }
            if self.revivals >= REVIVALS_MAX {
                return Err(StackError::Unstable {
                    name,
                    times: self.revivals + 1,
                    log,
                });
            }
            // The name under which whoever reads this line finds it.
            self.launch.put_log_away();
            progress.line(format_args!(
                "{name} ended ({status}): starting it again; its log is {}",
                self.launch.old_log().display()
            ));
            // A killed server's helpers need a moment to notice, and hold what the new one needs.
            *self.revival.insert(Instant::now() + REVIVAL_PAUSE)
        };
        sleep_until(moment).await;
        self.launch.end_strays().await?;
        let revivals = self.revivals + 1;
        *self = self.launch.clone().spawn()?;
        self.revivals = revivals;
        Ok(self.launch.revived)
    }

    /// Ends the process and all that it has started: by its own signal, and by force if it does not listen.
    pub(super) async fn stop(mut self) {
        // `id` is none once the process was waited for, so a stranger with its number is never signalled.
        let pid = self
            .child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            ask_to_end(pid, self.launch.stop_signal);
            if timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
                signal_all(&tree(pid), Signal::KILL);
                let _ = timeout(KILL_PATIENCE, self.child.wait()).await;
            }
        }
        // What cannot be ended is told by the next start.
        let _ = self.launch.end_strays().await;
        let _ = tokio::fs::remove_file(self.launch.pid_file()).await;
    }
}

/// Asks a server to end in good order. Frozen processes hear of it only when they go on.
fn ask_to_end(pid: Pid, stop_signal: Signal) {
    signal_all(&[pid], stop_signal);
    signal_all(&tree(pid), Signal::CONT);
}

fn describe(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.code(), status.signal())) {
        Some((Some(code), _)) => format!("exit status {code}"),
        Some((None, Some(signal))) => format!("signal {signal}"),
        _ => "unknown exit status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// A process that waits for as long as nobody ends it, and has `text` in its command line.
    fn process(text: &str) -> std::process::Child {
        let mut process = std::process::Command::new("sh")
            .args(["-c", "echo running; read line", text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // For a moment after its start, the system shows no command line.
        let mut said = [0; 8];
        process.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        process
    }

    /// A server whose earlier run left `pid` behind.
    fn launch(name: &str, pid: u32) -> Launch {
        let folder = std::env::temp_dir().join(format!("chat-server-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("pid"), format!("{pid}\n")).unwrap();
        Launch {
            name: "server",
            program: "true".into(),
            args: Vec::new(),
            environment: Vec::new(),
            marker: folder.join("data").into(),
            folder,
            pid_files: Vec::new(),
            helpers_in: None,
            revived: Revived::WithData,
            run_as: RunAs::Ourselves,
            stop_signal: Signal::TERM,
        }
    }

    #[tokio::test]
    async fn a_leftover_of_an_earlier_run_is_ended() {
        let folder = std::env::temp_dir().join(format!("chat-server-{}-leftover", std::process::id()));
        let mut leftover = process(folder.join("data").to_str().unwrap());
        let launch = launch("leftover", leftover.id());
        launch
            .stop_leftover(None, &Progress::new().step("server"))
            .await
            .unwrap();
        assert_eq!(leftover.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
        assert!(!launch.pid_file().exists());
        std::fs::remove_dir_all(&launch.folder).unwrap();
    }

    #[tokio::test]
    async fn a_stranger_with_the_number_of_an_earlier_run_is_left_alone() {
        let mut stranger = process("somebody else");
        let launch = launch("stranger", stranger.id());
        launch
            .stop_leftover(None, &Progress::new().step("server"))
            .await
            .unwrap();
        assert_eq!(stranger.try_wait().unwrap(), None);
        assert!(!launch.pid_file().exists());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
        std::fs::remove_dir_all(&launch.folder).unwrap();
    }
}
