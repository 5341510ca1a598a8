//! `cargo chat bench`: the service against a bare loop that makes the same database calls with the same drivers.
//!
//! Both sides run in this process, against the same databases, on the same data, in alternating rounds, so that what
//! the machine does besides hits both alike. The service's side is all of it: the typed client, HTTP over loopback, the
//! gateway, the Lambda events, the operation, the stores, and delivery.

mod bare;
mod cpu;
mod device;
mod entry;
pub(super) mod error;
mod function;
mod large;
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

use self::error::BenchError;

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

    /// Places of each conversation of `new-device` and `new-device-unsealed`, which have 200 each.
    #[arg(long, value_name = "PLACES", default_value_t = 5_000, value_parser = clap::value_parser!(i64).range(1_000..=50_000))]
    places: i64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Subject {
    /// `SendMessage`, each caller in a conversation of its own.
    SendMessage,
    /// `SendMessage` whose live event is not delivered: without the read of the registry of connections.
    SendUndelivered,
    /// `SendMessage` without client, HTTP and gateway: its function alone, delivery included.
    SendFunction,
    /// `ListMessages`: 50 messages anywhere in a history of 10,000.
    ListMessages10k,
    /// `ListMessages`: 50 messages anywhere in a history of 200,000.
    ListMessages200k,
    /// `ListConversations`: 100 of 100, each caller with a list of its own.
    ListConversations,
    /// The same without client, HTTP and gateway: its function alone.
    ListConversationsFunction,
    /// `ListConversations`: 50 of 5,000.
    #[value(name = "list-conversations5k")]
    ListConversations5k,
    /// `SyncConversations` of 13 conversations in which nothing changed, against a read of their heads and read positions.
    #[value(name = "heartbeat13")]
    Heartbeat13,
    /// The same of 200.
    #[value(name = "heartbeat200")]
    Heartbeat200,
    /// What it reads of Postgres for 13 conversations, by the service's store, against the same.
    #[value(name = "heads13")]
    Heads13,
    /// The same of 200.
    #[value(name = "heads200")]
    Heads200,
    /// A new device with 200 conversations, sealed as senders do it. Only when it is named.
    NewDevice,
    /// The same with nothing sealed. Only when it is named.
    NewDeviceUnsealed,
    /// A new device with 10,000 conversations lists its feed. Only when it is named.
    NewDeviceFeed,
    /// `SendMessage` to groups of 2 to 10,000, and who hears of it. Only when it is named.
    LargeGroup,
}

impl Subject {
    /// What the table calls it.
    fn name(self) -> &'static str {
        match self {
            Self::SendMessage => "SendMessage",
            Self::SendUndelivered => "  without delivery",
            Self::SendFunction | Self::ListConversationsFunction => "  function alone",
            Self::ListMessages10k => "50 of 10,000",
            Self::ListMessages200k => "50 of 200,000",
            Self::ListConversations => "ListConversations",
            Self::ListConversations5k => "  50 of 5,000",
            Self::Heartbeat13 => "Heartbeat, 13",
            Self::Heartbeat200 => "Heartbeat, 200",
            Self::Heads13 => "  store alone, 13",
            Self::Heads200 => "  store alone, 200",
            Self::NewDevice => "new device",
            Self::NewDeviceUnsealed => "new device, unsealed",
            Self::NewDeviceFeed => "new device, feed",
            Self::LargeGroup => "large group",
        }
    }

    /// Whether it is a single event, not calls against bare ones: told apart, and only when it is named.
    fn is_event(self) -> bool {
        matches!(
            self,
            Self::NewDevice | Self::NewDeviceUnsealed | Self::NewDeviceFeed | Self::LargeGroup
        )
    }

    /// Calls under way at once. A user's lists are made one after the other, since each takes from one budget.
    fn concurrencies(self) -> &'static [usize] {
        match self {
            Self::ListConversations5k => &[1],
            _ => &CONCURRENCIES,
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
    stack.stop(&progress).await;
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
    let asked = |subject: &Subject| {
        if arguments.only.is_empty() {
            !subject.is_event()
        } else {
            arguments.only.contains(subject)
        }
    };
    let subjects: Vec<Subject> = Subject::value_variants().iter().copied().filter(asked).collect();
    let scene = Scene::prepare(stack.endpoints(), progress, &subjects, arguments.places).await?;
    let bare = Bare::new(stack.endpoints(), service.settings()).await?;
    let measured = subjects.iter().copied().filter(|subject| !subject.is_event());
    let measured: Vec<(Subject, usize)> = measured
        .flat_map(|subject| {
            subject
                .concurrencies()
                .iter()
                .map(move |concurrency| (subject, *concurrency))
        })
        .collect();
    let total = measured.len();
    let step = progress.step("Measuring");
    let mut lines = Vec::new();
    for (subject, concurrency) in measured {
        let number = lines.len() + 1;
        step.say(format_args!(
            "{} at {concurrency} ({number} of {total})",
            subject.name().trim()
        ));
        let mut sides = Sides::<Vec<Caller>>::default();
        for caller in 0..concurrency {
            let part = scene.part(subject, caller);
            sides.service.push(service.caller(subject, part.clone())?);
            sides.bare.push(Caller::Bare(bare.caller(subject, part).await?));
        }
        let outcome = measure(sides, arguments.seconds).await?;
        lines.push(table::Line {
            subject,
            concurrency,
            outcome,
        });
    }
    let mut report = if lines.is_empty() {
        String::new()
    } else {
        table::report(&lines)
    };
    for subject in subjects.iter().copied().filter(|subject| subject.is_event()) {
        step.say(subject.name());
        let told = match subject {
            Subject::LargeGroup => large::measure(&service, stack.endpoints(), &step).await?,
            _ => device::measure(subject, &service, &scene, stack.endpoints(), arguments.places).await?,
        };
        report.push_str(&told);
    }
    step.done("done");
    service.stop().await;
    Ok(report)
}
