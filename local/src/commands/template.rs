//! `cargo chat template`: writes the deployment's template from the functions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::error::CommandError;
use crate::SERVICES;
use crate::stack::StackError;
use crate::template::{HEAD, Target, render};

/// What `cargo chat template` is told.
#[derive(Debug, Args)]
pub(super) struct TemplateArguments {
    /// Write nothing; fail when a file is not as it would be written.
    #[arg(long)]
    check: bool,

    /// Write the variant that ministack, a stand-in for AWS, can deploy into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "check")]
    ministack: Option<PathBuf>,
}

/// Runs at the root of the checkout, where the head is.
pub(super) fn run(arguments: &TemplateArguments) -> Result<ExitCode, CommandError> {
    let head = read(Path::new(HEAD))?;
    let (target, folder) = match &arguments.ministack {
        Some(folder) => (Target::Ministack, folder.as_path()),
        None => (Target::Aws, Path::new("")),
    };
    let mut stale = Vec::new();
    for file in render(&head, SERVICES, target)? {
        let path = folder.join(&file.path);
        if read(&path).is_ok_and(|present| present == file.text) {
            continue;
        }
        if arguments.check {
            stale.push(file.path);
            continue;
        }
        write(&path, &file.text)?;
        let _ = writeln!(std::io::stdout(), "wrote {}", path.display());
    }
    if stale.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(CommandError::Stale(stale.join(", ")))
    }
}

fn read(path: &Path) -> Result<String, StackError> {
    std::fs::read_to_string(path).map_err(|source| StackError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), StackError> {
    let written = path
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, text));
    written.map_err(|source| StackError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
