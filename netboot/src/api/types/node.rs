//! The JSON of the calls of agents and of installed systems, on `node-port`.

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::HostName;
use crate::base::store_path::StorePath;
use crate::base::token::Ticket;
use crate::disk::hardware::Hardware;
use crate::loader::uefi::boot_order::BootEntry;
use crate::profile::Role;

// --- agent → appliance, `node-port`. All but the claim carry `Authorization: Bearer <session>`. ---

/// `POST /node/v1/claim`: the first to bring a ticket holds it. A repeat with the same session and
/// recipient is the same claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    pub ticket: Ticket,
    /// 256 random bits of the agent, as 64 hexadecimal digits: its password for the rest of the attempt.
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
    /// The order in which its firmware tries its entries, first to last; empty on BIOS and where it cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot_order: Vec<BootEntry>,
}

/// What the agent leaves in `/var/lib/netboot/node.json` for the installed system; it holds no secret.
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
