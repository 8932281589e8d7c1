//! Named disk layouts: which partitions, in which order, for which firmware.
//!
//! Labels are those that disko gives (`disk-<disk>-<partition>`), because the built system's fstab names
//! them. The flake makes that fstab from `layout.json`, which is these layouts written out.

use serde::{Deserialize, Serialize};

use crate::hardware::Firmware;

const MIB: u64 = 1 << 20;

/// A layout that a profile can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// GPT with one ext4 root, and what the firmware needs to start it.
    Ext4,
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    Vfat,
    Ext4,
}

/// A partition as a layout asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub label: &'static str,
    pub purpose: Purpose,
    /// Bytes; nothing means all that is left.
    pub size: Option<u64>,
    pub filesystem: Option<Filesystem>,
    pub mountpoint: Option<&'static str>,
}

impl Purpose {
    /// The GPT partition type (UEFI 2.10 §5.3.3; for BIOS boot, the GRUB manual §3.4; the Linux one is generic).
    pub fn type_guid(self) -> &'static str {
        match self {
            Self::Esp => "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            Self::BiosBoot => "21686148-6449-6E6F-744E-656564454649",
            Self::Linux => "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        }
    }
}

impl Layout {
    pub const NAMES: [&str; 1] = ["ext4"];

    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ext4" => Some(Self::Ext4),
            _ => None,
        }
    }

    /// The partitions in disk order. The last takes the rest of the disk.
    pub fn slots(self, firmware: Firmware) -> Vec<Slot> {
        let Self::Ext4 = self;
        let start = match firmware {
            Firmware::Uefi => Slot {
                label: "disk-main-ESP",
                purpose: Purpose::Esp,
                size: Some(512 * MIB),
                filesystem: Some(Filesystem::Vfat),
                mountpoint: Some("/boot"),
            },
            Firmware::Bios => Slot {
                label: "disk-main-boot",
                purpose: Purpose::BiosBoot,
                size: Some(MIB),
                filesystem: None,
                mountpoint: None,
            },
        };
        let root = Slot {
            label: "disk-main-root",
            purpose: Purpose::Linux,
            size: None,
            filesystem: Some(Filesystem::Ext4),
            mountpoint: Some("/"),
        };
        vec![start, root]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect_file;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_flake_reads_these_very_layouts() {
        let slot = |slot: Slot| {
            json!({
                "label": slot.label,
                "type": slot.purpose.type_guid(),
                "size": slot.size,
                "filesystem": slot.filesystem,
                "mountpoint": slot.mountpoint,
            })
        };
        let layout = |name: &&'static str| {
            let layout = Layout::named(name).expect("every name has its layout");
            let slots = |firmware| {
                layout
                    .slots(firmware)
                    .into_iter()
                    .map(slot)
                    .collect::<Vec<_>>()
            };
            let by_firmware =
                json!({ "uefi": slots(Firmware::Uefi), "bios": slots(Firmware::Bios) });
            (*name, by_firmware)
        };
        let all: BTreeMap<_, _> = Layout::NAMES.iter().map(layout).collect();
        let text = serde_json::to_string_pretty(&all).expect("writes");
        expect_file!["layout.json"].assert_eq(&(text + "\n"));
    }
}
