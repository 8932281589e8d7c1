//! UEFI's load options: the value of a `Boot####` variable, read and written.
//!
//! Formats: UEFI 2.10 §3.1.3 (`EFI_LOAD_OPTION`), §3.3 (variables), §10.3 (device paths).

use super::boot_order::BootEntry;
pub use super::device_path::HardDrive;
use super::device_path::source;

/// Non-volatile, seen by boot services and at run time (§8.2): what precedes a variable's data in efivarfs.
pub const ATTRIBUTES: u32 = 7;

/// `Boot####` → its entry, and the partition that it names; `None` for one that is not active or not readable.
pub fn read(number: u16, octets: &[u8]) -> Option<(BootEntry, Option<[u8; 16]>)> {
    const ACTIVE: u32 = 1;

    let attributes = u32::from_le_bytes(octets.get(..4)?.try_into().ok()?);
    let (title, path) = parts(octets)?;
    let (source, drive) = source(path);
    let entry = BootEntry {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::loader::uefi::boot_order::{BootSource, TITLE};

    const ID: &str = "9f2a6c1e-4b3d-4e5f-8a7b-0123456789ab";

    fn esp() -> Esp {
        Esp {
            number: 1,
            start: 2048,
            size: 1_048_576,
            id: guid(ID).expect("a GUID"),
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
        assert_eq!(
            (entry.title.as_str(), entry.source),
            (TITLE, BootSource::Disk)
        );
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
        fn any_octets_are_survived(octets: Vec<u8>) {
            let _ = (read(1, &octets), hard_drive(&octets));
        }
    }
}
