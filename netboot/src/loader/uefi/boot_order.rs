//! UEFI's boot entries and the order in which firmware tries them: the network first, so that a machine can be installed
//! again without a visit, and the installed disk next.
//!
//! Formats: UEFI 2.10 §3.1.3 (`EFI_LOAD_OPTION`), §3.3 (variables), §10.3 (device paths).

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::device_path::HardDrive;
use super::device_path::source;

/// What the entry of an installed system is called in the firmware's menu.
pub const TITLE: &str = "Installed by netboot";

/// What the entries of all its disks are called, in the order of the plan: a mirror starts from either.
pub fn titles() -> impl Iterator<Item = String> {
    std::iter::once(TITLE.to_owned()).chain((2..).map(|disk| format!("{TITLE}, disk {disk}")))
}

/// Whether an entry is one that an install made.
pub fn is_ours(entry: &Entry) -> bool {
    entry.source == Source::Disk
        && entry
            .title
            .strip_prefix(TITLE)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(", disk "))
}

/// Non-volatile, seen by boot services and at run time (§8.2): what precedes a variable's data in efivarfs.
pub const ATTRIBUTES: u32 = 7;

/// What an entry boots from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Network,
    Disk,
    /// A shell, a menu, a disc.
    #[serde(other)]
    Other,
}

/// One entry, as its firmware tries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `Boot0007` is 7.
    pub number: u16,
    /// What the firmware's menu calls it.
    pub title: String,
    pub source: Source,
}

/// `0007 network "UEFI: PXE IPv4"`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match self.source {
            Source::Network => "network",
            Source::Disk => "disk",
            Source::Other => "other",
        };
        write!(f, "{:04X} {source} {:?}", self.number, self.title)
    }
}

/// `Boot####` → its entry, and the partition that it names; `None` for one that is not active or not readable.
pub fn read(number: u16, octets: &[u8]) -> Option<(Entry, Option<[u8; 16]>)> {
    const ACTIVE: u32 = 1;

    let attributes = u32::from_le_bytes(octets.get(..4)?.try_into().ok()?);
    let (title, path) = parts(octets)?;
    let (source, drive) = source(path);
    let entry = Entry {
        number,
        title,
        source,
    };
    let partition = drive.and_then(|drive| drive.id);
    (attributes & ACTIVE != 0).then_some((entry, partition))
}

/// The partition that `Boot####` starts from, active or not: a person may pick any in the firmware's menu. `None` for
/// one that starts a whole disk, or a network card.
pub fn hard_drive(octets: &[u8]) -> Option<HardDrive> {
    let (_, path) = parts(octets)?;
    source(path).1
}

/// Attributes, the length of the device path, the title, the path.
fn parts(octets: &[u8]) -> Option<(String, &[u8])> {
    let length = usize::from(u16::from_le_bytes(octets.get(4..6)?.try_into().ok()?));
    let (title, rest) = title(octets.get(6..)?)?;
    Some((title, rest.get(..length)?))
}

/// UCS-2 up to its NUL, without what a terminal would obey, and what follows it.
fn title(octets: &[u8]) -> Option<(String, &[u8])> {
    let units: Vec<u16> = octets
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|unit| *unit != 0)
        .collect();
    let rest = octets.get(units.len() * 2 + 2..)?;
    let text = String::from_utf16_lossy(&units);
    let text = text.chars().filter(|c| !c.is_control()).take(80).collect();
    Some((text, rest))
}

/// An EFI system partition, as a hard drive node names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Esp {
    /// From 1.
    pub number: u32,
    /// In the disk's own sectors.
    pub start: u64,
    pub size: u64,
    /// The partition's GUID as it stands in the GPT: the first three groups are little-endian.
    pub id: [u8; 16],
}

/// `Boot####` for the loader at this place on this partition, such as `\EFI\BOOT\BOOTX64.EFI`.
pub fn write(title: &str, esp: &Esp, loader: &str) -> Vec<u8> {
    let utf16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    };
    let node = |kind: u8, sub: u8, body: &[u8]| -> Vec<u8> {
        let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX);
        let [low, high] = length.to_le_bytes();
        [&[kind, sub, low, high][..], body].concat()
    };
    // The two octets at the end: the table is a GPT, and the signature its GUID.
    let drive = [
        &esp.number.to_le_bytes()[..],
        &esp.start.to_le_bytes(),
        &esp.size.to_le_bytes(),
        &esp.id,
        &[2, 2],
    ];
    let path = [
        node(4, 1, &drive.concat()),
        node(4, 4, &utf16(loader)),
        node(0x7f, 0xff, &[]),
    ]
    .concat();
    let length = u16::try_from(path.len()).unwrap_or(u16::MAX);
    [
        &1_u32.to_le_bytes()[..],
        &length.to_le_bytes(),
        &utf16(title),
        &path,
    ]
    .concat()
}

