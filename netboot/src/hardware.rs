//! What the agent found in the machine. Facts only; which disk is meant is decided in `plan`.

use serde::{Deserialize, Serialize};

use crate::mac::Mac;

/// How the machine was started, and so how it must be able to start itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    Uefi,
    Bios,
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
    /// Links under `/dev/disk/by-id/` that lead to the whole disk, without the folder, sorted.
    #[serde(default)]
    pub by_id: Vec<String>,
    /// What is on it now: the whole disk and its partitions, in disk order; only what holds something.
    #[serde(default)]
    pub holds: Vec<Holding>,
}

/// One thing found on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The kernel's name of the disk or partition: `vda1`.
    pub node: String,
    /// Bytes.
    pub size: u64,
    /// What `blkid` calls it: `gpt`, `dos`, `ext4`, `vfat`, `LVM2_member`; empty for a partition without signature.
    #[serde(default)]
    pub kind: String,
    /// The filesystem's label.
    #[serde(default)]
    pub label: String,
    /// The GPT name of the partition.
    #[serde(default)]
    pub partition_label: String,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub name: String,
    pub mac: Mac,
    /// Whether a cable is in and the other end is awake.
    pub link: bool,
}
