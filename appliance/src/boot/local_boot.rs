//! A machine whose loader is to start the system on its disk: by which chainload method, and what is learnt of it.

use std::sync::Arc;

use netboot::api::agent;
use netboot::base::mac::Mac;
use netboot::base::token::Digest;
use netboot::loader::local_boot::{BootLoader, LocalBootMethod};
use netboot::machine::departures::Departures;
use netboot::machine::departures::is_expected_up;
use netboot::machine::state::ApplianceState;
use parking_lot::Mutex;

use super::log::BootLog;
use super::requester::Requester;
use crate::store::Store;

/// Which machines were sent to their disks, and were not heard of since.
pub struct LocalBoot {
    store: Store,
    log: Arc<BootLog>,
    departures: Mutex<Departures>,
}

impl LocalBoot {
    pub(super) fn new(store: Store, log: Arc<BootLog>) -> Self {
        Self {
            store,
            log,
            departures: Mutex::default(),
        }
    }

    /// How this loader is to start the machine's own disk. If the method before led back to the network, that is kept
    /// with the machine; if the store takes no writes, the boot goes on without that. An unverified requester is told
    /// the same, and does not change what is known of the machine.
    pub async fn chainload_method(
        &self,
        requester: &Requester,
        loader: BootLoader,
    ) -> LocalBootMethod {
        let state = self.store.state();
        let machine = state.by_mac(requester.mac);
        let known = machine.and_then(|m| m.local_boot.as_ref());
        let Some(machine) = machine.filter(|m| requester.verified && is_expected_up(m)) else {
            return loader.way(known, None);
        };
        let (now, id) = (self.log.now(), machine.id);
        let (way, failed) = self.departures(|d| d.leave(machine, requester.mac, loader, now));
        if let Some(left) = failed {
            tracing::warn!(mac = %id, %left, "came back to the network instead of its disk");
            let learn = move |state: &ApplianceState, _| agent::came_back(state, id, left);
            if let Err(refusal) = self.store.decide(learn).await {
                tracing::warn!(mac = %id, %refusal, "that a way to its disk failed is not kept");
            }
        }
        way
    }

    /// The installed system of the machine with this key runs: the method that started it is kept, if one was sent.
    pub async fn came_up(&self, node_key: &Digest) {
        let now = self.log.now();
        let arrived = |id: Mac| Some((id, self.departures(|d| d.arrived(id, now))?));
        let machine = self.store.state().by_node_key(node_key).map(|m| m.id);
        let Some((id, left)) = machine.and_then(arrived) else {
            return;
        };
        let learn = move |state: &ApplianceState, _| agent::left_to_disk(state, id, left);
        if let Err(refusal) = self.store.decide(learn).await {
            tracing::warn!(mac = %id, %refusal, "the way to its disk is not kept");
        }
    }

    /// The departures. They stay usable after a panic while they were held.
    fn departures<T>(&self, of: impl FnOnce(&mut Departures) -> T) -> T {
        of(&mut self.departures.lock())
    }
}

#[cfg(test)]
mod tests;
