//! The JSON of every call. Here: what `pxe-admin` asks and commands about machines. `node`: the calls of agents and
//! nodes. `publishing`: releases, installers and the cache. `disk_key`: keys of encrypted disks.

mod disk_key;
mod node;
mod publishing;

use serde::{Deserialize, Serialize};

use crate::api::event_view::EventView;
use crate::api::machine_view::MachineView;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::refusal::Refusal;
use crate::base::timestamp::Timestamp;
use crate::doctor::boot_trace::{Boot, BootEvent, Finding};
use crate::doctor::checks::Check;
use crate::install::plan::Plan;
use crate::install::report::InstallStep;
use crate::machine::Generation;
use crate::machine::wipe_confirmation::DiskContents;

pub use disk_key::{DiskSecrets, RecoveryKey, UnlockRequest, UnlockSecrets, UnlockToken};
pub use node::{
    BootRequest, ClaimAnswer, ClaimRequest, DiscoveredRequest, InstallSecrets, InstalledRequest,
    K3sSecrets, NodeIdentity, PlanRequest, SealedAnswer,
};
pub use publishing::{
    Closure, CopyProgress, InstallerFor, InstallerPublished, InstallerRequest, Missing,
    PruneAnswer, PruneRequest, PublishRequest, PublishTargets, Published, Releases, SHIPMENT,
    UploadBatch,
};

/// Every answer that is not 2xx, on every API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: Refusal,
}

/// `POST /admin/v1/enroll`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollRequest {
    pub mac: Mac,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<HostName>,
}

/// `POST /admin/v1/machines/{who}/reimage`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReimageRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
}

/// `POST /admin/v1/machines/{who}/confirm`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmRequest {
    /// What the operator was shown, as the machine waits with it: only that is confirmed.
    pub seen: Vec<DiskContents>,
}

/// The answer to `enroll`, `reimage`, `confirm` and `forget`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub machine: MachineView,
    /// False: it was so already.
    pub changed: bool,
    /// Where the profile was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_file: Option<String>,
    /// What will keep the machine from being installed, such as a system without a release.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `GET /admin/v1/machines`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineList {
    pub machines: Vec<MachineView>,
}

/// `GET /admin/v1/generations` and `/admin/v1/machines/{who}/generations`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    pub machines: Vec<MachineGenerations>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineGenerations {
    pub name: String,
    pub generations: Vec<Generation>,
}

/// `GET /admin/v1/machines/{who}/boots`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootsAnswer {
    /// What commands call the machine.
    pub title: String,
    /// Oldest first.
    pub boots: Vec<Boot>,
    /// How it stands with the last of them.
    pub finding: Finding,
}

/// `GET /admin/v1/doctor`: the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoctorReport {
    pub checks: Vec<Check>,
}

/// `GET /admin/v1/machines/{who}/plan?profile=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    #[serde(flatten)]
    pub plan: Plan,
    /// What it asks an operator for before it is carried out, with `pxe-admin confirm`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<DiskContents>,
}

/// One line of `GET /admin/v1/events?machine=&after=&follow=` (newline-delimited JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum EventLine {
    /// Written down for good.
    Event { event: EventView },
    /// Bytes of a step; not written down.
    Progress {
        at: Timestamp,
        machine: Mac,
        step: InstallStep,
        done: u64,
        total: u64,
    },
    /// Something that a boot was seen doing for the first time; not written down for good.
    Boot {
        at: Timestamp,
        machine: Mac,
        mark: BootEvent,
    },
    /// No event; a sign that the connection is alive.
    Alive,
    #[serde(other)]
    Unknown,
}

/// `GET /healthz`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: String,
    pub version: String,
    /// Why the store is read-only; `None` while it takes writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}
