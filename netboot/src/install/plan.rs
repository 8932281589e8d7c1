//! A plan: what will be done to a machine's disks, as data. `make` makes it, the agent carries it out.

mod command;
pub mod conflicts;
mod describe;
mod make;
mod place;
mod pool;
mod preserve;
mod scripted;
mod select;
mod stack;

use serde::{Deserialize, Serialize};

pub use command::{Arg, Input, KEY_FROM_STDIN, PlannedCommand, quoted};
pub use make::{PlanOrder, plan};

use crate::base::name::{HostName, SystemName};
use crate::base::store_path::StorePath;
use crate::disk::hardware::{Disk, Firmware};
use crate::disk::layout::{Format, Purpose};
use crate::profile::Role;

const MIB: u64 = 1 << 20;

/// All that the agent will do; where it cannot do that, it does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub host_name: HostName,
    pub firmware: Firmware,
    /// `mirror`
    #[serde(default)]
    pub layout: String,
    /// Every disk of the machine, and why it is written to or not.
    #[serde(default)]
    pub seen: Vec<SeenDisk>,
    /// The disks that may be written to, in the order of the layout.
    pub disks: Vec<DiskPlan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<PlannedArray>,
    /// What is encrypted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<PlannedVolume>,
    #[serde(default)]
    pub filesystems: Vec<PlannedFilesystem>,
    /// Parents before the mounts below them.
    #[serde(default)]
    pub mounts: Vec<PlannedMount>,
    /// What is on the chosen disks now and will be gone, in words.
    pub destroys: Vec<String>,
    /// What is on the chosen disks now and stays, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<String>,
    /// What the profile says that has no effect on this machine, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Disko's own script that lays out the disks, in place of partitions and commands that are known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<StorePath>,
    /// All that is run on the chosen disks once they are torn down, in this order.
    #[serde(default)]
    pub commands: Vec<PlannedCommand>,
    pub release: PlannedRelease,
    pub cache: Substituter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<K3s>,
}

/// A disk of the machine, as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenDisk {
    pub disk: Disk,
    #[serde(rename = "fate")]
    pub action: DiskAction,
    /// In words: `holds 8.0 GiB, less than min-size`.
    pub why: String,
}

/// What becomes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskAction {
    /// Chosen, and written to.
    Written,
    /// Named by `keep`: never opened for writing, whatever `select` says.
    Kept,
    /// Not chosen, and so not touched.
    Left,
}

/// A disk that may be written to, and what goes onto it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPlan {
    /// The layout's name for it: `main`.
    pub name: String,
    pub disk: PlannedDisk,
    /// In disk order.
    pub partitions: Vec<Partition>,
}

/// A disk by everything it says of itself. The agent compares all of it before it writes: the kernel's names change
/// from boot to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDisk {
    pub node: String,
    pub size: u64,
    pub sector: u32,
    pub model: String,
    pub serial: String,
    pub wwn: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// From 1, the place in the GPT.
    pub number: u32,
    pub label: String,
    pub purpose: Purpose,
    /// Bytes from the beginning of the disk, a multiple of 1 MiB unless it is kept.
    pub start: u64,
    /// Bytes, a multiple of 1 MiB unless it is kept.
    pub size: u64,
    /// For a person: `ext4`, `array root`; empty if the partition has no content.
    #[serde(default)]
    pub holds: String,
    /// It was there before, and what it holds stays.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kept: bool,
    /// The profile wants it to stay from one install to the next.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preserve: bool,
    /// The GPT name that it has while its content is made, if later installs are to preserve it: they must not find one
    /// that is half made under `label`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_as: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A device that a plan names: never by the kernel's name, which the agent finds by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// A chosen disk, by the layout's name for it.
    Disk(String),
    Partition {
        disk: String,
        number: u32,
    },
    /// `/dev/md/<name>`
    Array(String),
    /// `/dev/mapper/<name>`
    Volume(String),
    /// A pool of this plan (`rpool`), or a dataset in it (`rpool/root`), which ZFS knows by name alone.
    Dataset(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedArray {
    pub name: String,
    pub level: u8,
    pub members: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedVolume {
    pub name: String,
    pub on: Device,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFilesystem {
    pub on: Device,
    pub format: Format,
    /// The filesystem's label; for ZFS the name of the pool.
    pub label: String,
    /// Further arguments of the program that makes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The subvolumes of btrfs, or the datasets of a ZFS pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subvolumes: Vec<String>,
    /// It is there already and stays.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kept: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMount {
    /// `/boot`
    pub at: String,
    pub device: Device,
    pub format: Format,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// The release that is put onto the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRelease {
    pub system: SystemName,
    pub number: u32,
    pub toplevel: StorePath,
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
}

/// Where the release is copied from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substituter {
    /// `http://10.77.0.1:8080/cache`
    pub url: String,
    /// `name:base64`, the only key the agent trusts.
    pub public_key: String,
}

/// The cluster part of an install; its secrets come sealed, later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct K3s {
    pub role: Role,
    /// `https://10.77.0.10:6443`; `None` for the first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

impl Plan {
    /// The partition that a device is, if it is one of this plan.
    pub fn partition(&self, device: &Device) -> Option<&Partition> {
        let Device::Partition { disk, number } = device else {
            return None;
        };
        let disk = self.disks.iter().find(|one| one.name == *disk)?;
        disk.partitions.iter().find(|one| one.number == *number)
    }

    /// The device's path as it was when the plan was made: `/dev/vda2`, `/dev/md/root`. For people: the agent finds
    /// disks by what they say of themselves.
    pub fn path(&self, device: &Device) -> String {
        let disk = |name: &str| {
            let found = self.disks.iter().find(|disk| disk.name == name);
            found
                .map_or(name, |disk| disk.disk.node.as_str())
                .to_owned()
        };
        match device {
            Device::Disk(name) => format!("/dev/{}", disk(name)),
            Device::Partition { disk: name, number } => {
                let node = disk(name);
                let between = if node.ends_with(|c: char| c.is_ascii_digit()) {
                    "p"
                } else {
                    ""
                };
                format!("/dev/{node}{between}{number}")
            }
            Device::Array(name) => format!("/dev/md/{name}"),
            Device::Volume(name) => format!("/dev/mapper/{name}"),
            Device::Dataset(name) => name.clone(),
        }
    }
}

impl From<&Disk> for PlannedDisk {
    fn from(disk: &Disk) -> Self {
        Self {
            node: disk.node.clone(),
            size: disk.size,
            sector: disk.sector,
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            wwn: disk.wwn.clone(),
        }
    }
}

impl PlannedDisk {
    /// Whether this disk, as it is in this boot, is the one that was planned.
    pub fn is(&self, disk: &Disk) -> bool {
        self.is_same(&Self::from(disk))
    }

    /// Whether both are one disk, whatever the kernel called it each time.
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            node: _,
            size,
            sector,
            model,
            serial,
            wwn,
        } = other;
        (self.size, self.sector) == (*size, *sector)
            && (&self.model, &self.serial, &self.wwn) == (model, serial, wwn)
    }
}

impl DiskPlan {
    /// Whether something on it stays, so that its partition table must at no instant be gone.
    pub fn keeps(&self) -> bool {
        self.partitions.iter().any(|partition| partition.kept)
    }
}

#[cfg(test)]
mod tests;
