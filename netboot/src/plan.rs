//! Hardware, profile and release → what will be done to this machine's disks, or why nothing will.

use serde::{Deserialize, Serialize};

use crate::hardware::{Disk, Firmware, Hardware};
use crate::layout::{Filesystem, Purpose};
use crate::machine::Release;
use crate::name::{HostName, SystemName};
use crate::profile::{Profile, Role, Select};
use crate::refusal::{Code, Refusal};
use crate::store_path::StorePath;

const MIB: u64 = 1 << 20;

/// What the agent will do: this or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub host_name: HostName,
    pub firmware: Firmware,
    pub disk: PlannedDisk,
    /// What is on the disk now and will be gone, in words.
    pub destroys: Vec<String>,
    pub partitions: Vec<Partition>,
    pub release: PlannedRelease,
    pub cache: Cache,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<K3s>,
}

/// The one disk that may be written to, by everything it says of itself. The agent compares all of it
/// before it writes: the kernel's names change from boot to boot.
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
    /// Bytes from the beginning of the disk, a multiple of 1 MiB.
    pub start: u64,
    /// Bytes, a multiple of 1 MiB.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<Filesystem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<String>,
}

/// What goes onto the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRelease {
    pub system: SystemName,
    pub number: u32,
    pub toplevel: StorePath,
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
}

/// Where from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// `http://10.77.0.1:8080/cache`
    pub url: String,
    /// `name:base64`, the only key the agent trusts.
    pub public_key: String,
}

/// The cluster part of an install; its secrets come sealed, later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct K3s {
    pub role: Role,
    /// `https://10.77.0.10:6443`; nothing for the first server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What a plan is made of besides the hardware.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub host_name: &'a HostName,
    pub profile: &'a Profile,
    pub release: &'a Release,
    pub cache: &'a Cache,
    /// The API server that agents and further servers join.
    pub k3s_server: Option<&'a str>,
}

/// Makes the plan, or refuses with the disks it saw and the line to write.
pub fn plan(hardware: &Hardware, order: &Order<'_>) -> Result<Plan, Refusal> {
    let _ = (hardware, order);
    unimplemented!()
}
