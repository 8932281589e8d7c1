//! Disk layouts: disks, partitions, arrays, encrypted volumes, filesystems. By name, or as a profile writes them.
//!
//! Both are one part of disko's schema: what is here becomes `disko.devices` of the built system (`disko`), so that
//! what is formatted and what is in its fstab cannot differ. Labels are those that disko gives
//! (`disk-<disk>-<partition>`): the fstab names them.

mod disko;
mod named;

use serde::{Deserialize, Serialize};

pub use named::Named;

use crate::hardware::Firmware;

/// What a profile's `[disk]` wants on the chosen disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    Named {
        name: Named,
        /// Bytes, a multiple of 1 MiB; nothing means no swap.
        swap: Option<u64>,
    },
}

/// All of a layout for one kind of firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    /// In the order in which disks are chosen for them.
    pub disks: Vec<DiskLayout>,
    pub arrays: Vec<Array>,
}

/// One disk: a GPT with these partitions, in disk order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayout {
    /// `main`; partition labels begin with it.
    pub name: String,
    pub partitions: Vec<Slot>,
}

/// A partition as a layout asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// `ESP`
    pub name: String,
    /// The GPT name: `disk-main-ESP`.
    pub label: String,
    pub purpose: Purpose,
    /// Bytes, a multiple of 1 MiB; nothing means all that is left, for one partition of a disk.
    pub size: Option<u64>,
    /// One that is there already under this label keeps its place and what it holds.
    pub preserve: bool,
    pub content: Option<Content>,
}

/// What a partition is for, which settles its GPT type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// EFI system partition.
    Esp,
    /// Where GRUB puts its core image on a GPT disk of a BIOS machine.
    BiosBoot,
    Linux,
    Swap,
    Raid,
}

/// What a partition, an array or an encrypted volume holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    Filesystem {
        format: Format,
        /// Nothing: made, and not mounted.
        mountpoint: Option<String>,
        options: Vec<String>,
    },
    Btrfs {
        subvolumes: Vec<Subvolume>,
    },
    Swap,
    Luks {
        /// As which it is opened: `/dev/mapper/<name>`.
        name: String,
        content: Box<Content>,
    },
    /// A member of the array of this name.
    Raid {
        array: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subvolume {
    /// Its path in the filesystem: `/nix`.
    pub name: String,
    pub mountpoint: Option<String>,
    pub options: Vec<String>,
}

/// Several partitions as one device, `/dev/md/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    pub name: String,
    /// 0 or 1 (md(4)).
    pub level: u8,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Vfat,
    Ext4,
    Xfs,
    Btrfs,
    Swap,
}

impl Layout {
    /// The layout of this name, without swap.
    pub fn named(name: &str) -> Option<Self> {
        let name = Named::ALL.into_iter().find(|one| one.name() == name)?;
        Some(Self::Named { name, swap: None })
    }

    /// `ext4`
    pub fn name(&self) -> &'static str {
        match self {
            Self::Named { name, .. } => name.name(),
        }
    }

    pub fn devices(&self, firmware: Firmware) -> Devices {
        match self {
            Self::Named { name, swap } => name.devices(firmware, *swap),
        }
    }
}

impl Purpose {
    /// The GPT partition type (UEFI 2.10 §5.3.3; for BIOS boot, the GRUB manual §3.4; the others are of the
    /// Discoverable Partitions Specification, and the generic Linux one).
    pub fn type_guid(self) -> &'static str {
        match self {
            Self::Esp => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            Self::BiosBoot => "21686148-6449-6E6F-744E-656564454649",
            Self::Linux => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
            Self::Swap => "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
            Self::Raid => "A19D880F-05FC-4D3B-A006-743F0F84911E",
        }
    }

    /// For a person: `EFI system`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Esp => "EFI system",
            Self::BiosBoot => "BIOS boot",
            Self::Linux => "Linux",
            Self::Swap => "swap",
            Self::Raid => "RAID",
        }
    }
}

impl Format {
    /// As `mount -t` and `blkid` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vfat => "vfat",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Swap => "swap",
        }
    }
}

impl Content {
    /// What it is mounted on, with all that lies inside it.
    pub fn mountpoints(&self) -> Vec<&str> {
        match self {
            Self::Filesystem { mountpoint, .. } => mountpoint.iter().map(String::as_str).collect(),
            Self::Btrfs { subvolumes } => {
                let all = subvolumes.iter().filter_map(|s| s.mountpoint.as_deref());
                all.collect()
            }
            Self::Luks { content, .. } => content.mountpoints(),
            Self::Swap | Self::Raid { .. } => Vec::new(),
        }
    }

    /// For a person: `ext4`, `part of the array root`, `encrypted: btrfs`.
    pub fn words(&self) -> String {
        match self {
            Self::Filesystem { format, .. } => format.name().to_owned(),
            Self::Btrfs { .. } => "btrfs".to_owned(),
            Self::Swap => "swap".to_owned(),
            Self::Luks { content, .. } => format!("encrypted {}", content.words()),
            Self::Raid { array } => format!("array {array}"),
        }
    }
}

impl Devices {
    /// What lies on a partition in the end: behind a member of an array, the array's content.
    pub fn behind<'a>(&'a self, content: &'a Content) -> &'a Content {
        match content {
            Content::Raid { array } => {
                let found = self.arrays.iter().find(|one| one.name == *array);
                found.map_or(content, |array| &array.content)
            }
            _ => content,
        }
    }
}
