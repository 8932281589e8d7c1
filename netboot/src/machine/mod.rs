//! A machine as the appliance knows it: its names, its state, and the install attempt it is in.

pub mod decide;
pub mod departures;
pub mod event;
pub mod installer_choice;
pub mod journal_limits;
pub mod state;
mod transitions;
pub mod wipe_confirmation;

use crate::dhcp::request::Facts;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName};
use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::base::token::{Digest, Ticket};
use crate::dhcp::offer_fallback::BootMethod;
use crate::disk::hardware::Hardware;
use crate::install::plan::{Plan, PlannedDisk};
use crate::install::report::InstallProgress;
use crate::loader::local_boot::LocalBootHistory;
use crate::loader::uefi::boot_order::BootEntry;
use crate::machine::journal_limits::{CallerTally, ReportTally};
use crate::machine::wipe_confirmation::{DiskContents, WrittenDisk};

/// Where a machine is on its way. Only evidence moves it forward; only an operator moves it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A stranger that asked for something to boot.
    Seen,
    /// To be installed at its next boot.
    Enrolled,
    /// An agent holds the ticket.
    Installing,
    /// The agent says the disk is done.
    Installed,
    /// The installed system says, from its own disk, that it runs.
    Running,
    /// k3s says the node is Ready.
    Joined,
    /// Attempts are used up or an install failed for good; boots its disk.
    Failed,
    /// Kept on record, answered no more.
    Retired,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seen => "seen",
            Self::Enrolled => "enrolled",
            Self::Installing => "installing",
            Self::Installed => "installed",
            Self::Running => "running",
            Self::Joined => "joined",
            Self::Failed => "failed",
            Self::Retired => "retired",
        })
    }
}

/// The order to install, given by `enroll` or `reimage`, and how long it stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    pub until: Timestamp,
    /// The release to install; `None` means the newest when the plan is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
}

/// One run of the installer, from the ticket on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1, since the machine was armed.
    pub number: u32,
    pub ticket: Ticket,
    /// When a boot script first carried the ticket; `None` means it was not handed out yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Set if it had to wait for an operator before anything was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<AttemptWait>,
    #[serde(default)]
    pub progress: InstallProgress,
    #[serde(default)]
    pub secrets: Secrets,
    #[serde(skip)]
    pub tally: ReportTally,
    /// The key of the disks that it encrypts; `None` if it has encrypted none. It opens what is on them now; an earlier
    /// key does not any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_key: Option<HandedKey>,
}

impl Attempt {
    /// How long a boot may ask for its script again and still count as the same boot.
    const SAME_BOOT: Duration = Duration::from_secs(60);

    /// One that was not handed out yet.
    pub fn new(number: u32, ticket: Ticket) -> Self {
        Self {
            number,
            ticket,
            served: None,
            claim: None,
            plan: None,
            waits: None,
            progress: InstallProgress::default(),
            secrets: Secrets::default(),
            tally: ReportTally::default(),
            disk_key: None,
        }
    }

    /// Whether the next boot script begins a new attempt: this one was claimed, or was handed out so long
    /// ago that the machine must have started again since.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.claim.is_some()
            || self
                .served
                .is_some_and(|at| now.since(at) > Self::SAME_BOOT)
    }

    /// Whether it only ever waited for an operator: such an attempt does not count, however often the machine is
    /// switched off and on while it waits.
    pub fn only_waited(&self) -> bool {
        self.waits.is_some() && self.plan.is_none() && !self.progress.ended()
    }

    /// What the next attempt is called.
    pub fn next_number(&self) -> u32 {
        if self.only_waited() {
            self.number
        } else {
            self.number + 1
        }
    }
}

/// What an attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum AttemptWait {
    /// `pxe-admin confirm`: these disks hold what this appliance did not put there.
    Wipe { disks: Vec<DiskContents> },
}

/// How far a stranger has told its hardware, with `boot.unknown = "discover"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovery {
    /// Boots that were given the installer to tell their hardware.
    pub tries: u32,
    /// When a boot script last asked it to.
    pub served: Timestamp,
    /// When it told its hardware; it is not asked again.
    #[serde(rename = "told", default, skip_serializing_if = "Option::is_none")]
    pub discovered: Option<Timestamp>,
}

impl Discovery {
    /// Whether a script that is asked for now belongs to the boot before.
    pub fn is_same_boot(&self, now: Timestamp) -> bool {
        now.since(self.served) <= Attempt::SAME_BOOT
    }
}

/// Who holds the ticket: the first to ask, bound to a key that never left its RAM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The age recipient (`age1…`) that secrets are sealed to.
    pub recipient: String,
    /// Hash of the bearer secret that the agent made and proves itself with from here on.
    pub session: Digest,
    pub at: Timestamp,
}

