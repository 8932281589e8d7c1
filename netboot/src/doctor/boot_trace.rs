//! What a machine was seen doing between power-on and joining: marks, and the boots that they make up.
//!
//! A mark is made where something happens (a packet, a file, a script) or read out of the journal. Marks of the time
//! before an agent speaks are not worth an fsync, and are kept in a [`BootTrace`]; the rest is in the journal already.

mod boots;
mod causes;
mod delivery;
mod diagnosis;
mod phrases;
mod position;
pub mod requester;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::base::arch::Arch;
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::BootClient;
use crate::install::report::{InstallStep, StepOutcome};
use crate::loader::local_boot::LocalBootMethod;
use crate::machine::event::{Event, EventKind};

pub use boots::{Boot, boots};
pub use causes::Cause;
pub use delivery::{Delivery, Transfer};
pub use diagnosis::{Diagnosis, DiagnosisContext, Finding, diagnose};

/// Something that happened in a boot. Names are for good: logs of an older version must stay readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "kebab-case")]
pub enum BootEvent {
    /// An operator wants it installed; whatever it does next is a new boot.
    Ordered,
    /// It asked for something to boot, on UDP 67.
    Discover { client: BootClient, arch: Arch },
    /// It took an address, from the server named (options 54 and 50).
    TookAddress {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<Ipv4Addr>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<Ipv4Addr>,
    },
    /// It was answered on UDP 67, in the words of the log: `offered snponly.efi`.
    Answered { given: String },
    /// It asked for the boot file once more, on UDP 4011.
    Asked4011,
    /// It was answered on UDP 4011.
    Answered4011 { given: String },
    /// It was not answered.
    Silence { why: NoAnswerReason, reason: String },
    /// It asked TFTP for a file and did not get it.
    NoFile { file: String, reason: String },
    /// A file began to go out.
    Begun {
        part: FileRole,
        file: String,
        via: TransferProtocol,
    },
    /// All of it went out.
    Sent {
        part: FileRole,
        file: String,
        via: TransferProtocol,
        bytes: u64,
        millis: u64,
        /// Blocks that had to go out more than once.
        #[serde(default)]
        resent: u64,
    },
    /// It broke off.
    Broken {
        part: FileRole,
        file: String,
        via: TransferProtocol,
        bytes: u64,
        millis: u64,
        #[serde(default)]
        resent: u64,
        /// In the words of the log: `the machine went silent`.
        #[serde(default)]
        why: String,
    },
    /// iPXE fetched a script.
    Script { given: IpxeScript },
    /// Somebody asked for a file in its name, from an address that is not known to be its own.
    Unproven { from: Ipv4Addr, file: String },
    /// An agent holds the ticket.
    Claimed,
    /// A stranger told its hardware.
    Discovered,
    /// The agent waits: it writes to no disk before an operator confirms.
    Waits,
    /// An operator has confirmed; the machine will ask again.
    Confirmed,
    /// A step of the installation begins.
    Step { step: InstallStep },
    /// A step begins again after something passing.
    Retried { step: InstallStep, cause: String },
    /// The attempt is over.
    Failed {
        step: InstallStep,
        causes: Vec<String>,
    },
    /// The agent says that the disk is done.
    Installed,
    /// No further attempt is made.
    GaveUp { reason: String },
    /// The installed system says that it runs.
    Booted { generation: u32 },
    /// k3s says that the node is Ready.
    Joined,
    #[serde(other)]
    Unknown,
}

/// Why a machine was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoAnswerReason {
    /// No operator enrolled it.
    Stranger,
    /// It is to boot its own disk.
    Disk,
    /// Its order to install is not in force any more.
    Expired,
    /// Its attempts are used up.
    AttemptsUsed,
    /// There is no loader for it, or the loader is not there.
    NoLoader,
    /// Something is wrong on the side of the appliance.
    Trouble,
    #[serde(other)]
    Unknown,
}

