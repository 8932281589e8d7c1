//! What was built from the flake and published: systems, installers, and the commit that a branch is followed to.

use serde::{Deserialize, Serialize};

use super::name::SystemName;
use super::store_path::StorePath;
use super::timestamp::Timestamp;

/// One built system in the cache, numbered per system from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub system: SystemName,
    pub number: u32,
    pub toplevel: StorePath,
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    pub published: Timestamp,
    /// The flake revision it was built from, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The flake had changes beyond that revision that were not committed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
    /// `nixos-version` of the system, where it has one.
    #[serde(default)]
    pub label: String,
    /// Disko's own script that lays out its disks, where its profile wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<StorePath>,
    /// When it was taken out of the cache; `None` while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Timestamp>,
}

/// What something was built from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FlakeSource {
    /// The flake's revision; with `dirty`, the one that it was changed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The flake had changes that were not committed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
}

/// An installer that was built from the flake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedInstaller {
    /// As `uname -m` says it.
    pub arch: String,
    /// The folder that it was taken from.
    pub path: StorePath,
    pub published: Timestamp,
    #[serde(default)]
    pub source: FlakeSource,
}

/// The last commit of the followed branch that the service published by itself, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowedCommit {
    pub revision: String,
    /// When it was tried last.
    pub at: Timestamp,
    /// How often it failed in a row; 0 once it is published.
    pub failures: u32,
    /// Why it failed the last time, outermost cause first.
    pub trouble: Vec<String>,
}

impl FollowedCommit {
    /// As it is after one more try.
    pub(crate) fn after(
        before: Option<&Self>,
        revision: &str,
        trouble: &[String],
        at: Timestamp,
    ) -> Self {
        let again = before.filter(|before| before.revision == revision);
        let failures = match (trouble, again) {
            ([], _) => 0,
            (_, None) => 1,
            (_, Some(before)) => before.failures.saturating_add(1),
        };
        Self {
            revision: revision.to_owned(),
            at,
            failures,
            trouble: trouble.to_vec(),
        }
    }
}
