//! A boot and the time → whether something did not follow, and what usually keeps it from following.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::boots::Boot;
use super::causes::{Cause, Evidence, causes, reordered};
use super::phrases::{patience, phrases};
use super::position::{BootStanding, StuckPoint, position};
use super::{BootEvent, IpxeScript};
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::loader::local_boot::{LocalBootHistory, LocalBootMethod};
use crate::loader::uefi::boot_order::{self, BootEntry};
use crate::machine::State;

/// What a diagnosis has to know besides the boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosisContext {
    pub now: Timestamp,
    /// What commands call the machine: its name, or its MAC.
    pub title: String,
    pub mac: Mac,
    pub state: State,
    /// Why it is `failed`, outermost cause first.
    pub failure: Vec<String>,
    /// Whether it is to join a cluster.
    pub joins: bool,
    /// The order in which its firmware tries its entries; empty if that is not known.
    pub boot_order: Vec<BootEntry>,
    /// How its loader gets to its disk, as far as that is known.
    pub local_boot: Option<LocalBootHistory>,
    /// Whether addresses come from another DHCP server.
    pub proxy: bool,
    pub address: Ipv4Addr,
    pub http_port: u16,
    pub node_port: u16,
}

/// How it stands with a machine's last boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// It is where it should be, for this reason.
    Well {
        why: String,
    },
    /// What comes next may still come.
    UnderWay {
        awaited: String,
        /// Seconds since the last sign of it.
        quiet: u64,
        /// Seconds that it may take.
        patience: u64,
    },
    Stuck(Diagnosis),
    /// It is where it should be, and the next boot will not do what it should.
    Amiss(Diagnosis),
}

/// Which step did not follow, and why that may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What happened last, such as `it was offered snponly.efi`.
    pub after: String,
    /// What did not follow, such as `it never asked for it`.
    pub missing: String,
    /// When the last thing happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The usual ones first.
    pub causes: Vec<Cause>,
}

/// Looks at the last boot of a machine; `None` if it was never heard of.
pub fn diagnose(boot: Option<&Boot>, setting: &DiagnosisContext) -> Finding {
    let last = boot.and_then(Boot::last);
    let quiet = last.map(|at| setting.now.since(at));
    let point = match boot.map(|boot| position(boot, setting)) {
        Some(BootStanding::Well(why)) => return ordered(why, last, setting),
        Some(BootStanding::At(point)) => point,
        None => match setting.state {
            // An order in force makes a difference, as does a record of better days.
            State::Seen | State::Enrolled | State::Installing => StuckPoint::Unseen,
            _ => return well(format!("it is {}", setting.state)),
        },
    };
    let patience = patience(&point);
    let words = phrases(&point);
    if let (Some(quiet), Some(patience)) = (quiet, patience)
        && quiet < patience
    {
        return Finding::UnderWay {
            awaited: words.awaited.to_owned(),
            quiet: quiet.as_secs(),
            patience: patience.as_secs(),
        };
    }
    let case = Evidence {
        setting,
        client: boot.and_then(Boot::firmware).map(|(client, _)| client),
        arch: boot.and_then(Boot::firmware).map(|(_, arch)| arch),
        took_address: boot.is_some_and(|b| b.has(|m| matches!(m, BootEvent::TookAddress { .. }))),
        has_grub: boot.is_some_and(|b| {
            b.has(|m| matches!(m, BootEvent::Sent { file, .. } if file.starts_with("grub")))
        }),
        way: boot.and_then(|b| b.own().rev().find_map(|note| way(&note.mark))),
    };
    Finding::Stuck(Diagnosis {
        after: words.after,
        missing: words.missing,
        since: last,
        causes: causes(&point, &case),
    })
}

/// All is well with the boot; and with the next one, unless its firmware will not ask the network.
fn ordered(why: String, since: Option<Timestamp>, setting: &DiagnosisContext) -> Finding {
    match boot_order::misorder(&setting.boot_order) {
        None => Finding::Well { why },
        Some(trouble) => Finding::Amiss(Diagnosis {
            after: why,
            missing: trouble,
            since,
            causes: reordered(&setting.boot_order),
        }),
    }
}

fn way(mark: &BootEvent) -> Option<LocalBootMethod> {
    match mark {
        BootEvent::Script {
            given: IpxeScript::Disk { way, .. },
        } => *way,
        _ => None,
    }
}

fn well(why: impl Into<String>) -> Finding {
    Finding::Well { why: why.into() }
}
