//! Whether who speaks over IP in a machine's name is that machine: anybody can write a MAC into a URL.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{BootEvent, TraceEntry};
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;

/// Whether the address is this machine's. `neighbour` is the card that the link says has it; an address of a neighbour
/// cannot be another machine's. Behind a router there is no neighbour: then the address counts that the machine last
/// took by DHCP, as `seen` tells. `cards` are all of the machine's: firmware may boot over one and fetch over another.
pub fn is_of(
    address: Ipv4Addr,
    neighbour: Option<Mac>,
    cards: &[Mac],
    seen: &[TraceEntry],
) -> bool {
    match neighbour {
        Some(card) => cards.contains(&card),
        None => taken(seen) == Some(address),
    }
}

/// A machine that asked over DHCP comes for its script within this time: loaders are large, and old cards slow.
const SOON: Duration = Duration::from_secs(5 * 60);

/// Whether a machine was heard to ask for something to boot since `since`, and so recently that what is asked for in its name
/// now belongs to that boot. To pretend this takes packets with its card's address.
pub fn asked(seen: &[TraceEntry], since: Timestamp, now: Timestamp) -> bool {
    let mut asked = seen
        .iter()
        .filter(|note| matches!(note.mark, BootEvent::Discover { .. }));
    asked.any(|note| note.last >= since && now.since(note.last) <= SOON)
}

/// The address that was taken last.
fn taken(seen: &[TraceEntry]) -> Option<Ipv4Addr> {
    let took = seen.iter().filter_map(|note| match note.mark {
        BootEvent::TookAddress { address, .. } => Some((note.last, address?)),
        _ => None,
    });
    took.max_by_key(|(last, _)| *last)
        .map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::arch::Arch;
    use crate::dhcp::request::BootClient;
    use crate::test_support::mac;

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, last)
    }

    fn took(seconds: u64, address: u8) -> TraceEntry {
        let mark = BootEvent::TookAddress {
            server: None,
            address: Some(ip(address)),
        };
        TraceEntry::once(
            Timestamp::default().plus(Duration::from_secs(seconds)),
            mark,
        )
    }

    #[test]
    fn a_question_over_dhcp_belongs_to_the_boot_that_follows_it() {
        let at = |seconds| Timestamp::default().plus(Duration::from_secs(seconds));
        let client = BootClient::Pxe;
        let arch = Arch::X64;
        let asked_at = |seconds| {
            vec![TraceEntry::once(
                at(seconds),
                BootEvent::Discover { client, arch },
            )]
        };
        for (name, seen, since, now, want) in [
            ("just before", asked_at(100), 0, 130, true),
            (
                "before the attempt that runs",
                asked_at(100),
                120,
                130,
                false,
            ),
            ("an hour ago", asked_at(100), 0, 3700, false),
            ("never", Vec::new(), 0, 130, false),
            (
                "it only took an address",
                vec![took(100, 50)],
                0,
                130,
                false,
            ),
        ] {
            assert_eq!(asked(&seen, at(since), at(now)), want, "{name}");
        }
    }

    #[test]
    fn an_address_is_the_machines_by_the_link_or_by_its_lease() {
        let cards = [mac(1), mac(2)];
        let leases = [took(9, 51), took(1, 50)];
        for (name, address, neighbour, seen, want) in [
            ("its card has it", 50, Some(1), &[][..], true),
            ("its other card has it", 50, Some(2), &[], true),
            ("another card has it", 50, Some(3), &[], false),
            ("another card has what it took", 51, Some(3), &leases, false),
            ("behind a router, what it took", 51, None, &leases, true),
            (
                "behind a router, what it had before",
                50,
                None,
                &leases,
                false,
            ),
            ("nothing is known", 50, None, &[], false),
        ] {
            let got = is_of(ip(address), neighbour.map(mac), &cards, seen);
            assert_eq!(got, want, "{name}");
        }
    }
}