/// `c12a7328-f81f-11d2-ba4b-00a0c93ec93b` → its octets in a GPT.
pub fn guid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    // `from_str_radix` takes a sign as well.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let octets: Option<Vec<u8>> = (0..16)
        .map(|at| u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok())
        .collect();
    let mut id: [u8; 16] = octets.filter(|_| digits.len() == 32)?.try_into().ok()?;
    id[..4].reverse();
    id[4..6].reverse();
    id[6..8].reverse();
    Some(id)
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
pub fn wanted(order: &[u16], known: &[Entry], current: Option<u16>, disks: &[u16]) -> Vec<u16> {
    let is_network = |number: &u16| {
        let entry = known.iter().find(|entry| entry.number == *number);
        entry.is_some_and(|entry| entry.source == Source::Network)
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
pub fn misorder(order: &[Entry]) -> Option<String> {
    let said = |entry: &Entry| format!("{:04X} {:?}", entry.number, entry.title);
    let disk = order
        .iter()
        .position(|entry| entry.source == Source::Disk)?;
    let network = order
        .iter()
        .position(|entry| entry.source == Source::Network);
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
pub fn fix_command(order: &[Entry]) -> Option<String> {
    let network = order.iter().find(|entry| entry.source == Source::Network)?;
    let numbers: Vec<u16> = order.iter().map(|entry| entry.number).collect();
    let wanted = wanted(&numbers, order, Some(network.number), &[]);
    let wanted: Vec<String> = wanted.iter().map(|n| format!("{n:04X}")).collect();
    Some(format!("efibootmgr --bootorder {}", wanted.join(",")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "9f2a6c1e-4b3d-4e5f-8a7b-0123456789ab";

    fn esp() -> Esp {
        Esp {
            number: 1,
            start: 2048,
            size: 1_048_576,
            id: guid(ID).expect("a GUID"),
        }
    }

    fn entry(number: u16, source: Source) -> Entry {
        Entry {
            number,
            title: format!("entry {number}"),
            source,
        }
    }

    /// `PciRoot(0)/Pci(3,0)/MAC/IPv4`, as EDK2 writes it.
    fn pxe() -> Vec<u8> {
        let nodes: [&[u8]; 4] = [
            &[2, 1, 12, 0, 0xd0, 0x41, 3, 0x0a, 0, 0, 0, 0],
            &[1, 1, 6, 0, 0, 3],
            &[&[3_u8, 11, 37, 0][..], &[0x52; 33]].concat(),
            &[&[3_u8, 12, 27, 0][..], &[0; 23]].concat(),
        ];
        let path = [&nodes.concat()[..], &[0x7f, 0xff, 4, 0]].concat();
        let title: Vec<u8> = "PXE\u{1b}v4\0"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let length = u16::try_from(path.len()).expect("short");
        [
            &1_u32.to_le_bytes()[..],
            &length.to_le_bytes(),
            &title,
            &path,
        ]
        .concat()
    }

    #[test]
    fn entries_are_read_for_what_they_boot_from() {
        let (entry, partition) = read(7, &pxe()).expect("is one");
        assert_eq!(entry.to_string(), "0007 network \"PXEv4\"");
        assert_eq!((partition, hard_drive(&pxe())), (None, None));
        let mut inactive = pxe();
        inactive[0] = 0;
        assert_eq!(read(7, &inactive), None);
        for end in 0..pxe().len() {
            assert_eq!(read(7, &pxe()[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_begins_as_efibootmgr_writes_it() {
        let octets = write(TITLE, &esp(), r"\EFI\BOOT\BOOTX64.EFI");
        let (entry, partition) = read(3, &octets).expect("is one");
        assert_eq!((entry.title.as_str(), entry.source), (TITLE, Source::Disk));
        assert_eq!(partition, Some(esp().id));
        let drive = hard_drive(&octets).expect("names a partition");
        let Esp {
            number,
            start,
            size,
            id,
        } = esp();
        let want = HardDrive {
            number,
            start,
            size,
            id: Some(id),
        };
        assert_eq!(drive, want);
        for end in 0..octets.len() {
            assert_eq!(hard_drive(&octets[..end]), None, "cut at {end}");
        }
        let signature = 6 + (TITLE.len() + 1) * 2 + 41;
        let mut inactive = octets.clone();
        (inactive[0], inactive[signature]) = (0, 1);
        let of_no_gpt = HardDrive { id: None, ..want };
        assert_eq!(hard_drive(&inactive), Some(of_no_gpt));
        // HD(1,GPT,…,0x800,0x100000): number, start, size, GUID, formats.
        let at = 6 + (TITLE.len() + 1) * 2;
        assert_eq!(octets[at..at + 8], [4, 1, 42, 0, 1, 0, 0, 0]);
        assert_eq!(octets[at + 24..at + 28], [0x1e, 0x6c, 0x2a, 0x9f]);
        assert_eq!(octets[at + 40..at + 42], [2, 2]);
    }

    #[test]
    fn the_network_comes_first_and_the_disk_next() {
        use Source::{Disk, Network, Other};

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
        let titled = |title: &str| Entry {
            title: title.to_owned(),
            ..entry(1, Source::Disk)
        };
        for title in titles().take(3) {
            assert!(is_ours(&titled(&title)), "{title}");
        }
        for title in ["Windows", "Installed by netboots", "Installed by"] {
            assert!(!is_ours(&titled(title)), "{title}");
        }
        assert!(!is_ours(&Entry {
            source: Source::Network,
            ..titled(TITLE)
        }));
    }

    #[test]
    fn firmware_that_reorders_is_noticed() {
        use Source::{Disk, Network, Other};

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
            let order: Vec<Entry> = (1..).zip(sources).map(|(n, s)| entry(n, *s)).collect();
            assert_eq!(misorder(&order).is_some(), bad, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_command_that_mends_it() {
        use Source::{Disk, Network, Other};

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

    #[test]
    fn a_guid_is_digits_and_nothing_else() {
        assert!(guid(ID).is_some());
        for (at, what) in [(0, "+"), (0, "g"), (35, "-")] {
            let mut wrong = ID.to_owned();
            wrong.replace_range(at..=at, what);
            assert_eq!(guid(&wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_from_the_order(order: Vec<u16>, current: Option<u16>, disks: Vec<u16>, networks: Vec<u16>) {
            let known: Vec<Entry> = networks.into_iter().map(|n| entry(n, Source::Network)).collect();
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
            let _ = (read(1, &octets), hard_drive(&octets));
            let _ = numbers(&octets);
        }
    }
}
