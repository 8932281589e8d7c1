//! What happened: the only thing that is ever written down as truth. Everything else is folded from it.

use crate::base::refusal::Refusal;
use crate::dhcp::lease::LeaseNotice;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::base::mac::Mac;
use crate::base::name::{HostName, ProfileName, SystemName};
use crate::base::release::PublishedInstaller;
use crate::base::release::Release;
use crate::base::timestamp::Timestamp;
use crate::base::token::{Digest, Ticket};
use crate::dhcp::offer_fallback::BootMethod;
use crate::dhcp::request::Facts;
use crate::disk::hardware::Hardware;
use crate::install::plan::Plan;
use crate::install::report::Report;
use crate::loader::local_boot::Departure;
use crate::loader::uefi::boot_order::BootEntry;
use crate::machine::wipe_confirmation::DiskContents;
use crate::machine::{AttemptWait, Claim, Generation};

/// One line of the journal. `seq` rises by one from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub seq: u64,
    pub at: Timestamp,
    /// The machine it is about; `None` for the appliance itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Mac>,
    pub what: EventKind,
}

/// An event before the journal has numbered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub machine: Option<Mac>,
    pub what: EventKind,
}

impl NewEvent {
    pub fn of(machine: Mac, what: EventKind) -> Self {
        Self {
            machine: Some(machine),
            what,
        }
    }
}

/// `by` of a machine that was enrolled because `boot.unknown` names a profile.
pub const BY_POLICY: &str = "boot.unknown";

/// The kinds of event. Names are for good: old journals must stay readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// Asked for something to boot, and told something new of itself.
    Seen {
        facts: Facts,
    },
    /// An operator wants it installed.
    Enrolled {
        macs: Vec<Mac>,
        name: HostName,
        profile: ProfileName,
        until: Timestamp,
        ticket: Ticket,
        by: String,
    },
    /// An operator wants it installed again.
    Reimaged {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<u32>,
        until: Timestamp,
        ticket: Ticket,
        by: String,
    },
    /// An operator wants it out of the records.
    Forgotten {
        by: String,
    },
    /// The attempt before ended without evidence; here is the next.
    Attempt {
        number: u32,
        ticket: Ticket,
    },
    /// It asked for its boot script: by this boot method its firmware came there.
    Reached {
        #[serde(rename = "manner")]
        boot_method: BootMethod,
    },
    /// A boot script carried the ticket for the first time.
    Served {
        ticket: Ticket,
    },
    /// An agent holds the ticket.
    Claimed {
        ticket: Ticket,
        claim: Claim,
    },
    /// A stranger was sent a boot script that has it tell its hardware.
    Discovering,
    /// A stranger told its hardware. Anybody on the LAN could have said this in its name.
    Discovered {
        hardware: Hardware,
    },
    /// The agent told its hardware.
    Inventoried {
        hardware: Hardware,
    },
    Planned {
        plan: Box<Plan>,
    },
    /// The agent waits: it writes to no disk before an operator confirms.
    Waits {
        #[serde(flatten)]
        waits: AttemptWait,
    },
    /// An operator lets these disks be wiped with what they hold.
    Confirmed {
        disks: Vec<DiskContents>,
        until: Timestamp,
        by: String,
    },
    /// The agent reported a step; progress of bytes is not written down.
    Reported {
        report: Report,
    },
    /// Secrets went out, sealed to the claim.
    Sealed {
        sealed: String,
        node_key: Digest,
    },
    /// The agent has them.
    Received,
    /// A key for encrypted disks was made and went out, sealed to the claim.
    DiskKeyMade {
        /// Sealed to the appliance alone.
        kept: String,
        credential: Digest,
        /// Sealed to the agent.
        sealed: String,
    },
    /// The machine boots, and was given its disk key.
    Unlocked {
        from: String,
    },
    /// An operator asked for the recovery key and was given it.
    KeyShown {
        by: String,
    },
    /// The agent says the disk is done.
    Installed {
        generation: Generation,
        ssh_host_key: String,
    },
    /// Attempts are used up, or the order expired in the middle.
    GaveUp {
        reason: String,
    },
    /// The installed system says that it runs.
    Booted {
        generation: Generation,
    },
    /// The firmware's boot order is another than the one known.
    BootOrder {
        order: Vec<BootEntry>,
    },
    /// Its installed system came up after its loader was sent this way.
    LeftToDisk {
        #[serde(flatten)]
        left: Departure,
    },
    /// Its loader was sent this way to the disk, and came back to the network instead.
    CameBack {
        #[serde(flatten)]
        left: Departure,
    },
    /// k3s says that the node is Ready.
    Joined {
        node: HostName,
    },
    /// A call was refused.
    Refused {
        code: String,
        reason: String,
        from: String,
        /// The call came in on the operators' port (`admin.listen`).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        admin: bool,
    },
    /// A client was refused an address because none is free. Written once, until it is over.
    PoolExhausted {
        first: Ipv4Addr,
        last: Ipv4Addr,
    },
    /// Addresses are free again, and no client was refused one for a while.
    PoolRecovered {
        first: Ipv4Addr,
        last: Ipv4Addr,
    },
    /// An address that was to be offered is used by a card that has no lease of it; it rests.
    AddressInUse {
        address: Ipv4Addr,
        by: Mac,
    },
    /// A client found its new address in use by another; it rests.
    AddressDeclined {
        address: Ipv4Addr,
    },
    /// A system went into the cache.
    #[serde(rename = "released")]
    ReleasePublished {
        release: Release,
    },
    /// Machines of its architecture boot this installer from now on.
    InstallerPublished {
        installer: PublishedInstaller,
    },
    /// A commit of the branch that is followed was published, or why it was not.
    Followed {
        revision: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        trouble: Vec<String>,
    },
    /// A release is no longer in the cache; its number stays taken.
    Pruned {
        system: SystemName,
        number: u32,
        by: String,
    },
}

/// An answer, and what must be written down before it is given. A refusal may be written down too.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<T> {
    pub answer: Result<T, Refusal>,
    pub events: Vec<NewEvent>,
}

impl<T> Decided<T> {
    pub fn yes(answer: T, events: Vec<NewEvent>) -> Self {
        Self {
            answer: Ok(answer),
            events,
        }
    }

    pub fn no(refusal: Refusal) -> Self {
        Self {
            answer: Err(refusal),
            events: Vec::new(),
        }
    }
}

/// A refusal without a record, or an answer with its drafts.
impl<T> From<Result<(T, Vec<NewEvent>), Refusal>> for Decided<T> {
    fn from(result: Result<(T, Vec<NewEvent>), Refusal>) -> Self {
        match result {
            Ok((answer, events)) => Self::yes(answer, events),
            Err(refusal) => Self::no(refusal),
        }
    }
}

/// What the lease rules noticed goes on record: a declined address with the machine that declined it, the rest with none.
impl From<LeaseNotice> for NewEvent {
    fn from(notice: LeaseNotice) -> Self {
        let (machine, what) = match notice {
            LeaseNotice::AddressInUse { address, by } => {
                (None, EventKind::AddressInUse { address, by })
            }
            LeaseNotice::AddressDeclined { address, by } => {
                (Some(by), EventKind::AddressDeclined { address })
            }
            LeaseNotice::PoolExhausted { first, last } => {
                (None, EventKind::PoolExhausted { first, last })
            }
            LeaseNotice::PoolRecovered { first, last } => {
                (None, EventKind::PoolRecovered { first, last })
            }
        };
        Self { machine, what }
    }
}
