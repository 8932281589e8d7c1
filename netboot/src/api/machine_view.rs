//! What operators are shown of a machine: all that is known of it, without what grants something.
//!
//! The index stores [`Machine`]; answers carry [`MachineView`]. Members that both have are called the same in JSON. No
//! ticket, no hash of a session, node key or credential, and no ciphertext is in a view.

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::timestamp::Timestamp;
use crate::dhcp::offer_fallback::BootMethod;
use crate::dhcp::request::Facts;
use crate::disk::hardware::Hardware;
use crate::install::plan::{Plan, PlannedDisk};
use crate::install::report::InstallProgress;
use crate::loader::local_boot::LocalBootHistory;
use crate::loader::uefi::boot_order::BootEntry;
use crate::machine::wipe_confirmation::{DiskContents, WrittenDisk};
use crate::machine::{
    Armed, Attempt, AttemptWait, Claim, Discovery, DiskKey, Generation, HandedKey, Machine,
    Secrets, State, open_question, title,
};

/// A machine as an operator sees it; see [`Machine`] for what its members mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineView {
    pub id: Mac,
    pub macs: Vec<Mac>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    pub state: State,
    pub since: Timestamp,
    pub first_seen: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Timestamp>,
    #[serde(default)]
    pub enrolled_itself: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Timestamp>,
    #[serde(default)]
    pub facts: Facts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "manner")]
    pub boot_method: Option<BootMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub armed: Option<Armed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptView>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenDisk>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<PlannedDisk>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<DiskContents>,
    #[serde(default)]
    pub failure: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_key: Option<DiskKeyView>,
    #[serde(default)]
    pub boot_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot_order: Vec<BootEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_boot: Option<LocalBootHistory>,
    #[serde(default)]
    pub generations: Vec<Generation>,
}

/// One run of the installer; see [`Attempt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    pub number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<AttemptWait>,
    #[serde(default)]
    pub progress: InstallProgress,
    #[serde(default)]
    pub secrets: SecretsView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_key: Option<HandedKeyView>,
}

/// That an agent holds the ticket, and since when; see [`Claim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimView {
    /// The public half of the agent's key (`age1…`): it opens nothing.
    pub recipient: String,
    pub at: Timestamp,
}

/// How far the secrets of an attempt have gone; see [`Secrets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SecretsView {
    #[default]
    Kept,
    Sealed,
    Received,
}

/// That there is a key for encrypted disks, and since when; see [`DiskKey`]. `pxe-admin key` shows the key itself, and
/// the journal has who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskKeyView {
    pub made: Timestamp,
}

/// The disk key of an attempt; see [`HandedKey`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedKeyView {
    pub key: DiskKeyView,
}

impl MachineView {
    /// Without `..`, here and below: whoever adds a member to a stored type decides here whether operators see it.
    pub fn of(machine: &Machine) -> Self {
        let Machine {
            id,
            macs,
            name,
            profile,
            state,
            since,
            first_seen,
            enrolled,
            enrolled_itself,
            installed,
            facts,
            boot_method,
            hardware,
            discovery,
            armed,
            attempt,
            written,
            begun,
            confirmed,
            failure,
            ssh_host_key,
            disk_key,
            node_key: _,
            boot_id,
            boot_order,
            local_boot,
            generations,
            tally: _,
        } = machine;
        Self {
            id: *id,
            macs: macs.clone(),
            name: name.clone(),
            profile: profile.clone(),
            state: *state,
            since: *since,
            first_seen: *first_seen,
            enrolled: *enrolled,
            enrolled_itself: *enrolled_itself,
            installed: *installed,
            facts: facts.clone(),
            boot_method: boot_method.clone(),
            hardware: hardware.clone(),
            discovery: discovery.clone(),
            armed: armed.clone(),
            attempt: attempt.as_ref().map(AttemptView::of),
            written: written.clone(),
            begun: begun.clone(),
            confirmed: confirmed.clone(),
            failure: failure.clone(),
            ssh_host_key: ssh_host_key.clone(),
            disk_key: disk_key.as_ref().map(DiskKeyView::of),
            boot_id: boot_id.clone(),
            boot_order: boot_order.clone(),
            local_boot: local_boot.clone(),
            generations: generations.clone(),
        }
    }

    /// As [`Machine::title`].
    pub fn title(&self) -> String {
        title(self.name.as_ref(), self.id)
    }

    /// As [`Machine::waiting`].
    pub fn waiting(&self) -> Option<&AttemptWait> {
        let attempt = self.attempt.as_ref()?;
        let only_waited = attempt.plan.is_none() && !attempt.progress.ended();
        let waits = attempt.waits.as_ref().filter(|_| only_waited)?;
        open_question(self.state, waits, &self.confirmed)
    }
}

impl AttemptView {
    fn of(attempt: &Attempt) -> Self {
        let Attempt {
            number,
            ticket: _,
            served,
            claim,
            plan,
            waits,
            progress,
            secrets,
            tally: _,
            disk_key,
        } = attempt;
        Self {
            number: *number,
            served: *served,
            claim: claim.as_ref().map(ClaimView::of),
            plan: plan.clone(),
            waits: waits.clone(),
            progress: progress.clone(),
            secrets: SecretsView::of(secrets),
            disk_key: disk_key.as_ref().map(HandedKeyView::of),
        }
    }
}

impl ClaimView {
    fn of(claim: &Claim) -> Self {
        let Claim {
            recipient,
            session: _,
            at,
        } = claim;
        Self {
            recipient: recipient.clone(),
            at: *at,
        }
    }
}

impl SecretsView {
    fn of(secrets: &Secrets) -> Self {
        match secrets {
            Secrets::Kept => Self::Kept,
            Secrets::Sealed { sealed: _ } => Self::Sealed,
            Secrets::Received => Self::Received,
        }
    }
}

impl DiskKeyView {
    fn of(key: &DiskKey) -> Self {
        let DiskKey {
            kept: _,
            credential: _,
            made,
        } = key;
        Self { made: *made }
    }
}

impl HandedKeyView {
    fn of(handed: &HandedKey) -> Self {
        let HandedKey { key, sealed: _ } = handed;
        Self {
            key: DiskKeyView::of(key),
        }
    }
}
