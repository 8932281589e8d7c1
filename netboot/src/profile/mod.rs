//! Profiles: what a kind of machine is installed with, and which machines it is for.

mod file;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use select::Select;

use crate::base::arch::CpuArch;
use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName, SystemName};
use crate::base::problem::Problem;
use crate::disk::layout::Layout;

/// A node's part in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The first server: makes the cluster.
    ServerInit,
    Server,
    Agent,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerInit => "server-init",
            Self::Server => "server",
            Self::Agent => "agent",
        })
    }
}

/// A machine that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileMachine {
    pub name: HostName,
    pub macs: Vec<Mac>,
    /// A system of its own, if it has modules of its own.
    pub system: Option<SystemName>,
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: ProfileName,
    /// The path of its file as it was given to the reader, for messages.
    pub file: String,
    pub description: String,
    pub arch: CpuArch,
    /// The system that its machines share.
    pub system: SystemName,
    pub machines: Vec<ProfileMachine>,
    pub patterns: Vec<Pattern>,
    /// One table must fit as many disks as the layout has. Several tables: one for each of these disks, in their order.
    pub select: Vec<Select>,
    /// Disks that are never opened for writing, whatever `select` says.
    pub keep: Vec<Select>,
    pub layout: Layout,
    /// As written; where it is absent, `machine::wipe_confirmation` decides.
    pub wipe: Option<Wipe>,
    /// `None`: not part of a cluster.
    pub role: Option<Role>,
    pub kernel_params: Vec<String>,
}

/// A MAC pattern such as `b8:27:eb:*`: the octets that must be equal, from the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub Vec<u8>);

impl Profile {
    /// What this machine is installed with: a system of its own if the profile gives it modules of its own, else the
    /// one that it shares with the profile's others.
    pub fn system_of(&self, machine: Option<&HostName>) -> &SystemName {
        let listed = self.machines.iter().find(|m| Some(&m.name) == machine);
        listed
            .and_then(|m| m.system.as_ref())
            .unwrap_or(&self.system)
    }
}

/// All profiles of `hosts/profiles`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profiles {
    pub by_name: BTreeMap<ProfileName, Profile>,
}

impl Profiles {
    /// The systems that machines of these profiles are installed with, sorted.
    pub fn systems(&self) -> Vec<SystemName> {
        let profiles = self.by_name.values();
        let own = |profile: &Profile| {
            profile
                .machines
                .iter()
                .filter_map(|m| m.system.clone())
                .collect::<Vec<_>>()
        };
        let all: BTreeSet<SystemName> = profiles
            .flat_map(|profile| std::iter::once(profile.system.clone()).chain(own(profile)))
            .collect();
        all.into_iter().collect()
    }

    /// Reads all files (path as it is to be shown, text), reporting every problem in them.
    ///
    /// # Errors
    /// All problems, sorted by place.
    pub fn read(files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        file::read(files)
    }

    /// The NixOS modules that a file names, in its order, each with where it stands: a problem without a message. Empty
    /// for a file that cannot be read.
    pub fn modules(file: &str, text: &str) -> Vec<(String, Problem)> {
        file::modules(file, text)
    }

    /// The profile that lists this card.
    pub fn listing(&self, mac: Mac) -> Option<&Profile> {
        let lists = |p: &&Profile| p.machines.iter().any(|m| m.macs.contains(&mac));
        self.by_name.values().find(lists)
    }

    /// The profile that is for this machine: the one that lists it, else the most specific pattern.
    pub fn for_mac(&self, mac: Mac) -> Option<&Profile> {
        let length = |p: &Profile| {
            let fitting = p.patterns.iter().filter(|pattern| pattern.fits(mac));
            fitting.map(|pattern| pattern.0.len()).max()
        };
        let fitting = || self.by_name.values().filter(|p| length(p).is_some());
        self.listing(mac)
            .or_else(|| fitting().max_by_key(|p| length(p)))
    }
}

impl Pattern {
    pub fn fits(&self, mac: Mac) -> bool {
        mac.octets().starts_with(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "is not a MAC pattern; write the first octets and `*`, like b8:27:eb:*".to_owned();
        if let Ok(mac) = text.parse::<Mac>() {
            return Ok(Self(mac.octets().to_vec()));
        }
        let start = text.strip_suffix(":*").ok_or_else(wrong)?;
        let octets: Option<Vec<u8>> = start
            .split(':')
            .map(|octet| {
                // `from_str_radix` takes a sign as well.
                let is_hex = octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
                u8::from_str_radix(octet, 16).ok().filter(|_| is_hex)
            })
            .collect();
        octets
            .filter(|octets| (1..6).contains(&octets.len()))
            .map(Self)
            .ok_or_else(wrong)
    }
}

/// `[disk] wipe`: what may happen to what an operator has on a chosen disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wipe {
    /// The order to install is enough.
    Allow,
    /// What this appliance did not write is wiped only after `pxe-admin confirm`.
    Ask,
}
