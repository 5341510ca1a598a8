//! Both sides in turn, and what that came to.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::BenchError;
use super::bare::BareCaller;
use super::cpu::CpuTime;
use super::function::FunctionCaller;
use super::service::ServiceCaller;

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(500);
/// How long each side runs before it counts: connections are made, statements prepared, caches filled.
const WARM_UP: Duration = Duration::from_millis(700);

/// One of those who call at the same time.
pub(super) enum Caller {
    Service(Box<ServiceCaller>),
    Function(Box<FunctionCaller>),
    Bare(BareCaller),
}

impl Caller {
    async fn call(&mut self) -> Result<Duration, BenchError> {
        match self {
            Self::Service(caller) => caller.call().await,
            Self::Function(caller) => caller.call().await,
            Self::Bare(caller) => caller.call().await,
        }
    }
}

/// A value for each side.
#[derive(Default)]
pub(super) struct Sides<T> {
    pub(super) service: T,
    pub(super) bare: T,
}

/// What the calls of one side came to.
#[derive(Default)]
pub(super) struct Outcome {
    /// How long each answer took, sorted.
    latencies: Vec<Duration>,
    /// How long all of it took.
    time: Duration,
    /// None where the system does not tell.
    cpu: Option<CpuTime>,
}

impl Outcome {
    fn calls(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX))
    }

    /// Calls per second.
    pub(super) fn throughput(&self) -> f64 {
        self.calls() / self.time.as_secs_f64()
    }

    /// What this many of a hundred answers took at most, in milliseconds.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1e3
    }

    /// Processor seconds per 1,000 calls.
    pub(super) fn cpu_per_1000(&self) -> Option<CpuTime> {
        let thousands = self.calls() / 1e3;
        self.cpu.map(|cpu| CpuTime {
            process: cpu.process / thousands,
            databases: cpu.databases / thousands,
        })
    }

    fn add(&mut self, round: Self) {
        self.latencies.extend(round.latencies);
        self.cpu = match (self.cpu, round.cpu) {
            (Some(sum), Some(cpu)) => Some(CpuTime {
                process: sum.process + cpu.process,
                databases: sum.databases + cpu.databases,
            }),
            // The first round.
            (None, cpu) if self.time.is_zero() => cpu,
            _ => None,
        };
        self.time += round.time;
    }
}

/// Measures both sides for so many seconds each, in alternating rounds.
pub(super) async fn measure(mut callers: Sides<Vec<Caller>>, seconds: u32) -> Result<Sides<Outcome>, BenchError> {
    round(&mut callers.service, WARM_UP).await?;
    round(&mut callers.bare, WARM_UP).await?;
    let mut outcome = Sides::<Outcome>::default();
    let rounds = Duration::from_secs(seconds.into()).as_millis() / ROUND.as_millis();
    for number in 0..rounds {
        // Which side is first alternates as well.
        for turn in [number, number + 1] {
            if turn % 2 == 0 {
                outcome.service.add(round(&mut callers.service, ROUND).await?);
            } else {
                outcome.bare.add(round(&mut callers.bare, ROUND).await?);
            }
        }
    }
    outcome.service.latencies.sort_unstable();
    outcome.bare.latencies.sort_unstable();
    Ok(outcome)
}

/// Lets the callers call, all at once, each one call after the other.
async fn round(callers: &mut Vec<Caller>, time: Duration) -> Result<Outcome, BenchError> {
    let cpu_before = CpuTime::now();
    let start = Instant::now();
    let end = start + time;
    let mut calling = JoinSet::new();
    for mut caller in callers.drain(..) {
        calling.spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                latencies.push(caller.call().await?);
            }
            Ok((caller, latencies))
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = calling.join_next().await {
        let result: Result<_, BenchError> = match ended {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let (caller, more) = result?;
        callers.push(caller);
        latencies.extend(more);
    }
    let time = start.elapsed();
    let cpu = cpu_before
        .zip(CpuTime::now())
        .map(|(before, after)| after.since(before));
    Ok(Outcome { latencies, time, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(millis: impl Iterator<Item = u64>, cpu: Option<CpuTime>) -> Outcome {
        Outcome {
            latencies: millis.map(Duration::from_millis).collect(),
            time: Duration::from_secs(2),
            cpu,
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these are exact")]
    fn an_outcome_is_told_by_its_ranks_and_its_time() {
        let outcome = outcome(1..=200, None);
        assert_eq!(outcome.percentile_ms(50), 100.0);
        assert_eq!(outcome.percentile_ms(99), 198.0);
        assert_eq!(outcome.throughput(), 100.0);
        assert_eq!(Outcome::default().percentile_ms(50), 0.0);
    }

    #[test]
    fn processor_time_counts_only_when_every_round_has_it() {
        let cpu = CpuTime {
            process: 1.0,
            databases: 2.0,
        };
        let mut sum = Outcome::default();
        sum.add(outcome(1..=1_000, Some(cpu)));
        sum.add(outcome(1..=1_000, Some(cpu)));
        assert_eq!(sum.cpu_per_1000(), Some(cpu));
        sum.add(outcome(1..=1_000, None));
        assert_eq!(sum.cpu_per_1000(), None);
    }
}
