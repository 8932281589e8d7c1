//! What a release consists of, as the cache has it: the narinfos from its toplevel on.

use std::collections::BTreeSet;

use netboot::base::store_path::StorePath;
use netboot::publish::closure::ClosurePath;
use netboot::publish::narinfo::NarInfo;

use super::binary_cache::Cache;

impl Cache {
    /// The paths of a closure with their sizes, sorted; and whether the cache has them all.
    pub fn closure(&self, toplevel: &StorePath) -> (Vec<ClosurePath>, bool) {
        let mut members = Vec::new();
        let mut whole = true;
        let mut seen = BTreeSet::from([toplevel.clone()]);
        let mut left = vec![toplevel.clone()];
        while let Some(path) = left.pop() {
            let Some((size, references)) = self.entry(&path) else {
                whole = false;
                continue;
            };
            members.push(ClosurePath { path, size });
            for reference in references {
                if seen.insert(reference.clone()) {
                    left.push(reference);
                }
            }
        }
        members.sort_by(|a, b| a.path.cmp(&b.path));
        (members, whole)
    }

    /// Size and references of a path whose narinfo and NAR are there.
    fn entry(&self, path: &StorePath) -> Option<(u64, Vec<StorePath>)> {
        let file = self.file(&format!("{}.narinfo", path.hash()))?;
        let info: NarInfo = std::fs::read_to_string(file).ok()?.parse().ok()?;
        self.file(&info.file.to_string())?;
        Some((info.nar_size, info.references))
    }
}
