//! The firmware's boot entries, through efivarfs. A failure to read or write there is only a warning: a system boots by
//! the loader's fallback place, too, and the next boot report says how the order stands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use netboot::loader::uefi::boot_order::{self, BootEntry};
use netboot::loader::uefi::load_option::{self, ATTRIBUTES, Esp, HardDrive};

use crate::access::Roots;

/// EFI_GLOBAL_VARIABLE (UEFI 2.10 §3.3).
pub(crate) const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// What the firmware calls the loader of its own architecture (UEFI 2.10 §3.5.1.1), and what systemd calls its own.
#[cfg(target_arch = "aarch64")]
pub(crate) const LOADERS: [&str; 2] = ["BOOTAA64.EFI", "systemd-bootaa64.efi"];
#[cfg(not(target_arch = "aarch64"))]
pub(crate) const LOADERS: [&str; 2] = ["BOOTX64.EFI", "systemd-bootx64.efi"];

fn file(roots: &Roots, variable: &str) -> PathBuf {
    let folder = roots.sys.join("firmware/efi/efivars");
    folder.join(format!("{variable}-{GLOBAL}"))
}

/// The data of a variable, without its attributes.
fn read(roots: &Roots, variable: &str) -> Option<Vec<u8>> {
    let octets = fs::read(file(roots, variable)).ok()?;
    octets.get(4..).map(<[u8]>::to_vec)
}

/// Attributes and data in one write, as efivarfs wants it.
fn write(roots: &Roots, variable: &str, data: &[u8]) -> io::Result<()> {
    let octets = [&ATTRIBUTES.to_le_bytes()[..], data].concat();
    fs::write(file(roots, variable), octets)
}

/// All boot entries that are active, with the partitions that they name.
fn entries(roots: &Roots) -> Vec<(BootEntry, Option<[u8; 16]>)> {
    let folder = roots.sys.join("firmware/efi/efivars");
    let number = |name: &String| {
        let digits = name.strip_prefix("Boot")?.strip_suffix(GLOBAL)?;
        let digits = digits.strip_suffix('-').filter(|d| d.len() == 4)?;
        // `from_str_radix` takes a sign as well.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        u16::from_str_radix(digits, 16).ok()
    };
    let names = crate::inventory::names(&folder);
    let numbers = names.iter().filter_map(number);
    numbers
        .filter_map(|n| load_option::read(n, &read(roots, &format!("Boot{n:04X}"))?))
        .collect()
}

fn numbers(roots: &Roots, variable: &str) -> Vec<u16> {
    boot_order::numbers(&read(roots, variable).unwrap_or_default())
}

/// The boot order that is in force; empty where it cannot be read.
pub(crate) fn order(roots: &Roots) -> Vec<BootEntry> {
    let entries = entries(roots);
    let of = |number| entries.iter().find(|(entry, _)| entry.number == number);
    let order = numbers(roots, "BootOrder").into_iter().filter_map(of);
    order.map(|(entry, _)| entry.clone()).collect()
}

/// The partition that this system was started from, if the firmware says so.
pub(crate) fn started_from(roots: &Roots) -> Option<HardDrive> {
    let number = numbers(roots, "BootCurrent").first().copied()?;
    load_option::hard_drive(&read(roots, &format!("Boot{number:04X}"))?)
}

/// Gives each installed disk an entry, and puts them behind the network. Entries of disks that an earlier install had and
/// this one has not are taken away: firmware would try them in vain.
pub(crate) fn network_then(roots: &Roots, esps: &[Esp]) -> anyhow::Result<Vec<BootEntry>> {
    let known = entries(roots);
    let mut disks = Vec::new();
    for (title, esp) in boot_order::titles().zip(esps) {
        let names_it = |(_, partition): &&(BootEntry, Option<[u8; 16]>)| *partition == Some(esp.id);
        let is_called_so = |(entry, _): &&(BootEntry, Option<[u8; 16]>)| entry.title == title;
        let free = |(entry, _): &&(BootEntry, Option<[u8; 16]>)| !disks.contains(&entry.number);
        let mut own = known.iter().filter(free);
        let own = own
            .clone()
            .find(names_it)
            .or_else(|| own.find(is_called_so));
        let taken = |number: &u16| file(roots, &format!("Boot{number:04X}")).exists();
        let number = match own {
            Some((entry, _)) => entry.number,
            None => (0..=u16::MAX)
                .find(|number| !taken(number))
                .context("there is no room for another boot entry")?,
        };
        write(
            roots,
            &format!("Boot{number:04X}"),
            &load_option::write(&title, esp, &format!(r"\EFI\BOOT\{}", LOADERS[0])),
        )
        .context("the firmware takes no boot entry for the disk")?;
        disks.push(number);
    }

    let before = numbers(roots, "BootOrder");
    let current = numbers(roots, "BootCurrent").first().copied();
    let known: Vec<BootEntry> = known.into_iter().map(|(entry, _)| entry).collect();
    let is_left = |number: &u16| {
        let entry = known.iter().find(|entry| entry.number == *number);
        entry.is_some_and(boot_order::is_ours) && !disks.contains(number)
    };
    let mut wanted = boot_order::wanted(&before, &known, current, &disks);
    wanted.retain(|number| !is_left(number));
    if wanted != before {
        let octets: Vec<u8> = wanted.iter().flat_map(|n| n.to_le_bytes()).collect();
        write(roots, "BootOrder", &octets).context("the firmware does not take the boot order")?;
    }
    for left in known.iter().map(|entry| entry.number).filter(is_left) {
        fs::remove_file(file(roots, &format!("Boot{left:04X}")))
            .context("the firmware keeps the entry of a disk that was installed before")?;
    }
    Ok(order(roots))
}