/// What a file is in a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    Loader,
    Kernel,
    Initrd,
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferProtocol {
    Tftp,
    Http,
    #[serde(other)]
    Unknown,
}

/// Which script iPXE got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "script", rename_all = "kebab-case")]
pub enum IpxeScript {
    /// The installer, with its ticket.
    Installer,
    /// The installer, to tell what is in the machine.
    Discover,
    /// The screen for strangers.
    Wait,
    /// Leave to the own disk, by this way.
    Disk {
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<LocalBootMethod>,
    },
    #[serde(other)]
    Unknown,
}

/// How far a boot got. The order is that of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Ordered,
    Asking,
    Loader,
    Script,
    Image,
    Agent,
    Installed,
    Up,
}

impl BootEvent {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Ordered => Phase::Ordered,
            Self::Discover { .. }
            | Self::TookAddress { .. }
            | Self::Answered { .. }
            | Self::Asked4011
            | Self::Answered4011 { .. }
            | Self::Silence { .. }
            | Self::Unproven { .. }
            | Self::Unknown => Phase::Asking,
            Self::NoFile { .. } => Phase::Loader,
            Self::Begun { part, .. } | Self::Sent { part, .. } | Self::Broken { part, .. } => {
                match part {
                    FileRole::Loader | FileRole::Unknown => Phase::Loader,
                    FileRole::Kernel | FileRole::Initrd => Phase::Image,
                }
            }
            Self::Script { .. } => Phase::Script,
            Self::Claimed
            | Self::Discovered
            | Self::Waits
            | Self::Confirmed
            | Self::Step { .. }
            | Self::Retried { .. }
            | Self::Failed { .. }
            | Self::GaveUp { .. } => Phase::Agent,
            Self::Installed => Phase::Installed,
            Self::Booted { .. } | Self::Joined => Phase::Up,
        }
    }

    /// The same for a requester at `from` that is not known to be the machine. `None` for the end of a delivery, since
    /// its beginning is noted already.
    #[must_use]
    pub fn unproven(self, from: Ipv4Addr) -> Option<Self> {
        let file = match self {
            Self::Begun { file, .. } | Self::NoFile { file, .. } => file,
            Self::Script { .. } => "boot script".to_owned(),
            _ => return None,
        };
        Some(Self::Unproven { from, file })
    }

    /// Whether it may be somebody else's.
    pub fn is_unproven(&self) -> bool {
        matches!(self, Self::Unproven { .. })
    }

    /// What the journal says of a boot.
    pub fn of(event: &Event) -> Option<Self> {
        Some(match &event.what {
            EventKind::Enrolled { .. } | EventKind::Reimaged { .. } => Self::Ordered,
            EventKind::Claimed { .. } => Self::Claimed,
            EventKind::Discovered { .. } => Self::Discovered,
            EventKind::Waits { .. } => Self::Waits,
            EventKind::Confirmed { .. } => Self::Confirmed,
            EventKind::Reported { report } => {
                let step = report.step;
                match &report.outcome {
                    StepOutcome::Started => Self::Step { step },
                    StepOutcome::Retry { cause, .. } => Self::Retried {
                        step,
                        cause: cause.clone(),
                    },
                    StepOutcome::Failed { causes } => Self::Failed {
                        step,
                        causes: causes.clone(),
                    },
                    // The beginning of the next step says it.
                    StepOutcome::Done
                    | StepOutcome::Progress { .. }
                    | StepOutcome::Warning { .. }
                    | StepOutcome::Unknown => return None,
                }
            }
            EventKind::Installed { .. } => Self::Installed,
            EventKind::GaveUp { reason } => Self::GaveUp {
                reason: reason.clone(),
            },
            EventKind::Booted { generation } => Self::Booted {
                generation: generation.number,
            },
            EventKind::Joined { .. } => Self::Joined,
            EventKind::Seen { .. }
            | EventKind::Forgotten { .. }
            | EventKind::Attempt { .. }
            | EventKind::Reached { .. }
            | EventKind::Served { .. }
            | EventKind::Discovering
            | EventKind::Inventoried { .. }
            | EventKind::Planned { .. }
            | EventKind::BootOrder { .. }
            | EventKind::LeftToDisk { .. }
            | EventKind::CameBack { .. }
            | EventKind::Sealed { .. }
            | EventKind::Received
            | EventKind::DiskKeyMade { .. }
            | EventKind::Unlocked { .. }
            | EventKind::KeyShown { .. }
            | EventKind::Refused { .. }
            | EventKind::ReleasePublished { .. }
            | EventKind::InstallerPublished { .. }
            | EventKind::Pruned { .. }
            | EventKind::Followed { .. }
            | EventKind::PoolExhausted { .. }
            | EventKind::PoolRecovered { .. }
            | EventKind::AddressInUse { .. }
            | EventKind::AddressDeclined { .. } => return None,
        })
    }
}

