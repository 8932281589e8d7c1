//! Whether this system was started from a disk: the firmware says so, or it is mounted where live systems mount their medium.

use std::fs;

use crate::busy::mount_points;
use crate::disk_facts::{Child, children, udev};
use crate::outside::Roots;
use crate::real::text;

/// What lives in RAM when it was netbooted, and on the medium otherwise.
const MOUNTS: [&str; 4] = ["/", "/iso", "/nix/.ro-store", "/nix/store"];
/// EFI_GLOBAL_VARIABLE (UEFI 2.10 §3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub(crate) fn is(roots: &Roots, disk: &str, sector: u32) -> bool {
    let parts = children(roots, disk);
    let mut devices: Vec<&str> = parts.iter().map(|part| part.node.as_str()).collect();
    devices.push(disk);
    let mounted = mount_points(roots, &devices);
    mounted.iter().any(|path| MOUNTS.contains(&path.as_str()))
        || current(roots).is_some_and(|from| parts.iter().any(|part| from.is(roots, part, sector)))
}

/// A partition, as a UEFI boot option names it.
#[derive(Debug, PartialEq, Eq)]
struct HardDrive {
    number: u32,
    /// In the disk's own sectors.
    start: u64,
    size: u64,
    /// Of the partition, in the form of `PARTUUID`; nothing if the table is no GPT.
    guid: Option<String>,
}

impl HardDrive {
    fn is(&self, roots: &Roots, part: &Child, sector: u32) -> bool {
        let sector = u64::from(sector);
        let known = text(roots.sys.join("class/block").join(&part.node).join("dev"))
            .map(|number| udev(roots, &number))
            .unwrap_or_default();
        let guid = known
            .iter()
            .find_map(|line| line.strip_prefix("E:ID_PART_ENTRY_UUID="));
        let other = matches!((guid, &self.guid), (Some(has), Some(wanted)) if has != wanted);
        !other
            && part.number == self.number
            && part.start == self.start.saturating_mul(sector)
            && part.size == self.size.saturating_mul(sector)
    }
}

/// The partition of the boot option that is running, if it is one on a partition. Firmware that started a whole disk,
/// or a network card, names none.
fn current(roots: &Roots) -> Option<HardDrive> {
    let variable = |name: &str| {
        let file = roots.sys.join("firmware/efi/efivars");
        let octets = fs::read(file.join(format!("{name}-{GLOBAL}"))).ok()?;
        // Four octets of attributes come first (Documentation/filesystems/efivarfs.rst).
        octets.get(4..).map(<[u8]>::to_vec)
    };
    let number = u16::from_le_bytes(variable("BootCurrent")?.try_into().ok()?);
    hard_drive(&variable(&format!("Boot{number:04X}"))?)
}

/// From a load option (UEFI 2.10 §3.1.3): attributes, the length of the path, a description that ends with a zero, the path.
fn hard_drive(option: &[u8]) -> Option<HardDrive> {
    let length = usize::from(u16_at(option, 4)?);
    let text = option.get(6..)?;
    let end = text.chunks_exact(2).position(|unit| unit == [0, 0])?;
    let mut path = text.get((end + 1) * 2..)?.get(..length)?;
    // Nodes: type, subtype, length of all (§10.2). A hard drive is 4, 1 (§10.3.5.1).
    while let (Some(kind), Some(length)) = (path.get(..2), u16_at(path, 2)) {
        let node = path.get(..usize::from(length)).filter(|n| n.len() >= 4)?;
        if kind == [4, 1] {
            let u64_at =
                |at: usize| Some(u64::from_le_bytes(node.get(at..at + 8)?.try_into().ok()?));
            return Some(HardDrive {
                number: u32::from_le_bytes(node.get(4..8)?.try_into().ok()?),
                start: u64_at(8)?,
                size: u64_at(16)?,
                guid: guid(node.get(24..40)).filter(|_| node.get(41) == Some(&2)),
            });
        }
        path = &path[node.len()..];
    }
    None
}

