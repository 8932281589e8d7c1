//! Pinned paths: those that an uploader was told are in the cache. It does not send them, so they must still be there
//! when it makes a release of them, whatever is pruned meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::base::store_path::StorePath;
use netboot::publish::narinfo::NarFile;
use parking_lot::{Mutex, MutexGuard};

/// How long a path stays pinned after an uploader was last told that it is here.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// The number of pins after which expired ones are removed: those of a large closure.
const MANY: usize = 16 << 10;

#[derive(Debug, Clone, Default)]
pub(super) struct PinnedPaths(Arc<Mutex<PinTable>>);

#[derive(Debug, Default)]
pub(super) struct PinTable {
    paths: BTreeMap<StorePath, Instant>,
    /// By the name within `nar/`.
    nars: BTreeMap<String, Instant>,
}

impl PinnedPaths {
    /// Pins a path. Call it before looking whether the path is there: a sweep that is under way has ended when this
    /// returns, and the next one leaves the path alone. It may wait for the disk.
    pub(super) fn path(&self, path: &StorePath) {
        let mut kept = self.held();
        if kept.paths.len() >= MANY {
            kept.forget();
        }
        kept.paths.insert(path.clone(), Instant::now());
    }

    /// Pins a NAR, which may have no narinfo yet.
    pub(super) fn nar(&self, nar: &NarFile) {
        let mut kept = self.held();
        if kept.nars.len() >= MANY {
            kept.forget();
        }
        kept.nars.insert(below(nar), Instant::now());
    }

    /// The pins in force. No pin is made as long as this is held, which a sweep does while it deletes.
    pub(super) fn in_force(&self) -> MutexGuard<'_, PinTable> {
        let mut kept = self.held();
        kept.forget();
        kept
    }

    fn held(&self) -> MutexGuard<'_, PinTable> {
        self.0.lock()
    }
}

impl PinTable {
    pub(super) fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.paths.keys()
    }

    /// `name` is one within `nar/`.
    pub(super) fn has_nar(&self, name: &str) -> bool {
        self.nars.contains_key(name)
    }

    fn forget(&mut self) {
        self.paths.retain(|_, at| at.elapsed() < LASTS);
        self.nars.retain(|_, at| at.elapsed() < LASTS);
    }
}

fn below(nar: &NarFile) -> String {
    nar.to_string().trim_start_matches("nar/").to_owned()
}
