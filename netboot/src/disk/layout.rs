//! Disk layouts: disks, partitions, arrays, pools, encrypted volumes, filesystems. By name, or as a profile writes them.
//!
//! Both are one part of disko's schema: what is here becomes `disko.devices` of the built system (`disko`), so that
//! what is formatted and what is in its fstab cannot differ. Labels are those that disko gives
//! (`disk-<disk>-<partition>`): the fstab names them.

mod disko;
mod named;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use named::NamedLayout;

use crate::base::store_path::StorePath;
use crate::disk::hardware::Firmware;

/// What a profile's `[disk]` wants on the chosen disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    Named {
        name: NamedLayout,
        /// Bytes, a multiple of 1 MiB; `None`: no swap.
        swap: Option<u64>,
    },
    /// As the profile writes it under `[disk.devices]`; the same on each firmware that it is for.
    Table(Devices),
    /// The same, laid out by disko's own script, which the release carries.
    Scripted(DiskoScript),
}

/// A table that disko's own script lays out: what is known of it without doing what disko does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskoScript {
    /// Disks by their names, partitions by their labels; sizes and most contents are not known.
    pub devices: Devices,
    /// Names of arrays, volume groups and pools that the script would take for its own wherever it finds them.
    pub arrays: Vec<String>,
    pub groups: Vec<String>,
    pub pools: Vec<String>,
}

impl DiskoScript {
    /// The program of a script's store path, as disko calls it: it makes all there is, and mounts it.
    pub fn program(script: &StorePath) -> String {
        format!("{script}/bin/disko-format-mount")
    }
}

/// A whole layout for one kind of firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// In the order in which disks are chosen for them.
    pub disks: Vec<DiskLayout>,
    pub arrays: Vec<Array>,
    pub pools: Vec<Pool>,
}

/// One disk: a GPT with these partitions, in disk order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskLayout {
    /// `main`; partition labels begin with it.
    pub name: String,
    pub partitions: Vec<LayoutPartition>,
}

/// A partition as a layout asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutPartition {
    /// `ESP`
    pub name: String,
    /// The GPT name: `disk-main-ESP`.
    pub label: String,
    pub purpose: Purpose,
    /// Bytes from the beginning of the disk, a multiple of 1 MiB; `None`: where there is room.
    pub start: Option<u64>,
    /// Bytes, a multiple of 1 MiB; `None`: all that is left, for one partition of a disk.
    pub size: Option<u64>,
    /// Bytes at the end of the disk that stay free, a multiple of 1 MiB; for a partition without a size.
    pub leave: u64,
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
    /// Encrypted with LUKS.
    Luks,
}

/// What a partition, an array or an encrypted volume holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Filesystem {
        format: Format,
        /// `None`: it is made and not mounted.
        mountpoint: Option<String>,
        /// Empty: the options that disko has by default.
        options: Vec<String>,
        /// Further arguments of the program that makes it.
        args: Vec<String>,
    },
    Btrfs {
        /// Where the volume itself is mounted, beside its subvolumes.
        mountpoint: Option<String>,
        options: Vec<String>,
        args: Vec<String>,
        subvolumes: Vec<Subvolume>,
    },
    Swap,
    Luks {
        /// It is opened as `/dev/mapper/<name>`.
        name: String,
        content: Box<Content>,
    },
    /// A member of the array of this name.
    Raid {
        array: String,
    },
    /// What the ZFS pool of this name lies on.
    Zfs {
        pool: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subvolume {
    /// Its path in the filesystem: `/nix`.
    pub name: String,
    pub mountpoint: Option<String>,
    pub options: Vec<String>,
}

/// Several partitions as one device, `/dev/md/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    pub name: String,
    /// 0 or 1 (md(4)).
    pub level: u8,
    pub content: Content,
}

/// A ZFS pool: the datasets on one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The system finds it by this.
    pub name: String,
    /// Properties of the pool itself (zpoolprops(7)).
    pub properties: BTreeMap<String, String>,
    /// Properties that its datasets inherit (zfsprops(7)).
    pub inherited: BTreeMap<String, String>,
    pub datasets: Vec<Dataset>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// In the pool: `root`.
    pub name: String,
    pub mountpoint: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Vfat,
    Ext4,
    Xfs,
    Btrfs,
    Swap,
    Zfs,
}

