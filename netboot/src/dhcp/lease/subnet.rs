//! The networks that addresses are leased in, and how a message is matched to one of them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::{ClientClass, KEPT};
use crate::base::mac::Mac;
use crate::dhcp::request::Request;

/// What a client is told together with its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkParameters {
    pub netmask: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub domain: Option<String>,
}

/// One network with its pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
    pub lease_time: Duration,
    pub reservations: Reservations,
    pub network: NetworkParameters,
}

/// All subnets that are reached by way of one LAN. Each LAN of the appliance has a site of its own: an address of
/// another site is refused like any foreign address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The appliance's own address on this LAN: never leased, and option 54.
    pub server: Ipv4Addr,
    /// The LAN itself.
    pub lan: Subnet,
    /// Networks behind relay agents.
    pub relayed: Vec<Subnet>,
}

/// Addresses that are kept for certain cards. Each packet looks them up both ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reservations {
    by_mac: BTreeMap<Mac, Ipv4Addr>,
    by_address: BTreeMap<Ipv4Addr, Mac>,
}

impl Reservations {
    /// Keeps `address` for `mac`.
    ///
    /// # Errors
    /// The card that the address is kept for already; `mac` itself if another address is kept for it.
    pub fn reserve(&mut self, mac: Mac, address: Ipv4Addr) -> Result<(), Mac> {
        if let Some(other) = self.by_address.get(&address) {
            return Err(*other);
        }
        if self.by_mac.contains_key(&mac) {
            return Err(mac);
        }
        self.by_mac.insert(mac, address);
        self.by_address.insert(address, mac);
        Ok(())
    }

    pub fn of(&self, mac: Mac) -> Option<Ipv4Addr> {
        self.by_mac.get(&mac).copied()
    }

    pub fn holder(&self, address: Ipv4Addr) -> Option<Mac> {
        self.by_address.get(&address).copied()
    }
}

impl NetworkParameters {
    /// Whether `address` is in the network of `member`.
    fn joins(&self, member: Ipv4Addr, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        address.to_bits() & mask == member.to_bits() & mask
    }
}

impl Subnet {
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        self.network.joins(self.first, address)
    }

    /// The lowest and the highest address of the network, ends included.
    pub(super) fn span(&self) -> (Ipv4Addr, Ipv4Addr) {
        let mask = self.network.netmask.to_bits();
        let low = self.first.to_bits() & mask;
        (low.into(), (low | !mask).into())
    }

    /// The last address of the pool for machines of this standing.
    pub fn last_for(&self, client_class: ClientClass) -> Ipv4Addr {
        match client_class {
            ClientClass::Enrolled => self.last,
            ClientClass::Stranger => (self.last.to_bits() - self.size() / KEPT).into(),
        }
    }

    /// How many addresses the pool has.
    pub fn size(&self) -> u32 {
        self.last.to_bits().saturating_sub(self.first.to_bits()) + 1
    }
}

impl Site {
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        std::iter::once(&self.lan).chain(&self.relayed)
    }

    /// The subnet that a client is in. With a relay, the relay says it: by link selection (RFC 3527), else by its own
    /// address. Without a relay it is the LAN, or, when a client of another subnet renews by unicast
    /// (RFC 2131 §4.3.2), the subnet of the address it has. `None` for a subnet that is not served.
    pub fn subnet(&self, request: &Request) -> Option<&Subnet> {
        let known = |address: Ipv4Addr| self.subnets().find(|s| s.contains(address));
        if !request.giaddr.is_unspecified() {
            let link = request.relay_agent.as_deref().and_then(link_selection);
            return known(link.unwrap_or(request.giaddr));
        }
        if request.ciaddr.is_unspecified() {
            return Some(&self.lan);
        }
        known(request.ciaddr).or(Some(&self.lan))
    }
}

/// The address in sub-option 5 of option 82 (RFC 3527).
fn link_selection(option: &[u8]) -> Option<Ipv4Addr> {
    let mut rest = option;
    while let [code, length, after @ ..] = rest {
        let (value, after) = after.split_at_checked(usize::from(*length))?;
        if *code == 5 {
            return <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_selection_is_found_among_the_sub_options() {
        for (name, option, want) in [
            (
                "after a circuit id",
                &[1, 2, 9, 9, 5, 4, 10, 78, 0, 0][..],
                Some([10, 78, 0, 0]),
            ),
            ("none", &[1, 2, 9, 9][..], None),
            ("cut off", &[5, 4, 10, 78][..], None),
            ("of a wrong length", &[5, 3, 10, 78, 0][..], None),
            ("empty", &[][..], None),
        ] {
            assert_eq!(link_selection(option), want.map(Ipv4Addr::from), "{name}");
        }
    }

    #[test]
    fn an_address_and_a_card_are_reserved_once() {
        let mac = |last| Mac::new([2, 0, 0, 0, 0, last]).expect("a MAC");
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        let mut reservations = Reservations::default();
        assert_eq!(reservations.reserve(mac(1), address(1)), Ok(()));
        assert_eq!(reservations.reserve(mac(2), address(1)), Err(mac(1)));
        assert_eq!(reservations.reserve(mac(1), address(2)), Err(mac(1)));
        assert_eq!(reservations.of(mac(1)), Some(address(1)));
        assert_eq!(reservations.holder(address(1)), Some(mac(1)));
        assert_eq!(reservations.holder(address(2)), None);
    }
}
