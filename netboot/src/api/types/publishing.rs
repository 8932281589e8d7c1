//! The JSON of the calls that publish systems and installers, and of those about what is in the cache.

use serde::{Deserialize, Serialize};

use crate::base::name::SystemName;
use crate::base::release::FlakeSource;
use crate::base::release::PublishedInstaller;
use crate::base::release::Release;
use crate::base::store_path::StorePath;
use crate::base::token::UploadBatchId;
use crate::publish::closure::ClosurePath;
use crate::publish::installer::{ImageFile, InstallerManifest};
use crate::publish::retention::ReleaseRetention;

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
pub struct PublishTargets {
    /// `flake` of the configuration: a URL, or an absolute path on the appliance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flake: Option<String>,
    /// The systems that profiles use, sorted.
    pub systems: Vec<SystemName>,
    /// The installers for the architectures of profiles.
    pub installers: Vec<InstallerFor>,
    /// What the appliance copies into its cache at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copying: Option<CopyProgress>,
}

/// A system on its way from the appliance's Nix store into its cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyProgress {
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
    pub parts: Option<InstallerManifest>,
}

/// `POST /admin/v1/publish/room`: what a publication is about to send → [`Missing`]; a refusal if it does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UploadBatch {
    /// With an id, space is reserved for what fits; its uploads carry the id in the header [`SHIPMENT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<UploadBatchId>,
    /// The paths of closures.
    #[serde(default)]
    pub paths: Vec<ClosurePath>,
    /// The files of installers, each sent to `PUT /admin/v1/publish/installer/parts/<sha256>`.
    #[serde(default)]
    pub parts: Vec<ImageFile>,
}

/// The header of uploads that are part of an [`UploadBatch`].
pub const SHIPMENT: &str = "netboot-shipment";

/// What the appliance does not have of an [`UploadBatch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Store paths.
    pub paths: u64,
    /// Bytes of their NARs, unpacked.
    pub bytes: u64,
    pub parts: Vec<ImageFile>,
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
    /// `None`: there is no release yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Every path is in the cache.
    pub whole: bool,
    pub paths: Vec<ClosurePath>,
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
    /// The releases that were in the cache, oldest first; those without a reason to stay were deleted.
    pub releases: Vec<ReleaseRetention>,
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
