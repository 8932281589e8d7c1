//! What else is on the LANs: other DHCP and PXE servers, and this host's own firewall.

mod findings;
pub mod firewall;
pub mod probe;
mod watch;

pub use findings::{Findings, Look};
pub use watch::watch;
