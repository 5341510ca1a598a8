//! The commands of `cargo chat`.

mod bench;
mod environment;
mod error;
mod files;
mod new_operation;
mod service;
mod settings;
mod signals;
mod stack;
mod template;
mod test;
mod testbed;
mod up;
mod web;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::environment::Environment;

use self::bench::BenchArguments;
use self::error::CommandError;
use self::new_operation::NewOperationArguments;
use self::template::TemplateArguments;
use crate::stack::{StackError, reason};

/// What a shell reports for a program that Ctrl-C ended before it had done its work.
const INTERRUPTED: u8 = 130;

/// Run and test the chat service on this machine, with real databases.
#[derive(Debug, Parser)]
#[command(name = "cargo chat", bin_name = "cargo chat", version, arg_required_else_help = true)]
pub struct Arguments {
    /// Keep data, logs and fetched servers here instead of in .chat/ of the checkout.
    #[arg(long, value_name = "PATH", global = true)]
    folder: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the databases and serve the chat on port 8080 (or `CHAT_PORT`) until Ctrl-C.
    Up,
    /// Run all tests, or those of the packages chosen with -p, with the databases that they need.
    Test {
        /// Passed on to cargo test.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<OsString>,
    },
    /// Run the tests of the web app, in a browser, with the databases that they need.
    TestWeb,
    /// Start only databases for tests, print their addresses as shell exports, and stay until Ctrl-C.
    Stack,
    /// Write the files of a new RPC, with the tests that every operation has.
    NewOperation(NewOperationArguments),
    /// Write template.yaml and stacks/ from the functions and what they need.
    Template(TemplateArguments),
    /// Measure the service, in a release build, against a bare loop of the same database calls.
    Bench(BenchArguments),
}

impl Arguments {
    /// Does what was asked, and returns the process's exit code: 0, 1 after an error that was shown, or that of the
    /// program that was run.
    pub fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return fail(&format!("cannot start: {error}")),
        };
        runtime.block_on(async {
            let environment = Environment::new(self.folder);
            let result = match self.command {
                Command::Up => up::run(&environment).await,
                Command::Test { args } => test::run(&environment, &args).await,
                Command::TestWeb => test::run_web(&environment).await,
                Command::Stack => stack::run(&environment).await,
                Command::NewOperation(arguments) => new_operation::run(&environment, &arguments),
                Command::Template(arguments) => template::run(&environment, &arguments),
                Command::Bench(arguments) => bench::run(&environment, &arguments).await,
            };
            result.unwrap_or_else(|error| match error {
                CommandError::Stack(StackError::Interrupted) => {
                    let _ = writeln!(std::io::stderr(), "Stopped.");
                    ExitCode::from(INTERRUPTED)
                }
                error => fail(&reason(&error)),
            })
        })
    }
}

/// Shows an error. A standard error that is gone cannot be complained to.
fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::FAILURE
}
