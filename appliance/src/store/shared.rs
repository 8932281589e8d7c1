//! What the writer publishes and everybody reads.

use std::path::PathBuf;
use std::sync::Arc;

use netboot::api::types::EventLine;
use netboot::machine::state::ApplianceState;
use parking_lot::RwLock;
use tokio::sync::broadcast;

use super::index::{Index, IndexError};

/// What the writer publishes.
pub(super) struct StoreState {
    pub state: RwLock<Arc<ApplianceState>>,
    /// `None` while the index cannot be used; the journal answers then.
    pub index: RwLock<Option<Arc<Index>>>,
    pub trouble: RwLock<StoreTrouble>,
    pub live: broadcast::Sender<EventLine>,
    pub journal: PathBuf,
}

/// Why there are no writes.
#[derive(Debug, Clone, Default)]
pub(super) struct StoreTrouble {
    pub journal: Option<String>,
    pub index: Option<String>,
}

impl StoreState {
    pub(super) fn state(&self) -> Arc<ApplianceState> {
        let state = self.state.read();
        Arc::clone(&state)
    }

    pub(super) fn publish(&self, state: Arc<ApplianceState>) {
        *self.state.write() = state;
    }

    pub(super) fn index(&self) -> Option<Arc<Index>> {
        let index = self.index.read();
        index.clone()
    }

    pub(super) fn set_index(&self, index: Option<Arc<Index>>) {
        *self.index.write() = index;
    }

    pub(super) fn trouble(&self) -> StoreTrouble {
        let trouble = self.trouble.read();
        trouble.clone()
    }

    pub(super) fn set_trouble(&self, change: impl FnOnce(&mut StoreTrouble)) {
        change(&mut self.trouble.write());
    }

    /// Stops using the index; the writer brings it back.
    pub(super) fn lose_index(&self, error: &IndexError) {
        let reason = chain(error);
        tracing::error!(%reason, "the index cannot be used");
        // Said first, whatever happens when the index is closed.
        self.set_trouble(|trouble| trouble.index = Some(format!("the index: {reason}")));
        self.set_index(None);
    }
}

/// An error with its causes, outermost first.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
