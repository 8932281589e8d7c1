//! How far the publication is that copies into the cache, for whoever waits for it.

use std::sync::Arc;

use netboot::api::types::CopyProgress;
use netboot::base::store_path::StorePath;
use parking_lot::{Mutex, MutexGuard};

#[derive(Debug, Clone, Default)]
pub(super) struct CopyProgressMap(Arc<Mutex<Option<CopyProgress>>>);

impl CopyProgressMap {
    pub(super) fn now(&self) -> Option<CopyProgress> {
        self.held().clone()
    }

    /// The progress is reported until the return value is dropped. `total` is in bytes.
    pub(super) fn begin(&self, toplevel: &StorePath, total: u64) -> CopyUnderWay {
        *self.held() = Some(CopyProgress {
            toplevel: toplevel.clone(),
            done: 0,
            total,
        });
        CopyUnderWay(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Option<CopyProgress>> {
        self.0.lock()
    }
}

/// A copy that is under way.
pub(super) struct CopyUnderWay(CopyProgressMap);

impl CopyUnderWay {
    pub(super) fn reached(&self, done: u64) {
        if let Some(copying) = self.0.held().as_mut() {
            copying.done = done.min(copying.total);
        }
    }
}

impl Drop for CopyUnderWay {
    fn drop(&mut self) {
        *self.0.held() = None;
    }
}
