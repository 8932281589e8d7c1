//! Who asks over IP in a machine's name, and whether the address is known to be that machine's.

use std::net::Ipv4Addr;

use netboot::api::agent::Asker;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::doctor::boot_trace::{Mark, requester};
use procfs::FromRead;
use procfs::net::{ARPFlags, ARPHardware, ArpEntries};

use crate::app::App;
use crate::config::Dhcp;

/// Somebody who names a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub mac: Mac,
    from: Ipv4Addr,
    /// It is that machine, as far as DHCP and the link can tell.
    pub is_proven: bool,
}

impl App {
    /// Looks at the link as it is now.
    pub fn caller(&self, mac: Mac, from: Ipv4Addr) -> Caller {
        let world = self.store.world();
        let one = [mac];
        let cards = world.by_mac(mac).map_or(&one[..], |machine| &machine.macs);
        // Of this thread: another may be in another network namespace.
        let table = ArpEntries::from_file("/proc/thread-self/net/arp");
        let table = table.unwrap_or_else(|error| {
            tracing::debug!(%error, "the kernel's table of neighbours cannot be read");
            ArpEntries(Vec::new())
        });
        let is_proven = requester::is_of(
            from,
            neighbour(&table, from),
            cards,
            &self.timelines.of(cards),
        );
        Caller {
            mac,
            from,
            is_proven,
        }
    }

    /// Whether what is asked for is a boot of the machine. Without DHCP of its own the appliance hears no machine ask, and
    /// has to believe whoever comes from behind a router.
    pub fn asker(&self, caller: &Caller) -> Asker {
        let world = self.store.world();
        let Some(machine) = world.by_mac(caller.mac) else {
            return Asker::Itself;
        };
        let attempt = machine.attempt.as_ref();
        let claimed = attempt.and_then(|a| a.claim.as_ref()).map(|claim| claim.at);
        let since = claimed.max(attempt.and_then(|a| a.served));
        let seen = self.timelines.of(&machine.macs);
        let asked =
            || requester::asked(&seen, since.unwrap_or(Timestamp::MIN), self.timelines.now());
        match caller.is_proven || matches!(self.config.dhcp, Dhcp::Off) || asked() {
            true => Asker::Itself,
            false => Asker::Somebody,
        }
    }

    /// Takes down what was done in a machine's name; as somebody's who is not known to be it, if so it is.
    pub fn mark_of(&self, caller: &Caller, mark: Mark) {
        let mark = match caller.is_proven {
            true => Some(mark),
            false => mark.unproven(caller.from),
        };
        if let Some(mark) = mark {
            self.mark(caller.mac, mark);
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
