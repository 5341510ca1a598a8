//! `cargo chat new-operation`: the files of a new RPC, with the tests that every operation has.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use self::scaffold::Scaffold;
use super::environment::Environment;
use super::error::CommandError;
use super::files;
use crate::SERVICES;
use crate::contract::{self, ContractError, rpcs};

mod scaffold;

/// What `cargo chat new-operation` is told.
#[derive(Debug, Args)]
pub(super) struct NewOperationArguments {
    /// The RPC's name in proto/, such as `PinMessage`.
    rpc: String,
}

/// Why the files cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewOperationError {
    /// There is no contract to make them of.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The contract has no such RPC.
    #[error("{}/ has no `rpc {rpc}`: write the contract first", contract::FOLDER)]
    Rpc {
        /// The RPC.
        rpc: String,
    },
    /// Functions are told apart by their RPC's name alone.
    #[error("{one} and {other} have the same name, which is that of a function: rename one")]
    Namesakes {
        /// An RPC's path.
        one: String,
        /// The other's.
        other: String,
    },
    /// The name is not of an RPC's form.
    #[error("`{0}` is not the name of an RPC, such as PinMessage")]
    Name(String),
    /// There is no such crate.
    #[error("{rpc} belongs to functions/{folder}, which is none of the services: see SERVICES of local/src/lib.rs")]
    Service {
        /// The RPC.
        rpc: String,
        /// The folder of its service.
        folder: String,
    },
    /// A line cannot be put where it belongs.
    #[error("{} has no operation to put another one beside, each on a line of its own", .0.display())]
    Lib(PathBuf),
    /// It was made before.
    #[error("{} is there already", .0.display())]
    Present(PathBuf),
}

/// Writes nothing when something is wrong beforehand.
pub(super) fn run(environment: &Environment, arguments: &NewOperationArguments) -> Result<ExitCode, CommandError> {
    let root = environment.workspace();
    let scaffold = Scaffold::new(rpc(root, &arguments.rpc)?);
    let folder = Path::new("functions").join(scaffold.service());
    let source = folder.join("src");
    let (lib, manifest) = (source.join("lib.rs"), folder.join("Cargo.toml"));
    let mut written = vec![
        (source.join(format!("{}.rs", scaffold.snake())), scaffold.operation()),
        (source.join(scaffold.snake()).join("tests.rs"), scaffold.tests()),
        (
            source.join("bin").join(format!("{}.rs", scaffold.kebab())),
            scaffold.binary(),
        ),
    ];
    if let Some((path, _)) = written.iter().find(|(path, _)| root.join(path).exists()) {
        return Err(NewOperationError::Present(path.clone()).into());
    }
    let registered = scaffold
        .registered(&files::read(&root.join(&lib))?)
        .ok_or_else(|| NewOperationError::Lib(lib.clone()))?;
    let with_binary = scaffold.with_binary(&files::read(&root.join(&manifest))?);
    written.extend([(lib, registered), (manifest, with_binary)]);
    let mut out = std::io::stdout();
    for (path, text) in &written {
        files::write(&root.join(path), text)?;
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let package = format!("chat-{}", scaffold.service());
    let formatted = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["fmt", "--package", &package])
        .current_dir(root)
        .status();
    if !formatted.is_ok_and(|status| status.success()) {
        let _ = writeln!(out, "`cargo fmt`, which lays them out, did not run.");
    }
    let _ = writeln!(
        out,
        "Write the operation and what its tests expect, then `cargo chat template` and `cargo chat test --lib {}`.",
        scaffold.snake()
    );
    Ok(ExitCode::SUCCESS)
}

/// The RPC of this name.
fn rpc(root: &Path, name: &str) -> Result<contract::Rpc, NewOperationError> {
    if !is_name(name) {
        return Err(NewOperationError::Name(name.to_owned()));
    }
    let mut named = rpcs(&root.join(contract::FOLDER))?
        .into_iter()
        .filter(|rpc| rpc.name == name);
    let rpc = named
        .next()
        .ok_or_else(|| NewOperationError::Rpc { rpc: name.to_owned() })?;
    if let Some(other) = named.next() {
        return Err(NewOperationError::Namesakes {
            one: rpc.path,
            other: other.path,
        });
    }
    if !SERVICES.iter().any(|known| known.name == rpc.folder) {
        let contract::Rpc { name: rpc, folder, .. } = rpc;
        return Err(NewOperationError::Service { rpc, folder });
    }
    Ok(rpc)
}

fn is_name(rpc: &str) -> bool {
    rpc.starts_with(|letter: char| letter.is_ascii_uppercase())
        && rpc.chars().all(|letter| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rpcs() {
        assert!(is_name("ListMessages2"));
        for bad in [
            "",
            "pinMessage",
            "Pin-Message",
            "../Pin",
            "SendMessage(SendMessageRequest) returns ",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
