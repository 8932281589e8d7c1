//! The folder that a publication fills, and how what is in it comes into the cache.
//!
//! Nix writes each file aside and renames it, but does not sync it: after a power cut, files of a publication may be
//! empty or cut under their final names. So Nix never writes into the cache itself. Paths of an earlier publication
//! that was interrupted are taken over if they are proven whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use netboot::base::store_path::StorePath;

use super::folder::CacheFolder;
use crate::base::clock;
use crate::files::durable;

/// Below the cache's folder, so on the same filesystem; no client can name it.
const NAME: &str = "incoming";

/// The folder of one publication. Each has its own, since a Nix whose appliance was killed may go on writing into an
/// earlier one.
#[derive(Debug)]
pub(super) struct Incoming {
    dir: PathBuf,
}

impl Incoming {
    /// Makes it, with all narinfos of `present` so that Nix copies none of these, and with what is whole of `missing`
    /// in folders of publications that were interrupted. Those are deleted.
    pub(super) fn open(
        cache: &Path,
        present: &[StorePath],
        missing: &[StorePath],
        public: &str,
    ) -> io::Result<Self> {
        let earlier = folders(cache)?;
        let name = u64::from_le_bytes(clock::random());
        let dir = cache.join(NAME).join(format!("{name:016x}"));
        durable::make_dir(&dir.join("nar"))?;
        let incoming = Self { dir };
        for path in present {
            let name = narinfo(path);
            let (from, to) = (cache.join(&name), incoming.dir.join(&name));
            // Not every filesystem has links.
            if std::fs::hard_link(&from, &to).is_err() {
                std::fs::copy(&from, &to)?;
            }
        }
        for folder in earlier {
            for path in missing {
                incoming.take_over(&folder, path, public)?;
            }
            delete(&folder)?;
        }
        Ok(incoming)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves one path here if it is whole to the last octet.
    fn take_over(&self, from: &Path, path: &StorePath, public: &str) -> io::Result<()> {
        let folder = CacheFolder(from);
        let name = narinfo(path);
        if self.dir.join(&name).exists() {
            return Ok(());
        }
        match folder.signed(path, public) {
            Ok(info) if folder.has_true_nar(&info) => {
                let nar = info.file.to_string();
                std::fs::rename(from.join(&nar), self.dir.join(&nar))?;
                std::fs::rename(from.join(&name), self.dir.join(&name))
            }
            _ => Ok(()),
        }
    }

    /// Those of `paths` that were taken over.
    pub(super) fn has(&self, path: &StorePath) -> bool {
        self.dir.join(narinfo(path)).exists()
    }

    /// Moves `paths`, each after what it needs, into the cache.
    ///
    /// # Errors
    /// A path is not whole: then no path was moved. Or the filesystem failed: then every path that was moved is whole.
    pub(super) fn promote(
        self,
        cache: &Path,
        paths: &[StorePath],
        public: &str,
    ) -> anyhow::Result<()> {
        let folder = CacheFolder(&self.dir);
        let mut nars = Vec::new();
        for path in paths {
            match folder.whole(path, public) {
                Ok(info) => nars.push(info.file.to_string()),
                Err(fault) => bail!("`{path}`: {fault}"),
            }
        }
        // What follows only changes names: the contents must be on the disk before.
        let synced = File::open(&self.dir).and_then(|dir| Ok(nix::unistd::syncfs(&dir)?));
        synced.context("what was copied cannot be synced to disk")?;
        durable::make_dir(&cache.join("nar"))?;
        // Two paths of the same content have one NAR.
        nars.sort_unstable();
        nars.dedup();
        self.moved(cache, nars)?;
        durable::sync_dir(&cache.join("nar"))?;
        self.moved(cache, paths.iter().map(narinfo))?;
        durable::sync_dir(cache)?;
        // Only links are left; the next publication deletes them if this fails.
        let _ = std::fs::remove_dir_all(&self.dir);
        Ok(())
    }

    fn moved(&self, cache: &Path, names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        for name in names {
            std::fs::rename(self.dir.join(&name), cache.join(&name))
                .with_context(|| format!("cannot move `{name}` into the cache"))?;
        }
        Ok(())
    }
}

/// The folders of publications that were interrupted. The caller must hold the cache lock.
pub(super) fn folders(cache: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(cache.join(NAME)) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Deletes such a folder. A Nix that was left behind may be writing into it: then the next one deletes the rest.
pub(super) fn delete(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            tracing::info!(folder = %folder.display(), %error, "left for later");
            Ok(())
        }
        other => other,
    }
}

fn narinfo(path: &StorePath) -> String {
    format!("{}.narinfo", path.hash())
}
