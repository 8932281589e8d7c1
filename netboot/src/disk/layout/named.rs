//! The layouts that a profile can name.

use super::{
    Array, Content, Dataset, Devices, DiskLayout, Format, LayoutPartition, Pool, Purpose, Subvolume,
};
use crate::disk::hardware::Firmware;

const MIB: u64 = 1 << 20;
/// The usual name of the pool that a system lies on.
const POOL: &str = "rpool";

/// A layout by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedLayout {
    Ext4,
    Xfs,
    /// Subvolumes for `/`, `/nix`, `/home` and `/var`.
    Btrfs,
    LuksExt4,
    LuksBtrfs,
    /// Two disks with the same on both: RAID 1 for `/`, and what the firmware needs to start either.
    Mirror,
    /// A pool with datasets for `/`, `/nix`, `/home` and `/var`; for installers and systems that have ZFS.
    Zfs,
}

impl NamedLayout {
    pub const ALL: [Self; 7] = [
        Self::Ext4,
        Self::Xfs,
        Self::Btrfs,
        Self::LuksExt4,
        Self::LuksBtrfs,
        Self::Mirror,
        Self::Zfs,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::LuksExt4 => "luks-ext4",
            Self::LuksBtrfs => "luks-btrfs",
            Self::Mirror => "mirror",
            Self::Zfs => "zfs",
        }
    }

    /// `swap`: bytes, a multiple of 1 MiB.
    pub fn devices(self, firmware: Firmware, swap: Option<u64>) -> Devices {
        let root = match self {
            Self::Ext4 | Self::Mirror => filesystem(Format::Ext4, "/"),
            Self::Xfs => filesystem(Format::Xfs, "/"),
            Self::Btrfs => btrfs(),
            Self::LuksExt4 => encrypted("root", filesystem(Format::Ext4, "/")),
            Self::LuksBtrfs => encrypted("root", btrfs()),
            Self::Zfs => Content::Zfs {
                pool: POOL.to_owned(),
            },
        };
        if self == Self::Mirror {
            return mirror(firmware, swap, root);
        }
        let disk = "main";
        let mut partitions = self.start(disk, firmware, "/boot");
        partitions.extend(swap.map(|size| {
            let (purpose, content) = match self {
                // What is swapped out is as secret as what is on the disk.
                Self::LuksExt4 | Self::LuksBtrfs => {
                    (Purpose::Linux, encrypted("swap", Content::Swap))
                }
                _ => (Purpose::Swap, Content::Swap),
            };
            slot(disk, "swap", purpose, Some(size), Some(content))
        }));
        partitions.push(slot(disk, "root", Purpose::Linux, None, Some(root)));
        let name = disk.to_owned();
        Devices {
            disks: vec![DiskLayout { name, partitions }],
            arrays: Vec::new(),
            pools: match self {
                Self::Zfs => vec![pool()],
                _ => Vec::new(),
            },
        }
    }

    /// What the firmware needs on a disk to start from it.
    ///
    /// GRUB reads ext4 by itself. For all others `/boot` is a FAT partition on BIOS, too: no boot loader has to keep up
    /// with what is new in a filesystem, or be given a key.
    fn start(self, disk: &str, firmware: Firmware, boot: &str) -> Vec<LayoutPartition> {
        let core = slot(disk, "boot", Purpose::BiosBoot, Some(MIB), None);
        let esp = |size| {
            // It holds the boot loader's random seed, which is for root alone.
            let content = Content::Filesystem {
                format: Format::Vfat,
                mountpoint: Some(boot.to_owned()),
                options: vec!["umask=0077".to_owned()],
                args: Vec::new(),
            };
            slot(disk, "ESP", Purpose::Esp, Some(size), Some(content))
        };
        match (self, firmware) {
            (Self::Ext4, Firmware::Uefi) => vec![esp(512 * MIB)],
            (Self::Ext4, Firmware::Bios) => vec![core],
            (_, Firmware::Uefi) => vec![esp(1024 * MIB)],
            (_, Firmware::Bios) => vec![core, esp(1024 * MIB)],
        }
    }
}

