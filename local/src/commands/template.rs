//! `cargo chat template`: writes the deployment's template from the functions.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

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

/// Runs at the root of the checkout, where the head is.
pub(super) fn run(arguments: &TemplateArguments) -> Result<ExitCode, CommandError> {
    let head = files::read(Path::new(HEAD))?;
    let is_the_head = |folder: &PathBuf| folder.join(HEAD).canonicalize().ok() == Path::new(HEAD).canonicalize().ok();
    if let Some(folder) = arguments.ministack.as_ref().filter(|folder| is_the_head(folder)) {
        return Err(CommandError::Overwritten(folder.clone()));
    }
    let (target, folder) = match &arguments.ministack {
        Some(folder) => (Target::Ministack, folder.as_path()),
        None => (Target::Aws, Path::new("")),
    };
    for file in render(&head, SERVICES, target)? {
        let path = folder.join(&file.path);
        if files::read(&path).is_ok_and(|present| present == file.text) {
            continue;
        }
        files::write(&path, &file.text)?;
        let _ = writeln!(std::io::stdout(), "wrote {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
