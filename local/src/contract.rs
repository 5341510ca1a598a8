//! What `proto/` says, as far as code, tests and deployment must follow it.

use std::path::{Path, PathBuf};

use protox::prost_reflect::prost_types::method_options::IdempotencyLevel;
use protox::prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, MethodOptions};

/// The contract's folder, below the root of the checkout.
pub const FOLDER: &str = "proto";

/// An RPC of the contract.
#[derive(Clone, Debug)]
pub struct Rpc {
    /// Such as `SendMessage`.
    pub name: String,
    /// Such as `/chat.v1.MessageService/SendMessage`.
    pub path: String,
    /// The crate's folder below `functions/`, such as `message`.
    pub folder: String,
    /// Its request.
    pub request: DescriptorProto,
    /// Whether it changes nothing.
    pub only_reads: bool,
}

/// Why the contract cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// A folder cannot be read.
    #[error("cannot read {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// What stands there is no contract.
    #[error("the contract is unsound: {file}: {0}", file = .0.file().unwrap_or(FOLDER))]
    Proto(#[from] protox::Error),
    /// A request is shared, or stands elsewhere.
    #[error("the request of {0} does not stand in the file of its service")]
    Request(String),
}

impl Rpc {
    /// Whether its request has a field of this name.
    pub fn has_field(&self, name: &str) -> bool {
        self.request.field.iter().any(|field| field.name() == name)
    }
}

/// Every RPC below this folder.
///
/// # Errors
/// When it cannot be read.
pub fn rpcs(proto: &Path) -> Result<Vec<Rpc>, ContractError> {
    let mut files = Vec::new();
    let mut folders = vec![proto.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| ContractError::Folder(folder.clone(), error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    let descriptors = protox::compile(&files, [proto])?;
    let of_files: Result<Vec<_>, _> = descriptors.file.iter().map(rpcs_of).collect();
    Ok(of_files?.concat())
}

fn rpcs_of(file: &FileDescriptorProto) -> Result<Vec<Rpc>, ContractError> {
    let mut rpcs = Vec::new();
    for service in &file.service {
        let folder = service.name().trim_end_matches("Service").to_lowercase();
        for method in &service.method {
            let request = method.input_type().rsplit('.').next().unwrap_or_default();
            let mut messages = file.message_type.iter();
            let request = messages.find(|message| message.name() == request);
            let level = method.options.as_ref().map(MethodOptions::idempotency_level);
            rpcs.push(Rpc {
                name: method.name().to_owned(),
                path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                folder: folder.clone(),
                request: request
                    .ok_or_else(|| ContractError::Request(method.name().to_owned()))?
                    .clone(),
                only_reads: level == Some(IdempotencyLevel::NoSideEffects),
            });
        }
    }
    Ok(rpcs)
}
