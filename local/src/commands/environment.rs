//! Where the commands find and keep things.

use std::path::{Path, PathBuf};

use crate::stack::Tools;

/// Set to anything, it makes `cargo chat` fetch servers even where some are installed. For testing that path.
const PACKAGED_ONLY: &str = "CHAT_PACKAGED_SERVERS";

/// The folders of a checkout.
#[derive(Clone, Debug)]
pub struct Environment {
    workspace: PathBuf,
    folder: PathBuf,
}

impl Environment {
    /// With `folder` instead of `.chat/` of the checkout, if given.
    pub fn new(folder: Option<PathBuf>) -> Self {
        // Cargo says where the crate is now; a binary that is started by hand knows where it was built.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let workspace = manifest.parent().unwrap_or(&manifest).to_owned();
        let folder = folder.unwrap_or_else(|| workspace.join(".chat"));
        Self { workspace, folder }
    }

    /// The root of the checkout.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// What people's data, logs and fetched servers live in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the databases for tests, which never touch people's data.
    pub fn test_folder(&self) -> PathBuf {
        self.folder.join("test")
    }

    /// The folder of the databases for benchmarks, which keep the data that they measure with. Named after the shape of that
    /// data: what an earlier version made is not met by this one.
    pub fn bench_folder(&self) -> PathBuf {
        self.folder.join("bench-3")
    }

    /// Fetched servers, shared by all stacks of the checkout.
    pub fn tools(&self) -> Tools {
        Tools::new(self.folder.join("tools"), std::env::var_os(PACKAGED_ONLY).is_some())
    }
}
