//! What was last seen of the LANs around the appliance: other servers, and the host's own firewall.

use std::collections::BTreeMap;

use netboot::base::timestamp::Timestamp;
use netboot::dhcp::other_servers::Rival;
use parking_lot::Mutex;

use super::firewall::Door;

/// The last look for other servers on one LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub interface: String,
    pub at: Timestamp,
    /// Who answered, or why nobody could be asked.
    pub rivals: Result<Vec<Rival>, String>,
}

/// Written by the watch over the LANs, read by whoever reports.
#[derive(Debug, Default)]
pub struct Findings {
    looks: Mutex<BTreeMap<String, Look>>,
    doors: Mutex<Vec<Door>>,
}

impl Findings {
    /// As if all this had been seen.
    #[cfg(test)]
    pub(crate) fn of(look: Look, doors: Vec<Door>) -> Self {
        let findings = Self::default();
        findings.looked(look);
        findings.knocked(doors);
        findings
    }

    /// One for each LAN that was looked at.
    pub fn looks(&self) -> Vec<Look> {
        let looks = self.looks.lock();
        looks.values().cloned().collect()
    }

    /// What the firewall does to each door, in the order of a boot; empty before the first look.
    pub fn doors(&self) -> Vec<Door> {
        let doors = self.doors.lock();
        doors.clone()
    }

    /// Keeps a look, and gives the one before it.
    pub(super) fn looked(&self, look: Look) -> Option<Look> {
        let mut looks = self.looks.lock();
        looks.insert(look.interface.clone(), look)
    }

    /// Keeps the state of all doors, and gives the one before it.
    pub(super) fn knocked(&self, doors: Vec<Door>) -> Vec<Door> {
        let mut kept = self.doors.lock();
        std::mem::replace(&mut kept, doors)
    }
}
