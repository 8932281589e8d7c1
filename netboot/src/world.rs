//! Events → everything the appliance knows.

use std::collections::BTreeMap;

use crate::mac::Mac;
use crate::machine::{Machine, Release};

/// The fold of the whole journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct World {
    pub machines: BTreeMap<Mac, Machine>,
    /// Oldest first.
    pub releases: Vec<Release>,
    /// The number of the last event folded in.
    pub seq: u64,
}

impl World {
    /// Folds one event in. Total: an event that makes no sense any more changes nothing.
    pub fn apply(&mut self, event: &crate::event::Event) {
        let _ = event;
        unimplemented!()
    }

    /// The machine that has this card.
    pub fn by_mac(&self, mac: Mac) -> Option<&Machine> {
        self.machines
            .get(&mac)
            .or_else(|| self.machines.values().find(|m| m.macs.contains(&mac)))
    }

    /// The machine of this name, or with this MAC in any spelling.
    pub fn find(&self, who: &str) -> Result<&Machine, crate::refusal::Refusal> {
        let _ = who;
        unimplemented!()
    }

    /// The newest release of a system.
    pub fn newest(&self, system: &crate::name::SystemName) -> Option<&Release> {
        self.releases.iter().rev().find(|r| r.system == *system)
    }
}
