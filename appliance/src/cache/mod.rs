//! The binary cache: a folder of signed narinfos and NARs, filled by `publish`, read by installs.

use std::path::{Path, PathBuf};

use netboot::refusal::Refusal;
use netboot::store_path::StorePath;

/// The cache's folder and what signs it.
#[derive(Debug, Clone)]
pub struct Cache {}

/// What `publish` found out about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    /// Its `nixos-version`.
    pub label: String,
}

impl Cache {
    /// Makes the folder and its `nix-cache-info` if absent.
    pub fn open(state_dir: &Path, secret_key_file: &Path) -> anyhow::Result<Self> {
        let _ = (state_dir, secret_key_file);
        unimplemented!()
    }

    /// Signs a system's closure into the cache. Refused if it is not a NixOS toplevel.
    pub async fn publish(&self, toplevel: &StorePath) -> Result<Measured, Refusal> {
        let _ = toplevel;
        unimplemented!()
    }

    /// The file behind `/cache/<path>`; nothing for a name that a cache does not have.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        let _ = path;
        unimplemented!()
    }
}
