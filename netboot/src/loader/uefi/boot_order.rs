//! UEFI's boot entries and the order in which firmware tries them: the network first, so that a machine can be installed
//! again without a visit, and the installed disk next.
//!
//! Formats: UEFI 2.10 §3.3 (variables).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the entry of an installed system is called in the firmware's menu.
pub const TITLE: &str = "Installed by netboot";

/// What the entries of all its disks are called, in the order of the plan: a mirror starts from either.
pub fn titles() -> impl Iterator<Item = String> {
    std::iter::once(TITLE.to_owned()).chain((2..).map(|disk| format!("{TITLE}, disk {disk}")))
}

/// Whether an entry is one that an install made.
pub fn is_ours(entry: &BootEntry) -> bool {
    entry.source == BootSource::Disk
        && entry
            .title
            .strip_prefix(TITLE)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(", disk "))
}

/// What an entry boots from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootSource {
    Network,
    Disk,
    /// A shell, a menu, a disc.
    #[serde(other)]
    Other,
}

/// One entry, as its firmware tries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootEntry {
    /// `Boot0007` is 7.
    pub number: u16,
    /// What the firmware's menu calls it.
    pub title: String,
    pub source: BootSource,
}

/// `0007 network "UEFI: PXE IPv4"`
impl fmt::Display for BootEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            BootSource::Network => "network",
            BootSource::Disk => "disk",
            BootSource::Other => "other",
        };
        write!(f, "{:04X} {source} {:?}", self.number, self.title)
    }
}

