//! What else is on the LANs: other DHCP and PXE servers, and this host's own firewall.

pub mod firewall;
pub mod probe;
mod scan;
mod watch;

pub use scan::{LanScan, OtherServers};
pub use watch::watch;
