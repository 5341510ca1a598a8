//! `cargo chat template`: writes the deployment's template from the functions.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::environment::Environment;
use super::error::CommandError;
use super::files;
use crate::SERVICES;
use crate::template::{HEAD, Target, render};

/// What `cargo chat template` is told.
#[derive(Debug, Args)]
pub(super) struct TemplateArguments {
    /// Write the variant that ministack, a stand-in for AWS, can deploy into this folder.
    #[arg(long, value_name = "FOLDER")]
    ministack: Option<PathBuf>,
}

/// Writes the files that are stale.
pub(super) fn run(environment: &Environment, arguments: &TemplateArguments) -> Result<ExitCode, CommandError> {
    let root = environment.workspace();
    let head = files::read(&root.join(HEAD))?;
    let is_the_root = |folder: &PathBuf| folder.canonicalize().ok() == root.canonicalize().ok();
    if let Some(folder) = arguments.ministack.as_ref().filter(|folder| is_the_root(folder)) {
        return Err(CommandError::Overwritten(folder.clone()));
    }
    let (target, folder) = match &arguments.ministack {
        Some(folder) => (Target::Ministack, folder.as_path()),
        None => (Target::Aws, root),
    };
    for file in render(&head, SERVICES, target)? {
        let path = folder.join(&file.path);
        if files::read(&path).is_ok_and(|present| present == file.text) {
            continue;
        }
        files::write(&path, &file.text)?;
        let _ = writeln!(std::io::stdout(), "wrote {}", file.path);
    }
    Ok(ExitCode::SUCCESS)
}
