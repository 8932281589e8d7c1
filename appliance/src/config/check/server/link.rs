//! A network that addresses are held against: that of a LAN, or one behind a relay agent.

use std::net::Ipv4Addr;

use crate::net::Lan;

/// A network as far as addresses are held against it.
pub(super) struct CheckedNetwork {
    pub(super) address: Ipv4Addr,
    pub(super) netmask: Ipv4Addr,
    /// The appliance's own address in it.
    pub(super) own: Option<Ipv4Addr>,
    /// For messages: `the LAN 10.77.0.1/24 of ``enp1s0```.
    pub(super) name: String,
}

impl CheckedNetwork {
    pub(super) fn of(lan: &Lan) -> Self {
        Self {
            address: lan.address,
            netmask: lan.netmask,
            own: Some(lan.address),
            name: format!("the LAN {lan} of `{}`", lan.interface),
        }
    }

    pub(super) fn relayed((network, netmask): (Ipv4Addr, Ipv4Addr)) -> Self {
        let mut link = Self {
            address: network,
            netmask,
            own: None,
            name: String::new(),
        };
        link.name = format!("the network {}", link.network());
        link
    }

    /// An address in it, for tips.
    pub(super) fn example(&self, host: u32) -> Ipv4Addr {
        let mask = self.netmask.to_bits();
        Ipv4Addr::from((self.address.to_bits() & mask) | (host & !mask))
    }

    /// `10.77.0.0/24`
    pub(super) fn network(&self) -> String {
        let length = self.netmask.to_bits().count_ones();
        format!("{}/{length}", self.example(0))
    }

    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        address.to_bits() & mask == self.address.to_bits() & mask
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.netmask == other.netmask && self.contains(other.address)
    }
}