impl Layout {
    /// The layout of this name, without swap.
    pub fn named(name: &str) -> Option<Self> {
        let name = NamedLayout::ALL
            .into_iter()
            .find(|one| one.name() == name)?;
        Some(Self::Named { name, swap: None })
    }

    /// `ext4`
    pub fn name(&self) -> &'static str {
        match self {
            Self::Named { name, .. } => name.name(),
            Self::Table(_) => "[disk.devices]",
            Self::Scripted(_) => "[disk.devices] by disko",
        }
    }

    pub fn devices(&self, firmware: Firmware) -> Devices {
        match self {
            Self::Named { name, swap } => name.devices(firmware, *swap),
            Self::Table(devices) => devices.clone(),
            Self::Scripted(scripted) => scripted.devices.clone(),
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
            Self::Luks => "CA7D7CCB-63ED-4C53-861C-1742536059CC",
        }
    }

    /// For a person: `EFI system`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Esp => "EFI system",
            Self::BiosBoot => "BIOS boot",
            Self::Linux => "Linux",
            Self::Swap => "swap",
            Self::Raid => "RAID",
            Self::Luks => "LUKS",
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
            Self::Zfs => "zfs",
        }
    }
}

impl Content {
    /// The mount points of it and of all that lies inside it. Members of an array or a pool have none of their own, see
    /// [`Devices::mountpoints_behind`].
    pub fn mountpoints(&self) -> Vec<&str> {
        match self {
            Self::Filesystem { mountpoint, .. } => mountpoint.iter().map(String::as_str).collect(),
            Self::Btrfs {
                mountpoint,
                subvolumes,
                ..
            } => {
                let all = subvolumes.iter().map(|one| &one.mountpoint);
                all.chain([mountpoint])
                    .filter_map(|at| at.as_deref())
                    .collect()
            }
            Self::Luks { content, .. } => content.mountpoints(),
            Self::Swap | Self::Raid { .. } | Self::Zfs { .. } => Vec::new(),
        }
    }

    /// For a person: `ext4`, `array root`, `encrypted btrfs`, `ZFS pool rpool`.
    pub fn description(&self) -> String {
        match self {
            Self::Filesystem { format, .. } => format.name().to_owned(),
            Self::Btrfs { .. } => "btrfs".to_owned(),
            Self::Swap => "swap".to_owned(),
            Self::Luks { content, .. } => format!("encrypted {}", content.description()),
            Self::Raid { array } => format!("array {array}"),
            Self::Zfs { pool } => format!("ZFS pool {pool}"),
        }
    }
}

impl Devices {
    /// The partition that this firmware needs to start from these disks, if they lack it.
    pub fn missing(&self, firmware: Firmware) -> Option<&'static str> {
        let mut slots = self.disks.iter().flat_map(|disk| &disk.partitions);
        match firmware {
            Firmware::Uefi => {
                let is_boot = |slot: &LayoutPartition| {
                    let points = slot.content.as_ref().map(Content::mountpoints);
                    slot.purpose == Purpose::Esp && points.is_some_and(|all| all.contains(&"/boot"))
                };
                let missing_items = "an EFI system partition on `/boot` (type `EF00`)";
                (!slots.any(is_boot)).then_some(missing_items)
            }
            Firmware::Bios => {
                let is_core = |slot: &LayoutPartition| slot.purpose == Purpose::BiosBoot;
                let missing_items = "a partition for GRUB (type `EF02`, size `1M`)";
                (!slots.any(is_core)).then_some(missing_items)
            }
        }
    }

    /// The mount points of all that lies on a partition in the end: behind a member of an array those of the array's
    /// content, behind a member of a pool those of its datasets.
    pub fn mountpoints_behind<'a>(&'a self, content: &'a Content) -> Vec<&'a str> {
        match content {
            Content::Raid { array } => {
                let found = self.arrays.iter().find(|one| one.name == *array);
                found.map_or_else(Vec::new, |array| array.content.mountpoints())
            }
            Content::Zfs { pool } => {
                let found = self.pools.iter().filter(|one| one.name == *pool);
                let datasets = found.flat_map(|pool| &pool.datasets);
                datasets.map(|one| one.mountpoint.as_str()).collect()
            }
            _ => content.mountpoints(),
        }
    }
}
