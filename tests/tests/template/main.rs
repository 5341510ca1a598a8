//! Facts about what is deployed and how the workspace is put together: the contract, the code and the template name
//! the same operations, functions get what they need and nothing else, and crates import only what the layout allows.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the repository has nothing to report but that"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, which then fails the comparison"
)]

mod deployment;
mod document;
mod imports;
mod operations;
mod tokens;

use std::path::{Path, PathBuf};

use chat_local::contract::{FOLDER, Rpc};

/// Every RPC of the contract.
fn rpcs() -> Vec<Rpc> {
    let rpcs = chat_local::contract::rpcs(&root().join(FOLDER)).unwrap();
    assert!(!rpcs.is_empty(), "the contract names no RPC");
    rpcs
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What `cargo metadata` says about the workspace's own packages. It reads manifests only: no network, no lock.
fn workspace_packages() -> Vec<serde_json::Value> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}