/// A mark, and when; what is said over and over is one note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    pub at: Timestamp,
    /// When it was said last.
    pub last: Timestamp,
    pub times: u32,
    #[serde(flatten)]
    pub mark: BootEvent,
}

impl TraceEntry {
    pub fn once(at: Timestamp, mark: BootEvent) -> Self {
        Self {
            at,
            last: at,
            times: 1,
            mark,
        }
    }
}

/// What one network card was seen doing, before and beside what the journal says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BootTrace {
    /// Oldest first.
    pub notes: Vec<TraceEntry>,
}

impl BootTrace {
    /// The most notes that are kept: a boot makes about twenty.
    pub const MOST: usize = 160;

    /// The most notes that may be somebody else's: they must not displace the machine's own.
    const UNPROVEN: usize = 8;

    /// The most bytes of text that are kept of a mark: names come from machines, and reasons may quote them.
    const TEXT: usize = 200;

    /// Takes a mark down; false if it only says once more what was said. Firmware that asks all night is one note
    /// and a number; but what the machine did before `since`, when it came into its state, was another boot.
    pub fn note(&mut self, at: Timestamp, since: Timestamp, mut mark: BootEvent) -> bool {
        mark.shorten(Self::TEXT);
        let (phase, unproven) = (mark.phase(), mark.is_unproven());
        let alike = |note: &&mut TraceEntry| note.mark.is_unproven() == unproven;
        let recent = self
            .notes
            .iter_mut()
            .rev()
            .filter(alike)
            .take_while(|note| {
                let is_recent = note.last >= since && at.since(note.last) <= boots::PAUSE;
                is_recent && note.mark.phase() == phase
            });
        for note in recent {
            if note.mark == mark {
                note.last = note.last.max(at);
                note.times = note.times.saturating_add(1);
                return false;
            }
        }
        let mut others = (0..self.notes.len()).filter(|at| self.notes[*at].mark.is_unproven());
        if unproven && others.clone().count() >= Self::UNPROVEN {
            others.next().map(|oldest| self.notes.remove(oldest));
        } else if self.notes.len() >= Self::MOST {
            self.notes.remove(0);
        }
        self.notes.push(TraceEntry::once(at, mark));
        true
    }

    /// When the last thing was noted.
    pub fn last(&self) -> Option<Timestamp> {
        self.notes.iter().map(|note| note.last).max()
    }
}

impl BootEvent {
    fn shorten(&mut self, most: usize) {
        let text = match self {
            Self::Answered { given: text }
            | Self::Answered4011 { given: text }
            | Self::Silence { reason: text, .. }
            | Self::Begun { file: text, .. }
            | Self::Sent { file: text, .. }
            | Self::Unproven { file: text, .. }
            | Self::Script {
                given: IpxeScript::Disk { reason: text, .. },
            } => vec![text],
            Self::NoFile { file, reason } => vec![file, reason],
            Self::Broken { file, why, .. } => vec![file, why],
            _ => Vec::new(),
        };
        for text in text {
            if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= most) {
                text.truncate(end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
