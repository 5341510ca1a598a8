//! How much the processor did for whom.

use std::collections::HashMap;

/// The unit of `/proc/…/stat`, which Linux keeps at this for programs, whatever it counts in itself.
const TICKS_PER_SECOND: u32 = 100;

/// Seconds of processor time, summed over all cores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CpuTime {
    /// This process.
    pub(super) process: f64,
    /// The databases: everything that this process started.
    pub(super) databases: f64,
}

impl CpuTime {
    /// All time used until now. None where there is no `/proc`.
    pub(super) fn now() -> Option<Self> {
        let processes: HashMap<u32, Stat> = std::fs::read_dir("/proc")
            .ok()?
            .filter_map(|entry| {
                let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
                // A process may end while this reads.
                Some((
                    pid,
                    Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
                ))
            })
            .collect();
        let own = std::process::id();
        let process = processes.get(&own)?.own;
        let databases = processes
            .keys()
            .filter(|pid| **pid != own && descends(**pid, own, &processes))
            .filter_map(|pid| processes.get(pid))
            .map(|stat| stat.own + stat.children)
            .sum();
        Some(Self { process, databases })
    }

    /// What was used since an earlier moment.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            process: self.process - earlier.process,
            databases: self.databases - earlier.databases,
        }
    }
}

/// Whether a process was started by another one, directly or not.
fn descends(pid: u32, ancestor: u32, processes: &HashMap<u32, Stat>) -> bool {
    std::iter::successors(processes.get(&pid), |stat| processes.get(&stat.parent))
        // A chain that is longer has a circle, made by a number that was given anew meanwhile.
        .take(processes.len())
        .any(|stat| stat.parent == ancestor)
}

#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// Seconds that it used.
    own: f64,
    /// Seconds that its ended children used.
    children: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name before it may have any characters, parentheses too.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |first: usize| {
            let ticks: u32 = fields
                .get(first..first + 2)?
                .iter()
                .filter_map(|field| field.parse::<u32>().ok())
                .sum();
            Some(f64::from(ticks) / f64::from(TICKS_PER_SECOND))
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)?,
            children: ticks(13)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_process_is_called() {
        let line = "42 (a) b ( c) S 7 42 42 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 1 0 9 10 11";
        let stat = Stat {
            parent: 7,
            own: 2.0,
            children: 0.5,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("42 (a) S 7"), None);
    }
}
