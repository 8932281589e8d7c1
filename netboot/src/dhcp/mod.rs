//! DHCP and PXE: packets → requests; decisions and leases → answers; and what other servers on the LAN say.

pub mod ethernet;
pub mod lease;
pub mod offer_fallback;
pub mod other_servers;
pub mod pcap;
pub mod reply;
pub mod request;
