//! The garbage collection of the cache: lists what is in its folder, and deletes what no release needs.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use netboot::base::store_path::StorePath;
use netboot::base::timestamp::Timestamp;
use netboot::publish::narinfo::NarInfo;
use netboot::publish::retention::{self, CacheContents, CacheEntry};

use super::binary_cache::CacheWriteLock;
use super::folder::is_narinfo;
use super::incoming;
use super::pinned::PinTable;
use crate::base::clock;
use crate::files::durable;

/// How long a path that belongs to no release is left alone: an upload of it may be under way.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// What was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepResult {
    /// Store paths.
    pub paths: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Store paths of no release that are too young to go.
    pub spared: u64,
    /// The releases of `kept` that are not whole, each with the number of paths that are not.
    pub torn: Vec<(StorePath, u64)>,
}

impl CacheWriteLock {
    /// Deletes what neither `kept` nor a publication under way needs, by the rules of `netboot::publish::retention`; looks only,
    /// if it is dry.
    ///
    /// # Errors
    /// Files that cannot be listed or deleted. What is left then is found by the next sweep.
    pub async fn sweep(
        &self,
        kept: Vec<StorePath>,
        pruned: Vec<StorePath>,
        dry: bool,
    ) -> anyhow::Result<SweepResult> {
        self.aside(move |cache| {
            let promised = cache.pinned.in_force();
            sweep(&cache.dir, &kept, &pruned, &promised, dry)
        })
        .await
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))?
    }
}

fn sweep(
    dir: &Path,
    kept: &[StorePath],
    pruned: &[StorePath],
    promised: &PinTable,
    dry: bool,
) -> anyhow::Result<SweepResult> {
    let contents =
        contents(dir, clock::now()).with_context(|| format!("cannot list `{}`", dir.display()))?;
    let stays: Vec<StorePath> = kept.iter().chain(promised.paths()).cloned().collect();
    let mut sweep = retention::sweep(&contents, &stays, pruned);
    sweep.nars.retain(|nar| !promised.has_nar(nar));
    let torn = kept.iter().filter_map(|path| {
        let missing = retention::missing(&contents, path);
        (missing > 0).then(|| (path.clone(), missing))
    });
    let mut swept = SweepResult {
        paths: sweep.narinfos.len() as u64,
        spared: sweep.spared as u64,
        torn: torn.collect(),
        bytes: 0,
    };
    let mut delete = |file: &Path| -> anyhow::Result<()> {
        let deleted = deleted(file, dry);
        swept.bytes += deleted.with_context(|| format!("cannot delete `{}`", file.display()))?;
        Ok(())
    };
    for hash in &sweep.narinfos {
        delete(&dir.join(format!("{hash}.narinfo")))?;
    }
    if !dry {
        // A narinfo must not come back without its NAR.
        durable::sync_dir(dir)?;
    }
    for nar in &sweep.nars {
        delete(&dir.join("nar").join(nar))?;
    }
    // No publication is under way, so everything here was left behind.
    for folder in incoming::folders(dir)? {
        for below in [folder.join("nar"), folder.clone()] {
            for file in files(&below)? {
                delete(&below.join(file.name))?;
            }
        }
        if !dry {
            incoming::delete(&folder)?;
        }
    }
    Ok(swept)
}

/// Deletes a file; returns its bytes, or 0 if it was absent.
fn deleted(file: &Path, dry: bool) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;

    let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let bytes = match file.symlink_metadata() {
        // To remove one of several links frees no space.
        Ok(about) if about.nlink() > 1 => 0,
        Ok(about) => about.len(),
        Err(error) if absent(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    if dry {
        return Ok(bytes);
    }
    match std::fs::remove_file(file) {
        Err(error) if !absent(&error) => Err(error),
        _ => Ok(bytes),
    }
}

fn contents(dir: &Path, now: Timestamp) -> io::Result<CacheContents> {
    let mut contents = CacheContents::default();
    for CacheFile { name, written } in files(dir)? {
        let Some(hash) = is_narinfo(&name) else {
            continue;
        };
        // A narinfo that is not text is torn. One that cannot be read may be whole, so the sweep ends here.
        let text = std::fs::read(dir.join(&name))?;
        let info: Option<NarInfo> = String::from_utf8_lossy(&text).parse().ok();
        let nar = |info: &NarInfo| info.file.to_string().trim_start_matches("nar/").to_owned();
        let entry = CacheEntry {
            fresh: now.since(written) < FRESH,
            nar: info.as_ref().map(nar),
            references: info
                .iter()
                .flat_map(|info| &info.references)
                .map(|path| path.hash().to_owned())
                .collect(),
        };
        contents.entries.insert(hash.to_owned(), entry);
    }
    for CacheFile { name, written } in files(&dir.join("nar"))? {
        contents.nars.insert(name, now.since(written) < FRESH);
    }
    Ok(contents)
}

#[derive(Debug, Clone)]
struct CacheFile {
    name: String,
    written: Timestamp,
}

/// The plain files of a folder; empty if the folder is absent.
fn files(dir: &Path) -> io::Result<Vec<CacheFile>> {
    use std::os::unix::fs::MetadataExt;

    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let about = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            about => about?,
        };
        if let (true, Ok(name)) = (about.is_file(), entry.file_name().into_string()) {
            let written = Timestamp::from_millis(about.mtime().saturating_mul(1000));
            files.push(CacheFile { name, written });
        }
    }
    Ok(files)
}
