//! Whether this system was started from a disk: the firmware says so, or it is mounted where live systems mount their medium.

use netboot::loader::uefi::load_option::{HardDrive, guid};

use crate::access::Roots;
use crate::busy::mount_points;
use crate::disk_facts::{Child, children, udev};
use crate::efi;
use crate::real::text;

/// Mount points that are in RAM on a netbooted system, and on the medium of one that was started from a disk.
const MOUNTS: [&str; 4] = ["/", "/iso", "/nix/.ro-store", "/nix/store"];

pub(crate) fn is(roots: &Roots, disk: &str, sector: u32) -> bool {
    let parts = children(roots, disk);
    let mut devices: Vec<&str> = parts.iter().map(|part| part.node.as_str()).collect();
    devices.push(disk);
    let mounted = mount_points(roots, &devices);
    mounted.iter().any(|path| MOUNTS.contains(&path.as_str()))
        || efi::started_from(roots).is_some_and(|from| {
            parts
                .iter()
                .any(|part| is_named(&from, roots, part, sector))
        })
}

/// Whether a boot option names this partition. Its place alone is not enough: another disk may be laid out alike.
fn is_named(from: &HardDrive, roots: &Roots, part: &Child, sector: u32) -> bool {
    let sector = u64::from(sector);
    let known = text(roots.sys.join("class/block").join(&part.node).join("dev"))
        .map(|number| udev(roots, &number))
        .unwrap_or_default();
    let has = known
        .iter()
        .find_map(|line| line.strip_prefix("E:ID_PART_ENTRY_UUID="));
    let other = matches!((has, from.id), (Some(has), Some(wanted)) if guid(has) != Some(wanted));
    !other
        && part.number == from.number
        && part.start == from.start.saturating_mul(sector)
        && part.size == from.size.saturating_mul(sector)
}

#[cfg(test)]
mod tests {
    use netboot::disk::hardware::Firmware;
    use netboot::loader::uefi::load_option::{self, Esp};

    use super::*;
    use crate::fake::{DiskSpec, FakeMachine};

    fn option(number: u32) -> Vec<u8> {
        let esp = Esp {
            number,
            start: 0x800,
            size: 0x1000,
            id: guid("00112233-4455-6677-8899-aabbccddeeff").expect("a GUID"),
        };
        load_option::write("UEFI stick", &esp, r"\EFI\BOOT\BOOTX64.EFI")
    }

    fn machine() -> FakeMachine {
        let mut fake = FakeMachine::new(Firmware::Uefi);
        for name in ["sda", "sdb"] {
            fake.add_disk(&DiskSpec::virtio(name, 8 << 30, name));
            fake.add_partition(name, 1, 2048, 4096, "a");
        }
        fake
    }

    fn media(fake: &FakeMachine) -> [bool; 2] {
        ["sda", "sdb"].map(|disk| is(&fake.roots(), disk, 512))
    }

    #[test]
    fn the_partition_that_firmware_started_tells_its_disk_from_one_like_it() {
        let fake = machine();
        assert_eq!(media(&fake), [false, false]);
        let variable = |name: &str, value: &[u8]| {
            let file = format!("sys/firmware/efi/efivars/{name}-{}", efi::GLOBAL);
            fake.write_octets(&file, &[&[7, 0, 0, 0], value].concat());
        };
        variable("BootCurrent", &[0x0a, 0]);
        variable("Boot000A", &option(1));
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
        variable("Boot000A", &option(2));
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