/// How far the secrets of an attempt have gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Secrets {
    #[default]
    Kept,
    /// Sealed and handed out; the same ciphertext answers a retry. Base64 of the age file.
    Sealed { sealed: String },
    /// The agent has them; they are not handed out again.
    Received,
}

/// The key of a machine's encrypted disks, as the appliance keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskKey {
    /// Base64 of an age file that only the appliance can open.
    pub kept: String,
    /// Hash of what the machine asks for the key with when it boots.
    pub credential: Digest,
    pub made: Timestamp,
}

/// A disk key of an attempt, and the ciphertext that answers a retry: base64 of an age file for the claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedKey {
    pub key: DiskKey,
    pub sealed: String,
}

/// How a generation came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GenerationOrigin {
    Install,
    Switch,
    Rollback,
    Boot,
}

/// One generation that a node ran. Numbers are reused after a rollback; the store path is the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The system profile's number.
    pub number: u32,
    pub store_path: StorePath,
    /// What the boot menu calls it, from `nixos-version`.
    #[serde(default)]
    pub label: String,
    /// As `uname -r` says it.
    #[serde(default)]
    pub kernel: String,
    pub origin: GenerationOrigin,
    /// The release it was, if this appliance published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// When the agent put it on the disk, or when it was first seen running.
    pub activated: Timestamp,
    /// When a node first reported it running; `None` if no node ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted: Option<Timestamp>,
    /// `/proc/sys/kernel/random/boot_id` of its last report.
    #[serde(default)]
    pub boot_id: String,
}

impl Generation {
    /// Whether both are one generation: numbers are reused after a rollback, so the path counts too.
    pub fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.store_path == other.store_path
    }
}

/// A physical box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The MAC it is filed under: the first of `macs`.
    pub id: Mac,
    pub macs: Vec<Mac>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<HostName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    pub state: State,
    /// When it came into `state`.
    pub since: Timestamp,
    pub first_seen: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Timestamp>,
    /// Whether it was enrolled by `boot.unknown`, which names a profile, and not by an operator.
    #[serde(default)]
    pub enrolled_itself: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<Timestamp>,
    #[serde(default)]
    pub facts: Facts,
    /// How its firmware got to its boot script the last time.
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
    pub attempt: Option<Attempt>,
    /// What this appliance wrote to its disks, so that it knows it again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenDisk>,
    /// The disks on which the order in force has begun to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<PlannedDisk>,
    /// What an operator let it wipe; good for the order in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<DiskContents>,
    /// Why it is `failed`, outermost cause first.
    #[serde(default)]
    pub failure: Vec<String>,
    /// The public half, one line as in `known_hosts` without the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host_key: Option<String>,
    /// The key of the installed system's disks, if they are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_key: Option<DiskKey>,
    /// Hash of the key with which the installed node proves itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_key: Option<Digest>,
    /// `/proc/sys/kernel/random/boot_id` of the boot it last reported; empty if none.
    #[serde(default)]
    pub boot_id: String,
    /// The order in which its firmware tried its entries when it last booted its own disk; empty if that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boot_order: Vec<BootEntry>,
    /// How its loader gets to its disk, if it was ever sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_boot: Option<LocalBootHistory>,
    #[serde(default)]
    pub generations: Vec<Generation>,
    #[serde(skip)]
    pub tally: CallerTally,
}

impl Machine {
    /// The name, or the MAC of a machine that has none: what a person reads.
    pub fn title(&self) -> String {
        title(self.name.as_ref(), self.id)
    }

    /// What it waits for an operator to say, if it waits.
    pub fn waiting(&self) -> Option<&AttemptWait> {
        let attempt = self.attempt.as_ref().filter(|a| a.only_waited())?;
        open_question(self.state, attempt.waits.as_ref()?, &self.confirmed)
    }

    /// The install attempt that an agent is in the middle of, as far as is known.
    pub fn running(&self) -> Option<&Attempt> {
        let attempt = self.attempt.as_ref().filter(|a| !a.progress.ended());
        attempt.filter(|_| self.state == State::Installing)
    }

    /// Whether an order to install is in force at `now`.
    pub fn is_armed(&self, now: Timestamp) -> bool {
        self.armed.as_ref().is_some_and(|armed| now < armed.until)
    }
}

/// What a person calls a machine.
pub(crate) fn title(name: Option<&HostName>, id: Mac) -> String {
    name.map_or_else(|| id.to_string(), ToString::to_string)
}

/// What an attempt that only waited asks, as long as an answer is of use and none was given.
pub(crate) fn open_question<'a>(
    state: State,
    waits: &'a AttemptWait,
    confirmed: &[DiskContents],
) -> Option<&'a AttemptWait> {
    let AttemptWait::Wipe { disks } = waits;
    let is_open = matches!(state, State::Enrolled | State::Installing);
    (is_open && confirmed != disks).then_some(waits)
}
