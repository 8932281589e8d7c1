//! The cache's folder, the key that signs what is in it, and the lock of those who change it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use netboot::api::types::CopyProgress;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::store_path::StorePath;
use nix_publish::system::NixosSystem;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::folder::CacheFolder;
use super::pinned::PinnedPaths;
use super::progress::CopyProgressMap;
use crate::files::budget::DiskBudget;
use crate::files::durable;

/// What `nix copy` writes has `StoreDir` alone; the rest lets clients ask for many paths at once, and
/// prefers this cache to the one on the internet (40).
pub(super) const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";

/// The cache's folder and what signs it.
#[derive(Debug, Clone)]
pub struct Cache {
    pub(super) dir: PathBuf,
    pub(super) secret_key_file: PathBuf,
    pub(super) turn: Arc<Mutex<()>>,
    pub(super) copying: CopyProgressMap,
    pub(super) pinned: PinnedPaths,
    pub(super) room: DiskBudget,
}

/// What `publish` found out about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredPath {
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    pub system: NixosSystem,
}

/// The cache lock: the right to change what is in the cache, for one at a time. A publication holds it until its
/// release is on record, or a prune would delete its paths.
#[derive(Debug)]
pub struct CacheWriteLock {
    pub(super) cache: Cache,
    /// Work that goes on after its caller has left holds the lock too, until it is done.
    pub(super) guard: Arc<OwnedMutexGuard<()>>,
}

impl Cache {
    /// Makes the folder and its `nix-cache-info` if absent.
    ///
    /// # Errors
    /// A path that cannot be part of a store URL; a folder that cannot be made.
    pub fn open(
        state_dir: &Path,
        secret_key_file: &Path,
        room: DiskBudget,
    ) -> anyhow::Result<Self> {
        let dir = std::path::absolute(state_dir.join("cache"))?;
        let secret_key_file = std::path::absolute(secret_key_file)?;
        for path in [&dir, &secret_key_file] {
            // Nix takes the path as a part of a URL, and does not decode all of it.
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
            if !path.to_str().is_some_and(|text| text.chars().all(plain)) {
                bail!(
                    "the path `{}` cannot be given to Nix: use a `state-dir` of letters, digits and / . _ - +",
                    path.display()
                );
            }
        }
        let info = dir.join("nix-cache-info");
        durable::make_dir(&dir)
            .with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
        if std::fs::read(&info).ok().as_deref() != Some(INFO.as_bytes()) {
            durable::write(&info, 0o644, INFO.as_bytes())
                .with_context(|| format!("cannot write `{}`", info.display()))?;
        }
        Ok(Self {
            dir,
            secret_key_file,
            turn: Arc::default(),
            copying: CopyProgressMap::default(),
            pinned: PinnedPaths::default(),
            room,
        })
    }

    /// Takes the cache lock, and waits for it.
    pub async fn turn(&self) -> CacheWriteLock {
        CacheWriteLock {
            cache: self.clone(),
            guard: Arc::new(self.turn.clone().lock_owned().await),
        }
    }

    /// The system that is being copied into the cache, and how far the copy is.
    pub fn copying(&self) -> Option<CopyProgress> {
        self.copying.now()
    }

    /// The file behind `/cache/<path>`; `None` for a name that a cache does not have.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        CacheFolder(&self.dir).file(path)
    }

    /// What is wrong with the entry of this path; `None` if it is whole. `public` is `name:base64`. The paths that it
    /// refers to are not looked at.
    pub fn fault(&self, path: &StorePath, public: &str) -> Option<String> {
        CacheFolder(&self.dir).fault(path, public)
    }
}

impl CacheWriteLock {
    /// Work with many files, on a thread that may wait for them.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (cache, guard) = (self.cache.clone(), self.guard.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let _guard = guard;
            work(&cache)
        });
        worked.await.map_err(|error| {
            Refusal::new(
                RefusalCode::Internal,
                format!("the work in the cache ended early: {error}"),
            )
        })
    }
}
