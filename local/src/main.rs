//! `cargo chat`: the front door of the workspace.

use std::process::ExitCode;

use chat_local::commands::Arguments;
use clap::Parser;

fn main() -> ExitCode {
    Arguments::parse().run()
}
