//! What the person gets to see in the end.

use std::fmt::Write;

use super::measure::{Outcome, Sides};
use super::{CONCURRENCY_MAX, Subject};

/// The least share of the bare loop's throughput at [`CONCURRENCY_MAX`]: of sends, and of pages of history.
const SEND_SHARE_MIN: f64 = 0.8;
const HISTORY_SHARE_MIN: f64 = 0.65;
/// How much longer than a bare read of heads and read positions the store may take for a heartbeat.
const HEADS_RATIO_MAX: f64 = 1.3;
/// How long 50 of 5,000 conversations may take, in milliseconds.
const LIST_OF_MANY_MS_MAX: f64 = 15.0;
/// How much longer than the bare loop's the median of a lone caller may be, in milliseconds.
const MEDIAN_EXCESS_MS_MAX: f64 = 0.5;
/// How much longer the median of a long history may be than that of a short one.
const HISTORY_RATIO_MAX: f64 = 1.2;

/// What was measured of a subject.
pub(super) struct Line {
    pub(super) subject: Subject,
    pub(super) concurrency: usize,
    pub(super) outcome: Sides<Outcome>,
}

impl Line {
    fn throughput_share(&self) -> f64 {
        self.outcome.service.throughput() / self.outcome.bare.throughput()
    }

    /// The share that the processor alone would allow, databases included: what the machine does besides changes it least.
    fn cpu_share(&self) -> Option<f64> {
        let [service, bare] = [&self.outcome.service, &self.outcome.bare].map(|outcome| {
            let cpu = outcome.cpu_per_1000()?;
            Some(cpu.process + cpu.databases)
        });
        Some(bare? / service?)
    }

    /// The share of the bare loop's throughput that it is to have; none where something else is asked of it.
    fn share_min(&self) -> Option<f64> {
        match self.subject {
            Subject::SendMessage | Subject::SendUndelivered => Some(SEND_SHARE_MIN),
            Subject::ListMessages10k | Subject::ListMessages200k => Some(HISTORY_SHARE_MIN),
            _ => None,
        }
    }

    fn median_excess_ms(&self) -> f64 {
        self.outcome.service.percentile_ms(50) - self.outcome.bare.percentile_ms(50)
    }
}

/// The table, and which goals are met.
pub(super) fn report(lines: &[Line]) -> String {
    let mut text = format!(
        "\n{}\nThe service through client, HTTP and gateway (API) against the same database calls (bare).\n\n\
         {:24}{:>17}{:>22}{:>16}{:>21}\n\
         {:24}{:>17}{:>22}{:>16}{:>11}{:>13}\n\
         {:17}{:>5} {:>6}{:>7}{:>6}{:>7}{:>7}{:>7}{:>8}{:>7}{:>7}{:>6}{:>7}{:>6}\n",
        machine(),
        "",
        "calls per second",
        "median, ms",
        "p99, ms",
        "CPU s per 1,000",
        "",
        "",
        "",
        "",
        "process",
        "databases",
        "",
        "at",
        "API",
        "bare",
        "ratio",
        "API",
        "bare",
        "diff",
        "API",
        "bare",
        "API",
        "bare",
        "API",
        "bare",
    );
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", row(line));
    }
    text.push('\n');
    for goal in goals(lines) {
        let _ = writeln!(text, "{goal}");
    }
    text
}

fn row(line: &Line) -> String {
    let Sides { service, bare } = &line.outcome;
    let cpu = |outcome: &Outcome| {
        outcome.cpu_per_1000().map_or(["–".to_owned(), "–".to_owned()], |cpu| {
            [cpu.process, cpu.databases].map(|seconds| format!("{seconds:.2}"))
        })
    };
    let ([service_cpu, service_databases], [bare_cpu, bare_databases]) = (cpu(service), cpu(bare));
    format!(
        "{:18}{:>4} {:>6.0}{:>7.0}{:>6.2}{:>7.2}{:>7.2}{:>+7.2}{:>8.2}{:>7.2}{:>7}{:>6}{:>7}{:>6}",
        line.subject.name(),
        line.concurrency,
        service.throughput(),
        bare.throughput(),
        line.throughput_share(),
        service.percentile_ms(50),
        bare.percentile_ms(50),
        line.median_excess_ms(),
        service.percentile_ms(99),
        bare.percentile_ms(99),
        service_cpu,
        bare_cpu,
        service_databases,
        bare_databases,
    )
}

/// Each goal that what was measured tells of, with the line that is worst for it.
fn goals(lines: &[Line]) -> Vec<String> {
    let mut goals = Vec::new();
    for line in lines.iter().filter(|line| line.concurrency == CONCURRENCY_MAX) {
        let Some(share_min) = line.share_min() else { continue };
        let share = line.throughput_share();
        let by_cpu = line
            .cpu_share()
            .map(|share| format!("; by processor time alone, databases included, {share:.2}"));
        goals.push(format!(
            "{} {} at {CONCURRENCY_MAX}, at least {share_min:.2} of the bare loop's calls per second ({share:.2}{})",
            verdict(share >= share_min),
            line.subject.name().trim(),
            by_cpu.unwrap_or_default(),
        ));
    }
    let lone = lines.iter().filter(|line| line.concurrency == 1);
    let excess = lone
        .clone()
        .filter(|line| line.share_min().is_some())
        .max_by(|a, b| a.median_excess_ms().total_cmp(&b.median_excess_ms()));
    if let Some(line) = excess {
        let excess = line.median_excess_ms();
        goals.push(format!(
            "{} sends and pages of history at 1, a median within {MEDIAN_EXCESS_MS_MAX} ms of the bare loop's (highest: {excess:+.2} ms, {})",
            verdict(excess <= MEDIAN_EXCESS_MS_MAX),
            line.subject.name().trim(),
        ));
    }
    for line in lone {
        let Sides { service, bare } = &line.outcome;
        let median = service.percentile_ms(50);
        match line.subject {
            Subject::ListConversations5k => goals.push(format!(
                "{} the median of 50 of 5,000 conversations at most {LIST_OF_MANY_MS_MAX} ms ({median:.1})",
                verdict(median <= LIST_OF_MANY_MS_MAX),
            )),
            Subject::Heads13 | Subject::Heads200 => {
                let ratio = median / bare.percentile_ms(50);
                goals.push(format!(
                    "{} the median of a heartbeat's {} at most {HEADS_RATIO_MAX} times a bare read ({ratio:.2})",
                    verdict(ratio <= HEADS_RATIO_MAX),
                    line.subject.name().trim_start(),
                ));
            }
            _ => {}
        }
    }
    let medians = |subject| {
        let lines = lines.iter().filter(move |line| line.subject == subject);
        lines.map(|line| line.outcome.service.percentile_ms(50))
    };
    let ratio = medians(Subject::ListMessages200k)
        .zip(medians(Subject::ListMessages10k))
        .map(|(long, short)| long / short)
        .max_by(f64::total_cmp);
    if let Some(ratio) = ratio {
        goals.push(format!(
            "{} the median of a page of 200,000 at most {HISTORY_RATIO_MAX} times that of 10,000 (highest: {ratio:.2})",
            verdict(ratio <= HISTORY_RATIO_MAX),
        ));
    }
    goals
}

fn verdict(met: bool) -> &'static str {
    if met { "met:   " } else { "missed:" }
}

/// The machine, as far as the system tells.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    format!(
        "{cores} cores ({}), databases and clients on the same machine, fsync on.",
        model.as_deref().unwrap_or(std::env::consts::ARCH)
    )
}
