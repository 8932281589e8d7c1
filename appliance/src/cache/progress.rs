//! How far the publication is that copies into the cache, for whoever waits for it.

use std::sync::Arc;

use netboot::api::types::Copying;
use netboot::base::store_path::StorePath;
use parking_lot::{Mutex, MutexGuard};

#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Option<Copying>>>);

impl Progress {
    pub(super) fn now(&self) -> Option<Copying> {
        self.held().clone()
    }

    /// The progress is reported until the return value is dropped. `total` is in bytes.
    pub(super) fn begin(&self, toplevel: &StorePath, total: u64) -> UnderWay {
        *self.held() = Some(Copying {
            toplevel: toplevel.clone(),
            done: 0,
            total,
        });
        UnderWay(self.clone())
    }

    fn held(&self) -> MutexGuard<'_, Option<Copying>> {
        self.0.lock()
    }
}

/// A copy that is under way.
pub(super) struct UnderWay(Progress);

impl UnderWay {
    pub(super) fn reached(&self, done: u64) {
        if let Some(copying) = self.0.held().as_mut() {
            copying.done = done.min(copying.total);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.held() = None;
    }
}
