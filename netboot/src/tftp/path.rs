//! The name of a file that firmware or a boot loader asks for → whose file it is, and which.
//!
//! A name says for which machine it is: by its folder, or in GRUB's and U-Boot's own ways. There are no other names,
//! and no name is a path on a disk.

use crate::base::mac::Mac;

/// A file that a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedFile {
    /// A file of one machine.
    OfMachine { owner: Owner, file: File },
    /// `grub/grub.cfg`: leads GRUB to the machine's own.
    GrubMenu,
    /// `bootcode.bin`: a Raspberry Pi 3 asks for it before it says who it is.
    Bootcode,
}

/// The machine that a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Card(Mac),
    /// The serial number of a Raspberry Pi: eight hexadecimal digits.
    RaspberryPi(String),
}

/// Which file of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// By its name, of which only those that are known are ever opened.
    Loader(String),
    /// `autoexec.ipxe`
    Autoexec,
    /// `grub/52:54:00:12:34:56.cfg`
    Grub,
    /// `pxelinux.cfg/01-52-54-00-12-34-56`
    Extlinux,
    /// `cmdline.txt`
    Cmdline,
    /// `config.txt`
    Config,
    /// The kernel of the installer of this name, which the machine's script named. `None`: a Raspberry Pi's firmware,
    /// which names no installer.
    Kernel(Option<String>),
    Initrd(Option<String>),
    /// A file of the Raspberry Pi's own firmware, such as `start4.elf` or `overlays/vc4-kms-v3d.dtbo`.
    Firmware(String),
}

/// Why a name is not that of any machine's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Loaders look for much that they can do without, at each boot.
    #[error("is one of the files that loaders look for and can do without")]
    Probe,
    #[error("is not the name of a machine's file")]
    Form,
}

/// Reads a name as TFTP has it. Backslashes are slashes, as some ROMs write them, and the NUL or 0xff that firmware
/// leaves behind a name is cut off.
///
/// # Errors
/// It is not exactly one of the names that there are.
pub fn read(name: &[u8]) -> Result<RequestedFile, Unknown> {
    let end = name.iter().rposition(|b| !matches!(b, 0 | 0xff));
    let name = &name[..end.map_or(0, |last| last + 1)];
    let text = std::str::from_utf8(name)
        .map_err(|_| Unknown::Form)?
        .replace('\\', "/");
    // Folders are joined carelessly: two slashes are one.
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    if !parts.iter().all(|part| is_safe_component(part)) {
        return Err(Unknown::Form);
    }
    match parts.as_slice() {
        ["bootcode.bin"] => Ok(RequestedFile::Bootcode),
        ["grub" | "boot", rest @ ..] => grub(rest),
        ["pxelinux.cfg", file] => extlinux(file),
        // U-Boot's own boot order asks for a script and a device tree besides.
        ["boot.scr.uimg"] | ["dtb", ..] => Err(Unknown::Probe),
        [folder, rest @ ..] => match owner(folder) {
            Some(owner) => of_machine(owner, rest),
            // A Raspberry Pi that finds no folder of its own looks at the top.
            None if is_firmware(&parts) || matches!(*parts, ["config.txt" | "cmdline.txt"]) => {
                Err(Unknown::Probe)
            }
            None => Err(Unknown::Form),
        },
        [] => Err(Unknown::Form),
    }
}

/// Letters, digits and a few signs, and no dot in front, so that no name leads out of a folder.
fn is_safe_component(part: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || "._-+:".contains(c);
    (1..=96).contains(&part.len()) && !part.starts_with('.') && part.chars().all(safe)
}

/// A MAC in the one spelling of folders, or a serial number.
fn owner(folder: &str) -> Option<Owner> {
    if let Ok(mac) = folder.parse::<Mac>()
        && folder.eq_ignore_ascii_case(&mac.dashed())
    {
        return Some(Owner::Card(mac));
    }
    let lower = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let serial = folder.len() == 8 && folder.bytes().all(lower);
    serial.then(|| Owner::RaspberryPi(folder.to_owned()))
}

