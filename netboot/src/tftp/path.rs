//! The name of a file that firmware or a boot loader asks for → whose file it is, and which.
//!
//! A name says for which machine it is: by its folder, or in GRUB's and U-Boot's own ways. There are no other names,
//! and no name is a path on a disk.

use crate::base::mac::Mac;

/// A file that a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedFile {
    /// A file of one machine.
    OfMachine { owner: Owner, file: MachineFile },
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
pub enum MachineFile {
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
pub enum UnknownFile {
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
pub fn read(name: &[u8]) -> Result<RequestedFile, UnknownFile> {
    let end = name.iter().rposition(|b| !matches!(b, 0 | 0xff));
    let name = &name[..end.map_or(0, |last| last + 1)];
    let text = std::str::from_utf8(name)
        .map_err(|_| UnknownFile::Form)?
        .replace('\\', "/");
    // Folders are joined carelessly: two slashes are one.
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    if !parts.iter().all(|part| is_safe_component(part)) {
        return Err(UnknownFile::Form);
    }
    match parts.as_slice() {
        ["bootcode.bin"] => Ok(RequestedFile::Bootcode),
        ["grub" | "boot", rest @ ..] => grub(rest),
        ["pxelinux.cfg", file] => extlinux(file),
        // U-Boot's own boot order asks for a script and a device tree besides.
        ["boot.scr.uimg"] | ["dtb", ..] => Err(UnknownFile::Probe),
        [folder, rest @ ..] => match owner(folder) {
            Some(owner) => of_machine(owner, rest),
            // A Raspberry Pi that finds no folder of its own looks at the top.
            None if is_firmware(&parts) || matches!(*parts, ["config.txt" | "cmdline.txt"]) => {
                Err(UnknownFile::Probe)
            }
            None => Err(UnknownFile::Form),
        },
        [] => Err(UnknownFile::Form),
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

fn of_machine(owner: Owner, rest: &[&str]) -> Result<RequestedFile, UnknownFile> {
    let file = match (&owner, rest) {
        (Owner::Card(_), [set, "kernel"]) => MachineFile::Kernel(Some((*set).to_owned())),
        (Owner::Card(_), [set, "initrd"]) => MachineFile::Initrd(Some((*set).to_owned())),
        (Owner::RaspberryPi(_), ["kernel"]) => MachineFile::Kernel(None),
        (Owner::RaspberryPi(_), ["initrd"]) => MachineFile::Initrd(None),
        (Owner::Card(_), ["autoexec.ipxe"]) => MachineFile::Autoexec,
        (Owner::Card(_), [name]) if is_probe(name) => return Err(UnknownFile::Probe),
        (Owner::Card(_), [name]) if !name.contains(':') => MachineFile::Loader((*name).to_owned()),
        (Owner::RaspberryPi(_), ["config.txt"]) => MachineFile::Config,
        (Owner::RaspberryPi(_), ["cmdline.txt"]) => MachineFile::Cmdline,
        (Owner::RaspberryPi(_), rest) if is_firmware(rest) => MachineFile::Firmware(rest.join("/")),
        (Owner::RaspberryPi(_), _) => return Err(UnknownFile::Probe),
        (Owner::Card(_), _) => return Err(UnknownFile::Form),
    };
    Ok(RequestedFile::OfMachine { owner, file })
}

/// Below `grub/`, or `boot/grub/` as `grub-mknetdir` makes it: the menu for all, and the machines' own by the spelling of
/// `$net_default_mac`. GRUB looks for a good deal besides: modules, fonts, menus by other names.
fn grub(rest: &[&str]) -> Result<RequestedFile, UnknownFile> {
    match rest {
        ["grub.cfg"] | ["grub", "grub.cfg"] => Ok(RequestedFile::GrubMenu),
        [name] => {
            let mac = name
                .strip_suffix(".cfg")
                .and_then(|mac| mac.parse::<Mac>().ok());
            match mac.filter(|mac| *name == format!("{mac}.cfg")) {
                Some(mac) => Ok(RequestedFile::OfMachine {
                    owner: Owner::Card(mac),
                    file: MachineFile::Grub,
                }),
                None => Err(UnknownFile::Probe),
            }
        }
        _ => Err(UnknownFile::Probe),
    }
}

/// U-Boot asks by MAC, behind the number of its kind of network; then by parts of its address, and for defaults.
fn extlinux(file: &str) -> Result<RequestedFile, UnknownFile> {
    let mac = file
        .strip_prefix("01-")
        .and_then(|mac| mac.parse::<Mac>().ok());
    match mac.filter(|mac| file.eq_ignore_ascii_case(&format!("01-{}", mac.dashed()))) {
        Some(mac) => Ok(RequestedFile::OfMachine {
            owner: Owner::Card(mac),
            file: MachineFile::Extlinux,
        }),
        None => Err(UnknownFile::Probe),
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
mod tests;
