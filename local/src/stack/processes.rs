//! What runs on this machine: which processes a server has started, and which of them outlived it.
//!
//! A group or a session is not enough to find them: each helper of Postgres makes itself the leader of its own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

/// A process and all that descend from it, itself first.
pub(super) fn tree(root: Pid) -> Vec<Pid> {
    let parents = parents();
    let mut known = HashSet::from([root]);
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child);
        found.extend(children.filter(|child| known.insert(*child)));
        next += 1;
    }
    found
}

/// Processes that run this program and work in exactly this folder. Only Linux tells; elsewhere none are found.
pub(super) fn working_in(folder: &Path, program: &Path) -> Vec<Pid> {
    let Ok(program) = program.canonicalize() else {
        return Vec::new();
    };
    let leads_to = |pid: Pid, link: &str, to: &Path| {
        // A process that has ended and was not waited for leads nowhere.
        let path = PathBuf::from(format!("/proc/{}/{link}", pid.as_raw_nonzero()));
        std::fs::read_link(path).is_ok_and(|found| found == to)
    };
    listed()
        .into_iter()
        .filter(|pid| leads_to(*pid, "cwd", folder) && leads_to(*pid, "exe", &program))
        .collect()
}

/// Sends a signal to each. One that has ended in the meantime needs none.
pub(super) fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
}

/// The ids of all processes, where the system shows them as files.
fn listed() -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// All processes that have a parent, with that parent.
fn parents() -> Vec<(Pid, Pid)> {
    if Path::new("/proc/self/stat").exists() {
        return listed()
            .into_iter()
            .filter_map(|pid| {
                let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
                Some((pid, parent_of(&stat)?))
            })
            .collect();
    }
    let ps = Command::new("ps").args(["-axo", "pid=,ppid="]).output();
    let text = ps.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| {
            let mut ids = line.split_whitespace().map(|id| Pid::from_raw(id.parse().ok()?));
            Some((ids.next()??, ids.next()??))
        })
        .collect()
}

/// The parent in the text of `/proc/…/stat`, where the program's name, in brackets, may hold anything.
fn parent_of(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        let stat = "25345 (postgres: a) (b) S 25340 25345 25345 0 -1";
        assert_eq!(parent_of(stat), Pid::from_raw(25340));
        assert_eq!(parent_of("1 (init) S 0 1 1"), None);
        assert_eq!(parent_of(""), None);
    }

    #[test]
    fn a_tree_has_the_processes_that_others_have_started() {
        let mut parent = Command::new("sh")
            .args(["-c", "sh -c 'echo $$; read line' & read line; wait"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = std::io::BufReader::new(parent.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        let root = Pid::from_raw(parent.id().try_into().unwrap()).unwrap();
        let child = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let found = tree(root);
        assert_eq!(found.first(), Some(&root));
        assert!(found.contains(&child), "{found:?} {child:?}");
        signal_all(&found, Signal::KILL);
        parent.wait().unwrap();
    }
}