/// Its first three parts are little-endian (UEFI 2.10 appendix A).
fn guid(octets: Option<&[u8]>) -> Option<String> {
    const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let octets = octets?;
    let mut text = String::new();
    for (place, at) in ORDER.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", octets[at]));
    }
    Some(text)
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use netboot::hardware::Firmware;

    use super::*;
    use crate::fake::{DiskSpec, Fake};

    /// `PciRoot(0x0)/HD(number,GPT,00112233-4455-6677-8899-aabbccddeeff,0x800,0x1000)`
    fn option(number: u32, nodes_before: &[u8], kind: u8) -> Vec<u8> {
        let guid: Vec<u8> = [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66]
            .into_iter()
            .chain((8..16).map(|n| n * 0x11))
            .collect();
        let node = [
            &[4, 1, 42, 0][..],
            &number.to_le_bytes(),
            &0x800_u64.to_le_bytes(),
            &0x1000_u64.to_le_bytes(),
            &guid,
            &[2, kind],
        ]
        .concat();
        let path = [nodes_before, &node, &[0x7f, 0xff, 4, 0]].concat();
        let name = "UEFI stick".encode_utf16().chain([0]);
        [
            &[1, 0, 0, 0][..],
            &u16::try_from(path.len()).unwrap().to_le_bytes(),
            &name.flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
            &path,
        ]
        .concat()
    }

    fn machine() -> Fake {
        let mut fake = Fake::new(Firmware::Uefi);
        for name in ["sda", "sdb"] {
            fake.add_disk(&DiskSpec::virtio(name, 8 << 30, name));
            fake.add_partition(name, 1, 2048, 4096, "a");
        }
        fake
    }

    fn media(fake: &Fake) -> [bool; 2] {
        ["sda", "sdb"].map(|disk| is(&fake.roots(), disk, 512))
    }

    #[test]
    fn a_load_option_names_its_partition_or_none() {
        let root = [2, 1, 12, 0, 0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0];
        let gpt = option(1, &root, 2);
        let found = hard_drive(&gpt).expect("a partition");
        assert_eq!(
            found.guid.as_deref(),
            Some("00112233-4455-6677-8899-aabbccddeeff")
        );
        assert_eq!((found.number, found.start, found.size), (1, 0x800, 0x1000));
        assert_eq!(hard_drive(&option(3, &[], 1)).map(|hd| hd.guid), Some(None));
        for cut in 0..gpt.len() - 4 {
            assert_eq!(hard_drive(&gpt[..cut]), None, "cut at {cut}");
        }
        let network = [3, 11, 5, 0, 1, 0x7f, 0xff, 4, 0];
        let length = [9, 0];
        assert_eq!(
            hard_drive(&[&[1, 0, 0, 0][..], &length, &[0, 0], &network].concat()),
            None
        );
        assert_eq!(
            hard_drive(&[&[1, 0, 0, 0][..], &[4, 0], &[0, 0], &[3, 1, 0, 0]].concat()),
            None
        );
    }

    #[test]
    fn the_partition_that_firmware_started_tells_its_disk_from_one_like_it() {
        let fake = machine();
        assert_eq!(media(&fake), [false, false]);
        let variable = |name: &str, value: &[u8]| {
            let file = format!("sys/firmware/efi/efivars/{name}-{GLOBAL}");
            fake.write_octets(&file, &[&[7, 0, 0, 0], value].concat());
        };
        variable("BootCurrent", &[0x0a, 0]);
        variable("Boot000A", &option(1, &[], 2));
        let known = |disk: &str, guid: &str| {
            let number = fake.number(&format!("{disk}1"));
            fake.write(
                &format!("run/udev/data/b{number}"),
                &format!("E:ID_PART_ENTRY_UUID={guid}\n"),
            );
        };
        known("sda", "99999999-4455-6677-8899-aabbccddeeff");
        known("sdb", "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(media(&fake), [false, true]);
        variable("Boot000A", &option(2, &[], 2));
        assert_eq!(media(&fake), [false, false]);
    }

    #[test]
    fn a_live_system_s_medium_is_mounted_and_an_old_root_is_not_a_medium() {
        let fake = machine();
        let (one, two) = (fake.number("sda1"), fake.number("sdb1"));
        fake.write(
            "proc/self/mountinfo",
            &format!(
                "21 1 {one} / /iso ro - iso9660 /dev/sda1 ro\n22 1 {two} / /mnt rw - ext4 /dev/sdb1 rw\n"
            ),
        );
        assert_eq!(media(&fake), [true, false]);
    }
}
