//! The calls about the keys of encrypted disks, and what an encrypted volume says of where its key is.

use serde::{Deserialize, Serialize};

use crate::base::name::HostName;
use crate::base::timestamp::Timestamp;

/// `POST /node/v1/disk-key` (empty body), in the step `format`, answers with this, sealed to the claim as
/// [`super::SealedAnswer`]. No `Debug`: it must not reach a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSecrets {
    /// What opens the volumes: see [`crate::disk::disk_key::text`].
    pub key: String,
    /// What the machine asks for the key with when it boots: 64 hexadecimal digits.
    pub credential: String,
}

/// `POST /node/v1/unlock`, `Authorization: Bearer <credential>`: a machine that boots asks for its disk key →
/// [`UnlockSecrets`] as [`super::SealedAnswer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockRequest {
    /// The age recipient that the key is to be sealed to, `age1…`; of this boot alone.
    pub recipient: String,
}

/// No `Debug`: it must not reach a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockSecrets {
    pub key: String,
}

/// In the header of each encrypted volume, where everybody who has the disk can read it: a token of LUKS2 (On-Disk Format
/// Specification §3.5), which only the agent understands.
///
/// It does not hold the key. Who brings its credential gets the key as long as the machine is in good standing. No `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockToken {
    /// [`UnlockToken::KIND`]
    #[serde(rename = "type")]
    pub kind: String,
    /// Those that the key opens.
    pub keyslots: Vec<String>,
    /// Whose disk it is, for people.
    pub machine: HostName,
    /// `https://10.77.0.1:8443`
    pub appliance: String,
    /// `sha256/<base64 of the SHA-256 of the appliance's public key>`
    pub pin: String,
    pub credential: String,
}

impl UnlockToken {
    pub const KIND: &'static str = "netboot-unlock";
}

/// `POST /admin/v1/machines/{who}/key`. No `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryKey {
    pub name: HostName,
    pub key: String,
    pub made: Timestamp,
}