/// The second disk has what the first has; its `/boot` is a copy, kept by whoever installs the boot loader.
fn mirror(firmware: Firmware, swap: Option<u64>, root: Content) -> Devices {
    let member = |array: &str| {
        Some(Content::Raid {
            array: array.to_owned(),
        })
    };
    let disks = [("main", "/boot"), ("second", "/boot-second")].map(|(disk, boot)| {
        let mut partitions = NamedLayout::Mirror.start(disk, firmware, boot);
        partitions
            .extend(swap.map(|size| slot(disk, "swap", Purpose::Raid, Some(size), member("swap"))));
        partitions.push(slot(disk, "root", Purpose::Raid, None, member("root")));
        let name = disk.to_owned();
        DiskLayout { name, partitions }
    });
    let array = |name: &str, content| Array {
        name: name.to_owned(),
        level: 1,
        content,
    };
    let mut arrays = vec![array("root", root)];
    // Swap is on an array as well, or the failure of one disk would end running programs.
    arrays.extend(swap.map(|_| array("swap", Content::Swap)));
    Devices {
        disks: disks.to_vec(),
        arrays,
        pools: Vec::new(),
    }
}

fn slot(
    disk: &str,
    name: &str,
    purpose: Purpose,
    size: Option<u64>,
    content: Option<Content>,
) -> LayoutPartition {
    LayoutPartition {
        name: name.to_owned(),
        label: format!("disk-{disk}-{name}"),
        purpose,
        start: None,
        size,
        leave: 0,
        preserve: false,
        content,
    }
}

fn filesystem(format: Format, mountpoint: &str) -> Content {
    Content::Filesystem {
        format,
        mountpoint: Some(mountpoint.to_owned()),
        options: Vec::new(),
        args: Vec::new(),
    }
}

fn encrypted(name: &str, content: Content) -> Content {
    Content::Luks {
        name: name.to_owned(),
        content: Box::new(content),
    }
}

/// A dataset for each part that has snapshots of its own or none, side by side: a snapshot of one and all below it is then
/// never one of the store.
fn pool() -> Pool {
    let pairs = |all: &[(&str, &str)]| {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.iter().map(pair).collect()
    };
    let dataset = |(name, mountpoint): (&str, &str)| Dataset {
        name: name.to_owned(),
        mountpoint: mountpoint.to_owned(),
    };
    let all = [
        ("root", "/"),
        ("nix", "/nix"),
        ("home", "/home"),
        ("var", "/var"),
    ];
    Pool {
        name: POOL.to_owned(),
        properties: pairs(&[
            // Disks report sectors of 512 bytes and have 4096; the value cannot be changed later.
            ("ashift", "12"),
            // Only features that an older system, to which one may go back, can open.
            ("compatibility", "openzfs-2.1-linux"),
        ]),
        inherited: pairs(&[
            ("acltype", "posixacl"),
            ("atime", "off"),
            ("compression", "zstd"),
            ("dnodesize", "auto"),
            // The pool's own dataset is empty, and not mounted.
            ("mountpoint", "none"),
            ("xattr", "sa"),
        ]),
        datasets: all.map(dataset).to_vec(),
    }
}

/// One subvolume for each part that is kept, rolled back or thrown away by itself.
fn btrfs() -> Content {
    let subvolume = |(name, mountpoint): (&str, &str)| Subvolume {
        name: name.to_owned(),
        mountpoint: Some(mountpoint.to_owned()),
        options: vec!["compress=zstd".to_owned(), "noatime".to_owned()],
    };
    let all = [
        ("/root", "/"),
        ("/nix", "/nix"),
        ("/home", "/home"),
        ("/var", "/var"),
    ];
    Content::Btrfs {
        mountpoint: None,
        options: Vec::new(),
        args: Vec::new(),
        subvolumes: all.map(subvolume).to_vec(),
    }
}
