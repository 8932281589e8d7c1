//! What the agent found in the machine. Facts only; which disk is meant is decided in `plan`.

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;

/// How the machine was started, and so how it must be able to start itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    Uefi,
    Bios,
}

impl Firmware {
    /// `UEFI`
    pub fn words(self) -> &'static str {
        match self {
            Self::Uefi => "UEFI",
            Self::Bios => "BIOS",
        }
    }
}

/// The inventory of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    pub firmware: Firmware,
    /// As `uname -m` says it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Bytes of RAM.
    pub memory: u64,
    #[serde(default)]
    pub vendor: String,
    #[serde(default)]
    pub product: String,
    #[serde(default)]
    pub serial: String,
    #[serde(default)]
    pub uuid: String,
    pub disks: Vec<Disk>,
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// It has a TPM that speaks version 2 of the protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tpm2: bool,
    /// What looked, the installer that it booted, has ZFS: the programs, and the kernel's module.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zfs: bool,
}

impl Hardware {
    /// Whether both are the same, whatever cables are in.
    pub fn is_but_for_links(&self, other: &Self) -> bool {
        let unplugged = |hardware: &Self| {
            let mut hardware = hardware.clone();
            hardware.nics.iter_mut().for_each(|nic| nic.link = false);
            hardware
        };
        unplugged(self) == unplugged(other)
    }
}

/// A whole disk. `node` is good for this boot only; the rest is what the disk says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The kernel's name in this boot: `vda`, `nvme0n1`. Changes from boot to boot.
    pub node: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of one logical sector: 512 or 4096.
    pub sector: u32,
    #[serde(default)]
    pub model: String,
    #[serde(default)]
    pub serial: String,
    #[serde(default)]
    pub wwn: String,
    /// `virtio`, `nvme`, `sata`, `usb`, `scsi`, `mmc`; empty if unknown.
    #[serde(default)]
    pub bus: String,
    #[serde(default)]
    pub removable: bool,
    #[serde(default)]
    pub read_only: bool,
    /// Whether what runs now was started from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boot_medium: bool,
    /// Links under `/dev/disk/by-id/` that lead to the whole disk, without the folder, sorted.
    #[serde(default)]
    pub by_id: Vec<String>,
    /// What is on it now: the whole disk if it has a signature, then its partitions in disk order, each followed by what is
    /// built on it and runs (arrays, volumes, opened LUKS).
    #[serde(default)]
    pub holds: Vec<Holding>,
}

/// One thing found on a disk. A device with several signatures is there once for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The kernel's name of the disk, partition or array: `vda1`, `md127`; of a volume, its own name: `vg-root`.
    pub node: String,
    /// Bytes.
    pub size: u64,
    /// What `wipefs` and `blkid` call it: `gpt`, `dos`, `ext4`, `vfat`, `LVM2_member`; empty for a partition without
    /// signature; `gpt-backup` for the copy at the end of a disk whose own GPT is gone.
    #[serde(default)]
    pub kind: String,
    /// The filesystem's label.
    #[serde(default)]
    pub label: String,
    /// The GPT name of the partition.
    #[serde(default)]
    pub partition_label: String,
    /// Bytes from the beginning of the disk, for a partition.
    #[serde(default)]
    pub start: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_of: Option<Group>,
}

/// What several devices may be together: an array, a volume group, a pool, a filesystem on several disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// As people call it.
    pub name: String,
    /// The same for all members, and for nothing else of this kind; empty where that cannot be told.
    pub id: String,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub name: String,
    pub mac: Mac,
    /// Whether a cable is in and the other end is awake.
    pub link: bool,
}
