//! `cargo chat bench`: the service against a bare loop that makes the same database calls with the same drivers.
//!
//! Both sides run in this process, against the same databases, on the same data, in alternating rounds, so that what
//! the machine does besides hits both alike. The service's side is all of it: the typed client, HTTP over loopback, the
//! gateway, the Lambda events, the operation, the stores, and delivery.

mod bare;
mod cpu;
mod error;
mod measure;
mod scene;
mod service;
mod table;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};

use self::bare::Bare;
use self::measure::{Caller, Sides, measure};
use self::scene::Scene;
use self::service::Service;
use super::environment::Environment;
use super::error::CommandError;
use super::signals::stop_token;
use super::up;
use crate::stack::{Folder, Given, Profile, Progress, Stack, StackError};

pub(super) use self::error::BenchError;

/// Calls under way at once.
const CONCURRENCIES: [usize; 2] = [1, CONCURRENCY_MAX];
const CONCURRENCY_MAX: usize = 16;

/// How `cargo chat bench` was asked.
#[derive(Args, Debug)]
pub(super) struct BenchArguments {
    /// How long each side of each line is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,

    /// Measure only these, separated by commas.
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',')]
    only: Vec<Subject>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Subject {
    /// `SendMessage`, each caller in a conversation of its own.
    SendMessage,
    /// `SendMessage` whose live event is not delivered: without the read of the registry of connections.
    SendUndelivered,
    /// `ListMessages`: 50 messages anywhere in a history of 10,000.
    ListMessages10k,
    /// `ListMessages`: 50 messages anywhere in a history of 200,000.
    ListMessages200k,
    /// `ListConversations`: 100 of 100.
    ListConversations,
}

impl Subject {
    /// What the table calls it.
    fn name(self) -> &'static str {
        match self {
            Self::SendMessage => "SendMessage",
            Self::SendUndelivered => "  without delivery",
            Self::ListMessages10k => "50 of 10,000",
            Self::ListMessages200k => "50 of 200,000",
            Self::ListConversations => "ListConversations",
        }
    }
}

/// Runs the benchmark, in a release build.
pub(super) async fn run(environment: &Environment, arguments: &BenchArguments) -> Result<ExitCode, CommandError> {
    if cfg!(debug_assertions) {
        return Err(run_release(environment).into());
    }
    let stop = stop_token()?;
    up::log();
    let progress = Progress::new();
    let folder = Folder::take(&environment.bench_folder())?;
    // Never the servers that the user named: this writes a lot.
    let given = Given::default();
    let stack = Stack::start(folder, Profile::Up, &given, &environment.tools(), &progress, &stop).await?;
    let result = tokio::select! {
        result = bench(&stack, arguments, &progress) => result,
        () = stop.cancelled() => Err(StackError::Interrupted.into()),
    };
    progress.line("Stopping the databases.");
    stack.stop().await;
    let report = result?;
    // A reader that is gone needs no report.
    let _ = std::io::stdout().write_all(report.as_bytes());
    Ok(ExitCode::SUCCESS)
}

/// Becomes the same command in a release build. Returns only when that fails.
fn run_release(environment: &Environment) -> StackError {
    Progress::new().line("Building in release, which takes minutes the first time.");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let source = Command::new(&cargo)
        .args(["run", "--release", "--package", "chat-local", "--manifest-path"])
        .arg(environment.workspace().join("Cargo.toml"))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .exec();
    StackError::Spawn {
        program: cargo.to_string_lossy().into_owned(),
        source,
    }
}

async fn bench(stack: &Stack, arguments: &BenchArguments, progress: &Progress) -> Result<String, CommandError> {
    let service = Service::start(stack, progress).await?;
    let scene = Scene::prepare(stack.endpoints(), progress).await?;
    let bare = Bare::new(stack.endpoints(), service.settings()).await?;
    let subjects: Vec<Subject> = Subject::value_variants()
        .iter()
        .copied()
        .filter(|subject| arguments.only.is_empty() || arguments.only.contains(subject))
        .collect();
    let total = subjects.len() * CONCURRENCIES.len();
    let step = progress.step("Measuring");
    let mut lines = Vec::new();
    for subject in subjects {
        for concurrency in CONCURRENCIES {
            let number = lines.len() + 1;
            step.say(format_args!(
                "{} at {concurrency} ({number} of {total})",
                subject.name().trim()
            ));
            let mut sides = Sides::<Vec<Caller>>::default();
            for caller in 0..concurrency {
                let part = scene.part(subject, caller);
                sides
                    .service
                    .push(Caller::Service(service.caller(subject, part.clone())?));
                sides.bare.push(Caller::Bare(bare.caller(subject, part).await?));
            }
            let outcome = measure(sides, arguments.seconds).await?;
            lines.push(table::Line {
                subject,
                concurrency,
                outcome,
            });
        }
    }
    step.done("done");
    service.stop().await;
    Ok(table::report(&lines))
}
