//! Programs that end by themselves.

use std::process::Stdio;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::complaint::complaint;
use super::error::StackError;

/// Runs a program that ends by itself, and returns what it printed.
pub(crate) async fn run_to_end(
    what: &str,
    command: &mut Command,
    stop: &CancellationToken,
) -> Result<String, StackError> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| StackError::Spawn {
            program: what.to_owned(),
            source,
        })?;
    let output = tokio::select! {
        output = child.wait_with_output() => output,
        () = stop.cancelled() => return Err(StackError::Interrupted),
    };
    let output = output.map_err(|source| StackError::Spawn {
        program: what.to_owned(),
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(StackError::Failed {
        program: what.to_owned(),
        reason: complaint(&said),
    })
}
