//! The JSON of every call: between agent and appliance, node and appliance, `pxe-admin` and appliance.

mod disk_key;

use crate::api::event_view::EventView;
use crate::api::machine_view::MachineView;
use crate::base::release::FlakeSource;
use crate::base::release::PublishedInstaller;
use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName, SystemName};
use crate::base::refusal::Refusal;
use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::base::token::{ShipmentId, Ticket};
use crate::disk::hardware::Hardware;
use crate::doctor::boot_trace::{Boot, Finding, Mark};
use crate::doctor::checks::Check;
use crate::install::plan::Plan;
use crate::install::report::Step;
use crate::loader::uefi::boot_order::Entry;
use crate::machine::Generation;
use crate::machine::wipe_confirmation::Found;
use crate::profile::Role;
use crate::publish::closure::Member;
use crate::publish::installer::{Part, Parts};
use crate::publish::retention::Judged;

pub use disk_key::{DiskSecrets, RecoveryKey, UnlockRequest, UnlockSecrets, UnlockToken};

/// Every answer that is not 2xx, on every API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: Refusal,
}

// --- agent → appliance, `node-port`. All but the claim carry `Authorization: Bearer <session>`. ---

/// `POST /node/v1/claim`: the first to bring a ticket holds it. A repeat with the same session and
/// recipient is the same claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    pub ticket: Ticket,
    /// 256 bits that the agent drew, as 64 hexadecimal digits: its password for the rest of the attempt.
    pub session: String,
    /// The age recipient for its secrets, `age1…`.
    pub recipient: String,
}

/// The claim is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimAnswer {
    pub name: HostName,
    /// Which attempt this is, from 1, and how many there may be.
    pub attempt: u32,
    pub attempts: u32,
}

/// `POST /node/v1/discovered`, without a session: what a stranger is that was asked to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredRequest {
    /// The card that netbooted.
    pub mac: Mac,
    pub hardware: Hardware,
}

/// `POST /node/v1/plan` → [`crate::install::plan::Plan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    pub hardware: Hardware,
}

/// `POST /node/v1/secrets` (empty body) → this; `POST /node/v1/secrets/received` ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAnswer {
    /// Base64 of an age file whose plaintext is the JSON of [`InstallSecrets`].
    pub sealed: String,
}

/// What only the claimed machine may read. No `Debug`: it must not reach a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSecrets {
    /// The key of `/node/v1/boot` for the installed system.
    pub node_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k3s: Option<K3sSecrets>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct K3sSecrets {
    /// What this role joins with: the server token for servers, the agent token for agents.
    pub token: String,
    /// Servers only: what agents will join with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_token: Option<String>,
    /// One per host name for ever, or a reinstalled node is refused its own name (k3s#663).
    pub node_password: String,
}

/// `POST /node/v1/installed`: the disk is done, synced and unmounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledRequest {
    /// The number of the profile link that was set.
    pub generation: u32,
    pub store_path: StorePath,
    /// `nixos-version` of what was installed.
    #[serde(default)]
    pub label: String,
    /// `ssh-ed25519 AAAA…`
    pub ssh_host_key: String,
}

// --- node → appliance. `Authorization: Bearer <node key>`. ---

/// `POST /node/v1/boot`: the installed system runs from its own disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootRequest {
    pub name: HostName,
    pub generation: u32,
    pub store_path: StorePath,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub kernel: String,
    pub boot_id: String,
    /// In which its firmware tries its entries, first to last; empty on BIOS and where it cannot be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot_order: Vec<Entry>,
}

/// What the agent leaves in `/var/lib/netboot/node.json` for the installed system; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    pub name: HostName,
    pub machine: Mac,
    /// `https://10.77.0.1:8443`
    pub appliance: String,
    /// `sha256/<base64 of the SHA-256 of the appliance's public key>`
    pub pin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

// --- pxe-admin → appliance, the admin socket. ---

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
    /// What the operator was shown, as the machine waits with it: the yes is for that and nothing else.
    pub seen: Vec<Found>,
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
    /// What will keep it from working, such as a system without a release.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `GET /admin/v1/machines`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machines {
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
pub struct Boots {
    /// What commands call the machine.
    pub title: String,
    /// Oldest first.
    pub boots: Vec<Boot>,
    /// How it stands with the last of them.
    pub finding: Finding,
}

