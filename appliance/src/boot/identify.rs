//! Whether the address that a request comes from is known to be the machine's that it names.

use std::net::Ipv4Addr;
use std::sync::Arc;

use netboot::api::agent::RequesterIdentity;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::doctor::boot_trace::requester;
use procfs::FromRead;
use procfs::net::{ARPFlags, ARPHardware, ArpEntries};

use super::log::BootLog;
use super::requester::Requester;
use crate::config::Dhcp;
use crate::store::Store;

/// Tells machines from others that use their names: by the link, and by the addresses that DHCP gave.
pub struct Identification {
    store: Store,
    log: Arc<BootLog>,
    /// Without DHCP of its own the appliance hears no machine ask.
    hears_dhcp: bool,
}

impl Identification {
    pub(super) fn new(store: Store, log: Arc<BootLog>, dhcp: &Dhcp) -> Self {
        Self {
            store,
            log,
            hears_dhcp: !matches!(dhcp, Dhcp::Off),
        }
    }

    /// Who asks from this address in the name of this machine, by the link as it is now.
    pub fn identify(&self, mac: Mac, from: Ipv4Addr) -> Requester {
        let state = self.store.state();
        let one = [mac];
        let cards = state.by_mac(mac).map_or(&one[..], |machine| &machine.macs);
        // The table of this thread: another thread may be in another network namespace.
        let table = ArpEntries::from_file("/proc/thread-self/net/arp");
        let table = table.unwrap_or_else(|error| {
            tracing::debug!(%error, "the kernel's table of neighbours cannot be read");
            ArpEntries(Vec::new())
        });
        let card = neighbour(&table, from);
        Requester {
            mac,
            from,
            verified: requester::is_of(from, card, cards, &self.log.marks_of(cards)),
        }
    }

    /// Whether what is asked for is a boot of the machine. Where the appliance hears no DHCP, a requester from behind a
    /// router counts as the machine.
    pub fn identity(&self, requester: &Requester) -> RequesterIdentity {
        let state = self.store.state();
        let Some(machine) = state.by_mac(requester.mac) else {
            return RequesterIdentity::Verified;
        };
        let attempt = machine.attempt.as_ref();
        let claimed = attempt.and_then(|a| a.claim.as_ref()).map(|claim| claim.at);
        let since = claimed.max(attempt.and_then(|a| a.served));
        let seen = self.log.marks_of(&machine.macs);
        let asked = || requester::asked(&seen, since.unwrap_or(Timestamp::MIN), self.log.now());
        match requester.verified || !self.hears_dhcp || asked() {
            true => RequesterIdentity::Verified,
            false => RequesterIdentity::Unverified,
        }
    }
}

/// The Ethernet card that has an address, from the kernel's table of neighbours. An entry that is not complete is only
/// a question.
fn neighbour(table: &ArpEntries, address: Ipv4Addr) -> Option<Mac> {
    let known = table.0.iter().find(|entry| {
        entry.ip_address == address
            && entry.hw_type == ARPHardware::ETHER
            && entry.flags.contains(ARPFlags::COM)
    });
    Mac::new(known?.hw_address?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_says_which_card_has_an_address() {
        let table = "\
IP address       HW type     Flags       HW address            Mask     Device
10.77.0.50       0x1         0x2         52:54:00:12:34:56     *        enp1s0
10.77.0.51       0x1         0x0         00:00:00:00:00:00     *        enp1s0
10.77.0.52       0x20        0x2         52:54:00:12:34:57     *        ib0
10.77.0.53       0x1         0x6         52:54:00:12:34:58     *        enp2s0
";
        let table = ArpEntries::from_read(table.as_bytes()).expect("is such a table");
        for (name, last, want) in [
            ("a neighbour", 50, Some("52:54:00:12:34:56")),
            ("one that does not answer", 51, None),
            ("no Ethernet", 52, None),
            ("one that was set by hand", 53, Some("52:54:00:12:34:58")),
            ("nobody", 54, None),
        ] {
            let got = neighbour(&table, Ipv4Addr::new(10, 77, 0, last));
            let want = want.map(|mac| mac.parse::<Mac>().expect("a MAC"));
            assert_eq!(got, want, "{name}");
        }
    }
}
