//! A machine whose loader is to leave for its disk: by which way, and what is learnt of it.

use netboot::api::agent;
use netboot::base::mac::Mac;
use netboot::base::token::Digest;
use netboot::loader::local_boot::{Loader, Way};
use netboot::machine::departures::Departures;
use netboot::machine::departures::is_expected_up;
use netboot::machine::state::World;

use crate::app::App;
use crate::boot::requester::Caller;

impl App {
    /// The way for this loader to the machine's own disk. That the way before led back here is kept with the machine; not
    /// worth failing a boot for. Who is not known to be the machine is told the same, and nothing is learnt from it.
    pub async fn way_to_disk(&self, caller: &Caller, loader: Loader) -> Way {
        let world = self.store.world();
        let machine = world.by_mac(caller.mac);
        let known = machine.and_then(|m| m.local_boot.as_ref());
        let Some(machine) = machine.filter(|m| caller.is_proven && is_expected_up(m)) else {
            return loader.way(known, None);
        };
        let (now, id) = (self.timelines.now(), machine.id);
        let (way, failed) = self.departures(|d| d.leave(machine, caller.mac, loader, now));
        if let Some(left) = failed {
            tracing::warn!(mac = %id, %left, "came back to the network instead of its disk");
            let learn = move |world: &World, _| agent::came_back(world, id, left);
            if let Err(refusal) = self.store.decide(learn).await {
                tracing::warn!(mac = %id, %refusal, "that a way to its disk failed is not kept");
            }
        }
        way
    }

    /// The installed system of the machine with this key runs: the way that it came by is kept, if it was sent one.
    pub async fn came_up(&self, node_key: &Digest) {
        let now = self.timelines.now();
        let arrived = |id: Mac| Some((id, self.departures(|d| d.arrived(id, now))?));
        let machine = self.store.world().by_node_key(node_key).map(|m| m.id);
        let Some((id, left)) = machine.and_then(arrived) else {
            return;
        };
        let learn = move |world: &World, _| agent::left_to_disk(world, id, left);
        if let Err(refusal) = self.store.decide(learn).await {
            tracing::warn!(mac = %id, %refusal, "the way to its disk is not kept");
        }
    }

    /// A panic while they were held leaves them as good as before.
    fn departures<T>(&self, of: impl FnOnce(&mut Departures) -> T) -> T {
        of(&mut self.departures.lock())
    }
}

#[cfg(test)]
mod tests;
