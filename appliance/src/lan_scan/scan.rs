//! What was last seen of the LANs around the appliance: other servers, and the host's own firewall.

use std::collections::BTreeMap;

use netboot::base::timestamp::Timestamp;
use netboot::dhcp::other_servers::OtherServer;
use parking_lot::Mutex;

use super::firewall::FirewallPort;

/// What the last scan for other servers found on one LAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherServers {
    pub interface: String,
    pub at: Timestamp,
    /// The servers that answered, or why none could be asked.
    pub servers: Result<Vec<OtherServer>, String>,
}

/// Written by the watch over the LANs, read by `doctor` and the metrics.
#[derive(Debug, Default)]
pub struct LanScan {
    servers: Mutex<BTreeMap<String, OtherServers>>,
    ports: Mutex<Vec<FirewallPort>>,
}

impl LanScan {
    /// As if all this had been seen.
    #[cfg(test)]
    pub(crate) fn of(found: OtherServers, ports: Vec<FirewallPort>) -> Self {
        let scan = Self::default();
        scan.keep_other_servers(found);
        scan.keep_firewall_ports(ports);
        scan
    }

    /// The last result for each LAN that was scanned.
    pub fn other_servers(&self) -> Vec<OtherServers> {
        let servers = self.servers.lock();
        servers.values().cloned().collect()
    }

    /// Whether the firewall lets machines in, port by port in the order of a boot; empty before the first check.
    pub fn firewall_ports(&self) -> Vec<FirewallPort> {
        let ports = self.ports.lock();
        ports.clone()
    }

    /// Keeps a result, and gives the one before it.
    pub(super) fn keep_other_servers(&self, found: OtherServers) -> Option<OtherServers> {
        let mut servers = self.servers.lock();
        servers.insert(found.interface.clone(), found)
    }

    /// Keeps the state of all ports, and gives the state before it.
    pub(super) fn keep_firewall_ports(&self, ports: Vec<FirewallPort>) -> Vec<FirewallPort> {
        let mut kept = self.ports.lock();
        std::mem::replace(&mut kept, ports)
    }
}