fn of_machine(owner: Owner, rest: &[&str]) -> Result<RequestedFile, Unknown> {
    let file = match (&owner, rest) {
        (Owner::Card(_), [set, "kernel"]) => File::Kernel(Some((*set).to_owned())),
        (Owner::Card(_), [set, "initrd"]) => File::Initrd(Some((*set).to_owned())),
        (Owner::RaspberryPi(_), ["kernel"]) => File::Kernel(None),
        (Owner::RaspberryPi(_), ["initrd"]) => File::Initrd(None),
        (Owner::Card(_), ["autoexec.ipxe"]) => File::Autoexec,
        (Owner::Card(_), [name]) if is_probe(name) => return Err(Unknown::Probe),
        (Owner::Card(_), [name]) if !name.contains(':') => File::Loader((*name).to_owned()),
        (Owner::RaspberryPi(_), ["config.txt"]) => File::Config,
        (Owner::RaspberryPi(_), ["cmdline.txt"]) => File::Cmdline,
        (Owner::RaspberryPi(_), rest) if is_firmware(rest) => File::Firmware(rest.join("/")),
        (Owner::RaspberryPi(_), _) => return Err(Unknown::Probe),
        (Owner::Card(_), _) => return Err(Unknown::Form),
    };
    Ok(RequestedFile::OfMachine { owner, file })
}

/// Below `grub/`, or `boot/grub/` as `grub-mknetdir` makes it: the menu for all, and the machines' own by the spelling of
/// `$net_default_mac`. GRUB looks for a good deal besides: modules, fonts, menus by other names.
fn grub(rest: &[&str]) -> Result<RequestedFile, Unknown> {
    match rest {
        ["grub.cfg"] | ["grub", "grub.cfg"] => Ok(RequestedFile::GrubMenu),
        [name] => {
            let mac = name
                .strip_suffix(".cfg")
                .and_then(|mac| mac.parse::<Mac>().ok());
            match mac.filter(|mac| *name == format!("{mac}.cfg")) {
                Some(mac) => Ok(RequestedFile::OfMachine {
                    owner: Owner::Card(mac),
                    file: File::Grub,
                }),
                None => Err(Unknown::Probe),
            }
        }
        _ => Err(Unknown::Probe),
    }
}

/// U-Boot asks by MAC, behind the number of its kind of network; then by parts of its address, and for defaults.
fn extlinux(file: &str) -> Result<RequestedFile, Unknown> {
    let mac = file
        .strip_prefix("01-")
        .and_then(|mac| mac.parse::<Mac>().ok());
    match mac.filter(|mac| file.eq_ignore_ascii_case(&format!("01-{}", mac.dashed()))) {
        Some(mac) => Ok(RequestedFile::OfMachine {
            owner: Owner::Card(mac),
            file: File::Extlinux,
        }),
        None => Err(Unknown::Probe),
    }
}

/// What shim looks for beside itself.
fn is_probe(name: &str) -> bool {
    let probes = ["revocations", "shim_certificate", "mm", "fb"];
    probes.iter().any(|begin| name.starts_with(begin)) && name.ends_with(".efi")
}

