//! The wish to stop: Ctrl-C, a polite kill, a terminal that closes.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::stack::StackError;

/// A token that is cancelled by the first signal that asks this process to stop. Later ones change nothing: stopping
/// is bounded, and databases that are stopping in good order should not be interrupted.
pub(super) fn stop_token() -> Result<CancellationToken, StackError> {
    let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
    if !hangup_is_ignored() {
        kinds.push(SignalKind::hangup());
    }
    let token = CancellationToken::new();
    for kind in kinds {
        let mut stream = signal(kind).map_err(StackError::Signals)?;
        let token = token.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                token.cancel();
            }
        });
    }
    Ok(token)
}

/// Whether we were started by `nohup`, whose wish a handler of our own would override.
fn hangup_is_ignored() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return false;
    };
    ignores_hangup(&status)
}

/// Reads the mask of ignored signals, in which bit 0 is signal 1, the hangup.
fn ignores_hangup(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_tells_whether_a_hangup_is_ignored() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
