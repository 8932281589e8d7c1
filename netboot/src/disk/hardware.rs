//! What the agent found in a machine. Only facts: which disk is meant is decided in `install::plan`.

use serde::{Deserialize, Serialize};

use crate::base::arch::CpuArch;
use crate::base::mac::Mac;
use crate::base::open_enum::open_enum;
use crate::base::size::size_words;

/// How the machine was started, and so how it must be able to start itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    Uefi,
    Bios,
}

impl Firmware {
    /// `UEFI`
    pub fn name(self) -> &'static str {
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
    pub arch: CpuArch,
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
    /// Whether it has a TPM that speaks version 2 of the protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tpm2: bool,
    /// Whether the installer that it booted, which made this inventory, has ZFS: the programs and the kernel's module.
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
    #[serde(default)]
    pub bus: DiskBus,
    #[serde(default)]
    pub removable: bool,
    #[serde(default)]
    pub read_only: bool,
    /// Whether the system that runs now was started from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boot_medium: bool,
    /// Links under `/dev/disk/by-id/` that lead to the whole disk, without the folder, sorted.
    #[serde(default)]
    pub by_id: Vec<String>,
    /// What is on it now: the whole disk if it has a signature, then its partitions in disk order, each followed by what is
    /// built on it and runs (arrays, volumes, opened LUKS).
    #[serde(default)]
    pub holds: Vec<Signature>,
}

impl Disk {
    /// For a person: `vda: 32.0 GiB virtio, serial root, holds ext4 "data"`.
    pub fn description(&self) -> String {
        let mut words = format!("{}: {}", self.node, size_words(self.size));
        for word in [self.bus.as_str(), &self.model] {
            if !word.is_empty() {
                words.push(' ');
                words.push_str(word);
            }
        }
        if !self.serial.is_empty() {
            words.push_str(&format!(", serial {}", self.serial));
        }
        for (flag, word) in [
            (self.removable, "removable"),
            (self.read_only, "read-only"),
            (self.boot_medium, "the medium it booted from"),
        ] {
            if flag {
                words.push_str(&format!(", {word}"));
            }
        }
        let holds: Vec<String> = self.holds.iter().map(Signature::description).collect();
        if holds.is_empty() {
            words.push_str(", empty");
        } else {
            words.push_str(&format!(", holds {}", holds.join("; ")));
        }
        words
    }

    /// Why `select` takes this disk only if it names it; `None` for a disk that it may take by size, model or bus.
    pub(crate) fn why_unnamed_not(&self) -> Option<&'static str> {
        if self.read_only {
            Some("is read-only")
        } else if self.boot_medium {
            Some("is the medium it booted from")
        } else if self.removable {
            Some("is removable")
        } else if self.bus == DiskBus::Usb {
            Some("is on USB")
        } else {
            None
        }
    }

    /// The number of the partition that `held` is; `None` if it is no partition of this disk.
    pub(crate) fn number_of(&self, held: &Signature) -> Option<u32> {
        match held.place_on(&self.node) {
            DiskLocation::Partition(number) => Some(number),
            DiskLocation::Whole | DiskLocation::Unknown => None,
        }
    }
}

open_enum! {
    /// What a disk is attached to: the nearest controller on its path in sysfs.
    #[derive(Default)]
    pub enum DiskBus {
        #[default]
        Unknown = "",
        Virtio = "virtio",
        Nvme = "nvme",
        /// SATA, and IDE through libata.
        Sata = "sata",
        Usb = "usb",
        /// Any other that speaks SCSI: SAS, a controller of RAID, virtio-scsi.
        Scsi = "scsi",
        /// Cards and eMMC.
        Mmc = "mmc",
    }
}

open_enum! {
    /// What a signature on a device says that it holds, as `wipefs` and `blkid` call it. What is wiped, kept and asked
    /// about depends on it: a `match` on it names every kind, so that a new one cannot pass unseen.
    #[derive(Default)]
    pub enum SignatureKind {
        /// No signature; on a disk or a partition also only zeros at both ends.
        #[default]
        Blank = "",
        /// No signature, and no zeros either: encrypted without a header, or of a system that `wipefs` does not know.
        UnknownData = "unknown data",
        /// The device, or the answer of `wipefs`, cannot be read.
        Unreadable = "unreadable",
        Gpt = "gpt",
        /// The copy at the end of a disk whose own GPT is gone.
        GptBackup = "gpt-backup",
        /// The MBR that stands before a GPT (UEFI 2.10 §5.2.3), where that is gone.
        ProtectiveMbr = "PMBR",
        /// An MBR with a partition table.
        Mbr = "dos",
        RaidMember = "linux_raid_member",
        /// A physical volume of LVM 2.
        LvmMember = "LVM2_member",
        ZfsMember = "zfs_member",
        Luks = "crypto_LUKS",
        Bcache = "bcache",
        Stratis = "stratis",
        Btrfs = "btrfs",
        Bcachefs = "bcachefs",
        Ext4 = "ext4",
        Xfs = "xfs",
        Vfat = "vfat",
        Swap = "swap",
    }
}

/// One thing found on a disk. A device with several signatures is there once for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The kernel's name of the disk, partition or array: `vda1`, `md127`; of a volume, its own name: `vg-root`.
    pub node: String,
    /// Bytes.
    pub size: u64,
    #[serde(default)]
    pub kind: SignatureKind,
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

impl Signature {
    /// For a person: `vda2: ext4 "root", 31.5 GiB`.
    pub fn description(&self) -> String {
        let kind = match &self.kind {
            SignatureKind::Blank => "nothing known",
            kind => kind.as_str(),
        };
        let label = if self.label.is_empty() {
            &self.partition_label
        } else {
            &self.label
        };
        let label = if label.is_empty() {
            String::new()
        } else {
            format!(" {label:?}")
        };
        // An array's name is its label.
        let group = match &self.member_of {
            Some(group)
                if label.is_empty()
                    && self.kind != SignatureKind::Btrfs
                    && !group.id.is_empty() =>
            {
                format!(" of `{}`", group.name)
            }
            _ => label,
        };
        format!("{}: {kind}{group}, {}", self.node, size_words(self.size))
    }

    /// Where it is on its disk, which the kernel calls `disk`: `vda` and `vda1`, `nvme0n1` and `nvme0n1p1`.
    pub(crate) fn place_on(&self, disk: &str) -> DiskLocation {
        match self.node.strip_prefix(disk) {
            Some("") => DiskLocation::Whole,
            Some(rest) => match rest.strip_prefix('p').unwrap_or(rest).parse() {
                Ok(number) => DiskLocation::Partition(number),
                Err(_) => DiskLocation::Unknown,
            },
            None => DiskLocation::Unknown,
        }
    }
}

/// Where on its disk something is; the kernel's names change from boot to boot, this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskLocation {
    /// It is the disk itself.
    Whole,
    /// It is the partition of this number, from 1.
    Partition(u32),
    /// It is built on the disk (an array, a volume), or lies on another disk.
    Unknown,
}

/// What several devices form together: an array, a volume group, a pool, a filesystem on several disks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// As people call it.
    pub name: String,
    /// The same for all members, and different for any other group of this kind; empty where that is unknown.
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