/// Whether the machine was started by UEFI and its variables are mounted.
pub(crate) fn has_variables(roots: &Roots) -> bool {
    file(roots, "BootOrder").exists() || file(roots, "BootCurrent").exists()
}

/// Puts the loader at the fallback place (UEFI 2.10 §3.5.1.1), for firmware that forgets its entries, if the system's
/// own boot loader did not.
pub(crate) fn fallback(esp: &Path) -> io::Result<bool> {
    let place = esp.join("EFI/BOOT").join(LOADERS[0]);
    let own = esp.join("EFI/systemd").join(LOADERS[1]);
    if place.exists() || !own.exists() {
        return Ok(place.exists());
    }
    fs::create_dir_all(esp.join("EFI/BOOT"))?;
    // Beside its name and renamed: firmware must not find half a loader.
    let beside = place.with_extension("tmp");
    fs::copy(own, &beside)?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, &place)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use netboot::disk::hardware::Firmware;

    use super::*;
    use crate::fake::FakeMachine;

    fn variable(fake: &FakeMachine, name: &str, data: &[u8]) {
        let roots = fake.roots();
        fs::create_dir_all(file(&roots, name).parent().expect("a folder")).expect("makes");
        write(&roots, name, data).expect("writes");
    }

    fn octets(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// `MAC()`: the least of a network entry.
    fn network(title: &str) -> Vec<u8> {
        let title: Vec<u8> = format!("{title}\0")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let path = [&[3_u8, 11, 37, 0][..], &[0; 33], &[0x7f, 0xff, 4, 0]].concat();
        let length = u16::try_from(path.len()).expect("short");
        [
            &1_u32.to_le_bytes()[..],
            &length.to_le_bytes(),
            &title,
            &path,
        ]
        .concat()
    }

    fn esp(last: u8) -> Esp {
        Esp {
            number: 1,
            start: 2048,
            size: 4096,
            id: [last; 16],
        }
    }

    #[test]
    fn the_disk_gets_one_entry_behind_the_network_however_often_it_is_installed() {
        let fake = FakeMachine::new(Firmware::Uefi);
        let roots = fake.roots();
        assert!(!has_variables(&roots));
        variable(
            &fake,
            "Boot0000",
            &load_option::write("Windows", &esp(9), r"\w.efi"),
        );
        variable(&fake, "Boot0003", &network("PXE 1"));
        variable(&fake, "Boot0004", &network("PXE 2"));
        variable(&fake, "BootOrder", &octets(&[0, 3, 4]));
        variable(&fake, "BootCurrent", &octets(&[4]));
        assert!(has_variables(&roots));
        let said = |order: Vec<BootEntry>| {
            let lines: Vec<String> = order.iter().map(BootEntry::to_string).collect();
            lines.join("; ")
        };
        let want = "0004 network \"PXE 2\"; 0001 disk \"Installed by netboot\"; \
                    0000 disk \"Windows\"; 0003 network \"PXE 1\"";
        for install in 1..=3 {
            let order = network_then(&roots, &[esp(install)]).expect("is taken");
            assert_eq!(said(order), want, "install {install}");
        }
        let (_, partition) = entries(&roots)
            .into_iter()
            .find(|(entry, _)| entry.number == 1)
            .expect("is there");
        assert_eq!(partition, Some([3; 16]), "of the last install");
    }

    #[test]
    fn both_disks_of_a_mirror_have_an_entry_until_only_one_is_installed_on() {
        let fake = FakeMachine::new(Firmware::Uefi);
        let roots = fake.roots();
        variable(&fake, "Boot0003", &network("PXE"));
        variable(&fake, "BootOrder", &octets(&[3]));
        variable(&fake, "BootCurrent", &octets(&[3]));
        let titles = |order: Vec<BootEntry>| {
            let titles: Vec<String> = order.into_iter().map(|entry| entry.title).collect();
            titles
        };
        let both = [
            "PXE",
            "Installed by netboot",
            "Installed by netboot, disk 2",
        ];
        for (install, esps) in [
            ("the first", [esp(1), esp(2)]),
            ("again", [esp(1), esp(2)]),
            ("the disks changed places", [esp(2), esp(1)]),
            ("new partitions", [esp(3), esp(4)]),
        ] {
            let order = network_then(&roots, &esps).expect("is taken");
            assert_eq!(titles(order), both, "{install}");
            let named: Vec<_> = entries(&roots).into_iter().filter_map(|e| e.1).collect();
            assert!(esps.iter().all(|esp| named.contains(&esp.id)), "{install}");
            assert_eq!(named.len(), 2, "{install}");
        }
        let order = network_then(&roots, &[esp(5)]).expect("is taken");
        assert_eq!(titles(order), both[..2]);
        let named: Vec<_> = entries(&roots).into_iter().filter_map(|e| e.1).collect();
        assert_eq!(named, [[5; 16]], "the other's is gone");
    }

    #[test]
    fn the_loader_is_at_its_fallback_place_once_there_is_one() {
        let esp = tempfile::tempdir().expect("a folder");
        assert!(!fallback(esp.path()).expect("looks"), "nothing to copy");
        fs::create_dir_all(esp.path().join("EFI/systemd")).expect("makes");
        fs::write(esp.path().join("EFI/systemd").join(LOADERS[1]), "sd").expect("writes");
        assert!(fallback(esp.path()).expect("copies"));
        let place = esp.path().join("EFI/BOOT").join(LOADERS[0]);
        assert_eq!(fs::read_to_string(&place).expect("is there"), "sd");
        fs::write(&place, "own").expect("writes");
        assert!(fallback(esp.path()).expect("looks"));
        assert_eq!(
            fs::read_to_string(&place).expect("is there"),
            "own",
            "is left alone"
        );
    }
}
