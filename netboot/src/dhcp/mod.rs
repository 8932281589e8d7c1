//! DHCP and PXE: packets → requests; decisions and leases → answers; and what other servers on the LAN say.

pub mod ethernet;
mod header;
pub mod lease;
pub mod offer_fallback;
pub mod other_servers;
pub mod pcap;
pub mod reply;
pub mod request;

/// `N` octets of `bytes` from `at` on. The caller has checked that there are that many.
fn octets<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut octets = [0; N];
    octets.copy_from_slice(&bytes[at..at + N]);
    octets
}
