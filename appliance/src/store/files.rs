//! The files of a store, and everything that only its writer touches.

use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use super::journal::Journal;
use super::sentinel::Sentinel;

/// The files of a store.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub dir: PathBuf,
    pub journal: PathBuf,
    pub sentinel: PathBuf,
    pub lock: PathBuf,
    pub index: PathBuf,
    pub fresh: PathBuf,
}

impl Paths {
    pub(super) fn new(state_dir: &Path) -> Self {
        let dir = state_dir.join("store");
        Self {
            journal: dir.join("journal.jsonl"),
            sentinel: dir.join("sentinel"),
            lock: dir.join("lock"),
            index: dir.join("index"),
            fresh: dir.join("index.new"),
            dir,
        }
    }
}

/// Everything that only the writer touches.
pub(super) struct StoreFiles {
    pub paths: Paths,
    pub journal: Journal,
    pub sentinel: Sentinel,
    /// Held as long as the writer lives.
    pub _lock: Flock<std::fs::File>,
}
