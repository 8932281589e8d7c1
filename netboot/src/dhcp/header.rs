//! The fixed part of a DHCP message (RFC 2131 §2): where its fields stand, in octets from the start of the packet.

use std::ops::Range;

/// Octets before the options, the magic cookie included.
pub(super) const LENGTH: usize = 240;

pub(super) const FLAGS: usize = 10;
pub(super) const XID: usize = 4;
pub(super) const CIADDR: usize = 12;
pub(super) const YIADDR: usize = 16;
pub(super) const GIADDR: usize = 24;
pub(super) const CHADDR: usize = 28;
/// The server's name; options if option 52 says so.
pub(super) const SNAME: Range<usize> = 44..108;
/// The boot file's name; options if option 52 says so.
pub(super) const FILE: Range<usize> = 108..236;
const COOKIE: Range<usize> = 236..LENGTH;

/// Marks what follows as DHCP options (RFC 2132 §2).
pub(super) const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// `op` of a message of a client, and of a server.
pub(super) const BOOT_REQUEST: u8 = 1;
pub(super) const BOOT_REPLY: u8 = 2;

/// `htype` and `hlen` of Ethernet.
pub(super) const ETHERNET: [u8; 2] = [1, 6];

/// The flag by which a client says that it cannot take a packet to an address that it does not have yet.
pub(super) const BROADCAST: u16 = 0x8000;

pub(super) fn has_cookie(header: &[u8; LENGTH]) -> bool {
    header[COOKIE] == MAGIC_COOKIE
}
