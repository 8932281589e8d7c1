//! One disk, as sysfs and udev describe it.

use std::fs;
use std::path::Path;

use netboot::disk::hardware::{Disk, DiskBus};

use crate::access::Roots;
use crate::boot_medium;
use crate::inventory::names;
use crate::real::text;

/// What sysfs calls a sector, whatever the disk's own are (Documentation/ABI/stable/sysfs-block, `size`).
pub(crate) const SYSFS_SECTOR: u64 = 512;

/// A partition as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// `vda1`
    pub node: String,
    pub number: u32,
    /// Bytes from the beginning of the disk.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// Whether a name of `/sys/block` is that of a disk of its own, and not of something that lies on one or in memory.
fn is_whole_disk(name: &str) -> bool {
    const OTHERS: [&str; 9] = [
        "loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock",
    ];
    let hidden_area =
        name.starts_with("mmcblk") && (name.contains("boot") || name.contains("rpmb"));
    !hidden_area && !OTHERS.iter().any(|other| name.starts_with(other))
}

/// All disks of the machine, sorted by name, without their signatures.
pub(crate) fn all(roots: &Roots) -> Vec<Disk> {
    let names = names(&roots.sys.join("block")).into_iter();
    let disks = names.filter(|name| is_whole_disk(name));
    disks.filter_map(|name| read(roots, &name)).collect()
}

/// What the disk says of itself; `None` if it has no medium, is one path of several to a disk, or lies on others, as bcache
/// does under a name of its own.
pub(crate) fn read(roots: &Roots, name: &str) -> Option<Disk> {
    let folder = roots.sys.join("block").join(name);
    let fact = |file: &str| text(folder.join(file)).unwrap_or_default();
    let size = fact("size")
        .parse::<u64>()
        .ok()?
        .checked_mul(SYSFS_SECTOR)?;
    let lies_on_others = !names(&folder.join("slaves")).is_empty();
    if size == 0 || fact("hidden") == "1" || lies_on_others {
        return None;
    }
    let udev = udev(roots, &fact("dev"));
    let udev = |key: &str| {
        udev.iter()
            .find_map(|l| l.strip_prefix(key))
            .unwrap_or("")
            .to_owned()
    };
    let first = |all: [String; 5]| all.into_iter().find(|s| !s.is_empty()).unwrap_or_default();
    let path = fs::canonicalize(&folder).unwrap_or_default();
    let sector = fact("queue/logical_block_size").parse().unwrap_or(512);
    Some(Disk {
        node: name.to_owned(),
        size,
        sector,
        model: fact("device/model"),
        serial: first([
            fact("serial"),
            fact("device/serial"),
            vital_serial(&folder),
            usb_serial(&path),
            udev("E:ID_SERIAL_SHORT="),
        ]),
        wwn: first([
            fact("wwid"),
            fact("device/wwid"),
            udev("E:ID_WWN="),
            String::new(),
            String::new(),
        ]),
        bus: bus(&path),
        // A card is pulled out as easily as a stick, but no driver says so of it; eMMC (`MMC`) is soldered in.
        removable: fact("removable") == "1" || fact("device/type") == "SD",
        read_only: fact("ro") == "1",
        boot_medium: boot_medium::is(roots, name, sector),
        by_id: by_id(roots, name),
        holds: Vec::new(),
    })
}

/// What udev knows of the device `dev` (`254:0`), if it runs.
pub(crate) fn udev(roots: &Roots, dev: &str) -> Vec<String> {
    let known = text(roots.run.join(format!("udev/data/b{dev}"))).unwrap_or_default();
    known.lines().map(str::to_owned).collect()
}

/// The unit serial number page of a SCSI or SATA disk (SPC-4 §7.8.15): four octets of header, then text.
fn vital_serial(folder: &Path) -> String {
    let page = fs::read(folder.join("device/vpd_pg80")).unwrap_or_default();
    let serial = String::from_utf8_lossy(page.get(4..).unwrap_or_default()).into_owned();
    serial
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_owned()
}

/// The serial number of the stick or the enclosure that the disk is in. It is read without udev, which may not be done
/// yet with a disk that just came.
fn usb_serial(path: &Path) -> String {
    let mut above = path.ancestors();
    let device = above.find(|folder| folder.join("idVendor").exists());
    let serial = device.and_then(|device| text(device.join("serial")));
    serial.unwrap_or_default()
}

/// The bus of the nearest controller on the disk's path: a USB stick is also a SCSI disk.
fn bus(path: &Path) -> DiskBus {
    let path = path.to_string_lossy();
    let on = |part: &str| path.contains(part);
    if on("/usb") {
        DiskBus::Usb
    } else if on("/nvme") {
        DiskBus::Nvme
    } else if on("/mmc_host") {
        DiskBus::Mmc
    } else if on("/ata") {
        DiskBus::Sata
    } else if on("/host") {
        DiskBus::Scsi
    } else if on("/virtio") {
        DiskBus::Virtio
    } else {
        DiskBus::Unknown
    }
}

fn by_id(roots: &Roots, name: &str) -> Vec<String> {
    let folder = roots.dev.join("disk/by-id");
    let leads_here = |link: &String| {
        let target = fs::read_link(folder.join(link)).unwrap_or_default();
        target.file_name().is_some_and(|file| file == name)
    };
    names(&folder).into_iter().filter(leads_here).collect()
}

/// The partitions of a disk as the kernel shows them now, in disk order.
pub(crate) fn children(roots: &Roots, disk: &str) -> Vec<Child> {
    let folder = roots.sys.join("block").join(disk);
    let mut children: Vec<Child> = names(&folder)
        .into_iter()
        .filter_map(|node| {
            let number = |file: &str| text(folder.join(&node).join(file))?.parse::<u64>().ok();
            Some(Child {
                number: u32::try_from(number("partition")?).ok()?,
                start: number("start")? * SYSFS_SECTOR,
                size: number("size")? * SYSFS_SECTOR,
                node,
            })
        })
        .collect();
    children.sort_by_key(|child| (child.start, child.number));
    children
}
