//! Who asks over IP in a machine's name.

use std::net::Ipv4Addr;

use netboot::base::mac::Mac;
use netboot::doctor::boot_trace::BootEvent;

/// A client that names a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requester {
    pub mac: Mac,
    pub(super) from: Ipv4Addr,
    /// Whether it is that machine, as far as DHCP and the link can tell.
    pub verified: bool,
}

impl Requester {
    /// The mark as it may be written down: the machine's own if the requester is verified, else one of somebody in its
    /// name. `None` where that is not worth a mark.
    pub(super) fn attributed(&self, mark: BootEvent) -> Option<BootEvent> {
        match self.verified {
            true => Some(mark),
            false => mark.unproven(self.from),
        }
    }
}
