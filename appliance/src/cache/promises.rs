//! What uploaders were told that is in the cache: they do not send it, so it must be there when they come to make a
//! release of it, whatever is pruned meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::base::store_path::StorePath;
use netboot::publish::narinfo::NarFile;
use parking_lot::{Mutex, MutexGuard};

/// How long after its last word an upload may take to become a release.
const LASTS: Duration = Duration::from_secs(60 * 60);

/// Promises are counted out when there are so many: a large closure's worth.
const MANY: usize = 16 << 10;

#[derive(Debug, Clone, Default)]
pub(super) struct Promises(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
pub(super) struct Kept {
    paths: BTreeMap<StorePath, Instant>,
    /// By the name within `nar/`.
    nars: BTreeMap<String, Instant>,
}

impl Promises {
    /// Promises first, then says whether it is there: a sweep that is under way is over when this returns, and the next
    /// one leaves it alone. May wait for the disk.
    pub(super) fn path(&self, path: &StorePath) {
        let mut kept = self.held();
        if kept.paths.len() >= MANY {
            kept.forget();
        }
        kept.paths.insert(path.clone(), Instant::now());
    }

    /// The same for a NAR that may have no narinfo yet.
    pub(super) fn nar(&self, nar: &NarFile) {
        let mut kept = self.held();
        if kept.nars.len() >= MANY {
            kept.forget();
        }
        kept.nars.insert(below(nar), Instant::now());
    }

    /// None is made as long as this is held, which is as long as anything is deleted.
    pub(super) fn in_force(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.held();
        kept.forget();
        kept
    }

    fn held(&self) -> MutexGuard<'_, Kept> {
        self.0.lock()
    }
}

impl Kept {
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