/// `GET /admin/v1/doctor`: the appliance itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkup {
    pub checks: Vec<Check>,
}

/// `POST /admin/v1/releases/prune` → [`PruneAnswer`]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PruneRequest {
    /// How many releases of each system stay in any case; without it, `publish.keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<u32>,
    /// Say what would go, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneAnswer {
    /// Those that were in the cache, oldest first; the ones without a reason are gone.
    pub releases: Vec<Judged>,
    /// Store paths that were deleted, or would be.
    pub paths: u64,
    /// Bytes of files that were freed, or would be.
    pub bytes: u64,
    /// Store paths of no release that stay because they came within the last hour.
    #[serde(default)]
    pub spared: u64,
    pub dry_run: bool,
    /// Releases that stay but cannot be installed.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `GET /admin/v1/machines/{who}/plan?profile=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    #[serde(flatten)]
    pub plan: Plan,
    /// What it asks an operator for before it is carried out, with `pxe-admin confirm`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Found>,
}

/// `GET /admin/v1/releases`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    pub releases: Vec<Release>,
    /// Every one that was published, oldest first; of each architecture, the last is the one that machines boot.
    #[serde(default)]
    pub installers: Vec<PublishedInstaller>,
}

/// `POST /admin/v1/publish` → one [`Published`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishRequest {
    pub system: SystemName,
    pub toplevel: StorePath,
    #[serde(default)]
    pub source: FlakeSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub release: Release,
    /// False: the newest release was this very path already.
    pub changed: bool,
}

/// `GET /admin/v1/publishing`: what there is to publish for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// `flake` of the configuration: a URL, or an absolute path on the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// The systems that profiles use, sorted.
    pub systems: Vec<SystemName>,
    /// The installers for the architectures of profiles.
    pub installers: Vec<InstallerFor>,
    /// What the appliance copies into its cache at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copying: Option<Copying>,
}

/// A system on its way from the appliance's Nix store into its cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copying {
    pub toplevel: StorePath,
    /// Bytes of NARs, unpacked.
    pub done: u64,
    pub total: u64,
}

/// The installer that machines of an architecture boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallerFor {
    /// As `uname -m` says it.
    pub arch: String,
    /// It is `images.<name>` of the configuration; none is published beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedInstaller>,
}

/// `POST /admin/v1/publish/installer` → one [`InstallerPublished`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallerRequest {
    /// A folder with `kernel`, `initrd`, `cmdline` and `arch`.
    pub path: StorePath,
    #[serde(default)]
    pub source: FlakeSource,
    /// What is in it, where the appliance does not have it in a Nix store of its own: it was sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Parts>,
}

/// `POST /admin/v1/publish/room`: what a publication is about to send → [`Lacking`]; a refusal if it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Shipment {
    /// If it has one, what fits is promised to it: it comes with this name in [`SHIPMENT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ShipmentId>,
    /// Of closures.
    #[serde(default)]
    pub paths: Vec<Member>,
    /// Of installers, each to `PUT /admin/v1/publish/installer/parts/<sha256>`.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// The header of uploads that are part of a [`Shipment`].
pub const SHIPMENT: &str = "netboot-shipment";

/// What the appliance does not have of a [`Shipment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Store paths.
    pub paths: u64,
    /// Bytes of their NARs, unpacked.
    pub bytes: u64,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallerPublished {
    pub installer: PublishedInstaller,
    /// False: machines boot this very one already.
    pub changed: bool,
}

/// `GET /admin/v1/releases/{system}/closure`: the newest release as it is in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// None: there is no release yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Every path is in the cache.
    pub whole: bool,
    pub paths: Vec<Member>,
}

/// One line of `GET /admin/v1/events?machine=&after=&follow=` (newline-delimited JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Live {
    /// Written down for good.
    Event { event: EventView },
    /// Bytes of a step; not written down.
    Progress {
        at: Timestamp,
        machine: Mac,
        step: Step,
        done: u64,
        total: u64,
    },
    /// Something that a boot was seen doing for the first time; not written down for good.
    Boot {
        at: Timestamp,
        machine: Mac,
        mark: Mark,
    },
    /// Nothing new; the connection lives.
    Alive,
    #[serde(other)]
    Unknown,
}

/// `GET /healthz`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: String,
    pub version: String,
    /// Set while the store takes no writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}