/// `BootOrder` → the numbers in it.
pub fn numbers(octets: &[u8]) -> Vec<u16> {
    let pairs = octets.chunks_exact(2);
    pairs
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// The order after an install: the network entry that the machine was just booted by, else all that there are; then the
/// installed disks, of which a mirror has two; then the rest as it was. It has every entry of `order`, each once.
pub fn wanted(order: &[u16], known: &[BootEntry], current: Option<u16>, disks: &[u16]) -> Vec<u16> {
    let is_network = |number: &u16| {
        let entry = known.iter().find(|entry| entry.number == *number);
        entry.is_some_and(|entry| entry.source == BootSource::Network)
    };
    let network: Vec<u16> = match current.filter(is_network) {
        Some(current) => vec![current],
        None => order.iter().copied().filter(|n| is_network(n)).collect(),
    };
    let mut wanted = Vec::new();
    for number in network.iter().chain(disks).chain(order) {
        if !wanted.contains(number) {
            wanted.push(*number);
        }
    }
    wanted
}

/// What is wrong with the order for a machine that is to be installed again from afar: the disk stands before the network,
/// or the network is not in it at all. An order that could not be read is not judged.
pub fn misorder(order: &[BootEntry]) -> Option<String> {
    let said = |entry: &BootEntry| format!("{:04X} {:?}", entry.number, entry.title);
    let disk = order
        .iter()
        .position(|entry| entry.source == BootSource::Disk)?;
    let network = order
        .iter()
        .position(|entry| entry.source == BootSource::Network);
    let tried = said(order.get(disk)?);
    match network {
        Some(network) if network < disk => None,
        Some(network) => Some(format!(
            "its firmware tries the disk ({tried}) before the network ({})",
            said(order.get(network)?)
        )),
        None => Some(format!(
            "its firmware tries only the disk ({tried}), never the network"
        )),
    }
}

/// The command that puts it right on the machine: the network first, the others as they are. `None` where there is no
/// entry of the network.
pub fn fix_command(order: &[BootEntry]) -> Option<String> {
    let network = order
        .iter()
        .find(|entry| entry.source == BootSource::Network)?;
    let numbers: Vec<u16> = order.iter().map(|entry| entry.number).collect();
    let wanted = wanted(&numbers, order, Some(network.number), &[]);
    let wanted: Vec<String> = wanted.iter().map(|n| format!("{n:04X}")).collect();
    Some(format!("efibootmgr --bootorder {}", wanted.join(",")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(number: u16, source: BootSource) -> BootEntry {
        BootEntry {
            number,
            title: format!("entry {number}"),
            source,
        }
    }

    #[test]
    fn the_network_comes_first_and_the_disk_next() {
        use BootSource::{Disk, Network, Other};

        let known = [
            entry(1, Disk),
            entry(2, Network),
            entry(3, Network),
            entry(4, Other),
        ];
        for (name, order, current, want) in [
            (
                "booted by the second card",
                &[1, 2, 3, 4][..],
                Some(3),
                &[3, 9, 1, 2, 4][..],
            ),
            (
                "booted by something else",
                &[1, 2, 3, 4][..],
                Some(4),
                &[2, 3, 9, 1, 4][..],
            ),
            (
                "it is so already",
                &[3, 9, 1, 2][..],
                Some(3),
                &[3, 9, 1, 2][..],
            ),
            ("no network there", &[1, 4][..], None, &[9, 1, 4][..]),
            (
                "booted by one that is not in the order",
                &[1][..],
                Some(2),
                &[2, 9, 1][..],
            ),
        ] {
            assert_eq!(wanted(order, &known, current, &[9]), want, "{name}");
        }
        assert_eq!(
            wanted(&[1, 9, 2], &known, Some(2), &[8, 9]),
            [2, 8, 9, 1],
            "both disks of a mirror"
        );
    }

    #[test]
    fn entries_that_an_install_made_are_known_by_their_titles() {
        let titled = |title: &str| BootEntry {
            title: title.to_owned(),
            ..entry(1, BootSource::Disk)
        };
        for title in titles().take(3) {
            assert!(is_ours(&titled(&title)), "{title}");
        }
        for title in ["Windows", "Installed by netboots", "Installed by"] {
            assert!(!is_ours(&titled(title)), "{title}");
        }
        assert!(!is_ours(&BootEntry {
            source: BootSource::Network,
            ..titled(TITLE)
        }));
    }

    #[test]
    fn firmware_that_reorders_is_noticed() {
        use BootSource::{Disk, Network, Other};

        for (name, sources, bad) in [
            ("as it was left", &[Network, Disk][..], false),
            ("behind a menu", &[Other, Network, Disk][..], false),
            ("the disk first", &[Disk, Network][..], true),
            ("no network", &[Other, Disk][..], true),
            ("nothing known", &[][..], false),
            (
                "no disk: it boots by the fallback",
                &[Network, Other][..],
                false,
            ),
        ] {
            let order: Vec<BootEntry> = (1..).zip(sources).map(|(n, s)| entry(n, *s)).collect();
            assert_eq!(misorder(&order).is_some(), bad, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_command_that_mends_it() {
        use BootSource::{Disk, Network, Other};

        let order = [
            entry(7, Disk),
            entry(0x1a, Other),
            entry(1, Network),
            entry(2, Network),
        ];
        assert_eq!(
            misorder(&order).as_deref(),
            Some(
                "its firmware tries the disk (0007 \"entry 7\") before the network (0001 \"entry 1\")"
            )
        );
        assert_eq!(
            fix_command(&order).as_deref(),
            Some("efibootmgr --bootorder 0001,0007,001A,0002")
        );
        assert_eq!(
            misorder(&order[..2]).as_deref(),
            Some("its firmware tries only the disk (0007 \"entry 7\"), never the network")
        );
        assert_eq!(fix_command(&order[..2]), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_from_the_order(order: Vec<u16>, current: Option<u16>, disks: Vec<u16>, networks: Vec<u16>) {
            let known: Vec<BootEntry> = networks.into_iter().map(|n| entry(n, BootSource::Network)).collect();
            let wanted = wanted(&order, &known, current, &disks);
            prop_assert!(order.iter().all(|n| wanted.contains(n)));
            prop_assert!(disks.iter().all(|disk| wanted.contains(disk)));
            let mut once = wanted.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), wanted.len());
        }

        #[test]
        fn any_octets_are_survived(octets: Vec<u8>) {
            let _ = numbers(&octets);
        }
    }
}