/// The files of the Raspberry Pi's firmware (github.com/raspberrypi/firmware, folder `boot`), and no other file that
/// may lie beside them. Left out are those that write to the board's EEPROM (`pieeprom`, `recovery`).
fn is_firmware(parts: &[&str]) -> bool {
    let (folder, name) = match parts {
        [name] => (None, *name),
        [folder, name] => (Some(*folder), *name),
        _ => return false,
    };
    if !name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-+".contains(&b))
    {
        return false;
    }
    let like = |begin: &str, end: &str| name.starts_with(begin) && name.ends_with(end);
    match folder {
        None => {
            name == "bootcode.bin"
                || like("start", ".elf")
                || like("fixup", ".dat")
                || like("bcm2", ".dtb")
                || like("armstub8", ".bin")
        }
        Some("overlays") => name == "overlay_map.dtb" || like("", ".dtbo"),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(file: File) -> Result<RequestedFile, Unknown> {
        let owner = Owner::Card("52:54:00:12:34:56".parse().expect("a MAC"));
        Ok(RequestedFile::OfMachine { owner, file })
    }

    fn pi(file: File) -> Result<RequestedFile, Unknown> {
        let owner = Owner::RaspberryPi("6d7e8f90".to_owned());
        Ok(RequestedFile::OfMachine { owner, file })
    }

    #[test]
    fn every_loader_finds_its_files() {
        let loader = |name: &str| card(File::Loader(name.to_owned()));
        let firmware = |name: &str| pi(File::Firmware(name.to_owned()));
        for (name, path, want) in [
            (
                "PXE",
                &b"52-54-00-12-34-56/snponly.efi"[..],
                loader("snponly.efi"),
            ),
            (
                "from the root",
                b"/52-54-00-12-34-56/snponly.efi",
                loader("snponly.efi"),
            ),
            (
                "backslash, as WDS clients do",
                b"\\52-54-00-12-34-56\\snponly.efi",
                loader("snponly.efi"),
            ),
            (
                "a NUL left behind",
                b"52-54-00-12-34-56/snponly.efi\0",
                loader("snponly.efi"),
            ),
            (
                "0xff left behind",
                b"52-54-00-12-34-56/snponly.efi\xff",
                loader("snponly.efi"),
            ),
            (
                "shim",
                b"52-54-00-12-34-56/grubx64.efi",
                loader("grubx64.efi"),
            ),
            (
                "shim, with two slashes",
                b"52-54-00-12-34-56//grubx64.efi",
                loader("grubx64.efi"),
            ),
            (
                "iPXE",
                b"52-54-00-12-34-56/autoexec.ipxe",
                card(File::Autoexec),
            ),
            ("GRUB", b"/grub/grub.cfg", Ok(RequestedFile::GrubMenu)),
            (
                "GRUB of grub-mknetdir",
                b"/boot/grub/grub.cfg",
                Ok(RequestedFile::GrubMenu),
            ),
            (
                "GRUB, the machine's own",
                b"/grub/52:54:00:12:34:56.cfg",
                card(File::Grub),
            ),
            (
                "GRUB's kernel",
                b"/52-54-00-12-34-56/installer-33333333/kernel",
                card(File::Kernel(Some("installer-33333333".to_owned()))),
            ),
            (
                "U-Boot",
                b"pxelinux.cfg/01-52-54-00-12-34-56",
                card(File::Extlinux),
            ),
            (
                "U-Boot's initrd",
                b"52-54-00-12-34-56/installer/initrd",
                card(File::Initrd(Some("installer".to_owned()))),
            ),
            (
                "Raspberry Pi 3",
                b"bootcode.bin",
                Ok(RequestedFile::Bootcode),
            ),
            (
                "Raspberry Pi 4",
                b"6d7e8f90/start4.elf",
                firmware("start4.elf"),
            ),
            ("its memory", b"6d7e8f90/fixup4.dat", firmware("fixup4.dat")),
            (
                "its device tree",
                b"6d7e8f90/bcm2711-rpi-4-b.dtb",
                firmware("bcm2711-rpi-4-b.dtb"),
            ),
            (
                "an overlay",
                b"6d7e8f90/overlays/vc4-kms-v3d.dtbo",
                firmware("overlays/vc4-kms-v3d.dtbo"),
            ),
            ("Raspberry Pi 5", b"6d7e8f90/config.txt", pi(File::Config)),
            (
                "its command line",
                b"6d7e8f90/cmdline.txt",
                pi(File::Cmdline),
            ),
            ("its kernel", b"6d7e8f90/kernel", pi(File::Kernel(None))),
        ] {
            assert_eq!(read(path), want, "{name}");
        }
    }

    #[test]
    fn what_loaders_can_do_without_is_told_from_what_is_odd() {
        for path in [
            "52-54-00-12-34-56/revocations_sku.efi",
            "52-54-00-12-34-56/revocations_sbat.efi",
            "52-54-00-12-34-56/shim_certificate_0.efi",
            "/grub/x86_64-efi/command.lst",
            "/grub/x86_64-efi/fs.lst",
            "/grub/grub.cfg-01-52-54-00-12-34-56",
            "/grub/grub.cfg-0A4D0064",
            "/grub/fonts/unicode.pf2",
            "boot.scr.uimg",
            "dtb/",
            "dtb/qemu-arm64.dtb",
            "pxelinux.cfg/0A4D00",
            "pxelinux.cfg/default-arm-qemu",
            "pxelinux.cfg/5e0c1d6a-7a0b-4c3e-9a55-525400123456",
            "6d7e8f90/recovery.elf",
            "6d7e8f90/pieeprom.upd",
            "6d7e8f90/autoboot.txt",
            "start4.elf",
            "config.txt",
        ] {
            assert_eq!(read(path.as_bytes()), Err(Unknown::Probe), "{path}");
        }
    }

    #[test]
    fn hostile_names_are_nobodys() {
        let long = format!("52-54-00-12-34-56/{}", "a/".repeat(2048));
        for path in [
            "",
            "/",
            "snponly.efi",
            "52-54-00-12-34-56",
            "52-54-00-12-34-56/",
            "52:54:00:12:34:56/snponly.efi",
            "525400123456/snponly.efi",
            " 52-54-00-12-34-56/snponly.efi",
            "01-00-5e-00-00-01/snponly.efi",
            "52-54-00-12-34-56/../snponly.efi",
            "52-54-00-12-34-56/../installer/kernel",
            "52-54-00-12-34-56/installer/../kernel",
            "52-54-00-12-34-56/installer/cmdline",
            "52-54-00-12-34-56/a/installer/kernel",
            "52-54-00-12-34-56/../../etc/passwd",
            "52-54-00-12-34-56//etc/passwd",
            "52-54-00-12-34-56/a/../snponly.efi",
            "52-54-00-12-34-56/.hidden",
            "52-54-00-12-34-56\\..\\..\\etc\\passwd",
            "../52-54-00-12-34-56/snponly.efi",
            "....//52-54-00-12-34-56/snponly.efi",
            "/etc/passwd",
            "..\\..\\boot.ini",
            "%2e%2e/etc/passwd",
            "52-54-00-12-34-56/%2e%2e%2fetc%2fpasswd",
            "52-54-00-12-34-56/snponly.efi\0.txt",
            "52-54-00-12-34-56/snponly.efi\n",
            "52-54-00-12-34-56/$(id)",
            "C:\\52-54-00-12-34-56\\snponly.efi",
            "grub/../../etc/passwd",
            "grub/52:54:00:12:34:56.cfg/..",
            "pxelinux.cfg/../01-52-54-00-12-34-56",
            "6d7e8f90/../bootcode.bin",
            "6d7e8f90/overlays/../secret",
            "6D7E8F90/start4.elf",
            long.as_str(),
        ] {
            assert_eq!(read(path.as_bytes()), Err(Unknown::Form), "{path:?}");
        }
        assert_eq!(read(b"52-54-00-12-34-56/\xc3(.efi"), Err(Unknown::Form));
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_a_folder(name in prop::collection::vec(any::<u8>(), 0..64)) {
            held(&name)?;
        }

        #[test]
        fn nor_one_that_begins_well(rest in "[a-z0-9./\\\\%:-]{0,40}", pi: bool) {
            let folder = if pi { "6d7e8f90" } else { "52-54-00-12-34-56" };
            held(format!("{folder}/{rest}").as_bytes())?;
        }
    }

    fn held(name: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(RequestedFile::OfMachine {
            file: File::Loader(file) | File::Firmware(file),
            ..
        }) = read(name)
        {
            prop_assert!(
                file.split('/')
                    .all(|part| !part.starts_with('.') && !part.is_empty())
            );
            prop_assert!(!file.contains(['\\', '\0']));
            prop_assert!(file.matches('/').count() <= 1);
        }
        Ok(())
    }
}
