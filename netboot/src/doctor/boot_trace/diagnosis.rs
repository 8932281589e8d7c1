//! A boot and the time → whether something did not follow, and what usually keeps it from following.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::boots::Boot;
use super::causes::{causes, reordered};
use super::{Mark, Note, Part, Script, Why};
use crate::base::arch::Arch;
use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::Client;
use crate::install::report::Step;
use crate::loader::local_boot::{LocalBoot, Way};
use crate::loader::uefi::boot_order::{self, Entry};
use crate::machine::State;

/// What a diagnosis has to know besides the boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub now: Timestamp,
    /// What commands call the machine: its name, or its MAC.
    pub title: String,
    pub mac: Mac,
    pub state: State,
    /// Why it is `failed`, outermost cause first.
    pub failure: Vec<String>,
    /// Whether it is to join a cluster.
    pub joins: bool,
    /// In which its firmware tries its entries; empty if that is not known.
    pub boot_order: Vec<Entry>,
    /// How its loader gets to its disk, as far as that is known.
    pub local_boot: Option<LocalBoot>,
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

/// One way how it comes to this, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub what: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<String>,
}

/// The places where boots get stuck, in the order of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Point {
    /// Nothing was heard of it.
    Unseen,
    /// It was not answered, and should not be content with that.
    Unanswered(Why, String),
    /// It got no offer that it took.
    OfferIgnored,
    /// It was told the file on 4011 and never asked for it.
    FileNotFetched,
    /// It asked TFTP for something that it does not get.
    NoFile(String, String),
    /// The loader began and did not end.
    LoaderBroken,
    /// The loader went out and never spoke.
    LoaderSilent,
    /// iPXE has its offer and never fetched the script.
    ScriptNotFetched,
    /// The script went out and the kernel was not asked for.
    KernelNotFetched,
    /// Kernel or initrd began and did not end.
    ImageBroken,
    /// The kernel went out and the initrd was not asked for.
    InitrdNotFetched,
    /// Kernel and initrd went out and no agent spoke.
    NoClaim,
    /// It waits for an operator.
    Waits,
    /// A step goes on and on.
    Step(Step),
    /// A step failed; the agent says why.
    Failed(Step, Vec<String>),
    /// Its attempts are used up.
    GivenUp(Vec<String>),
    /// It was installed and is not heard of any more.
    NotRebooted,
    /// It was left to its own disk and does not report from there.
    DiskSilent,
    /// Each way to its own disk led back to the network.
    NoWayToDisk(String),
    /// It is to be installed, and boots its old system instead.
    OldSystem,
    /// It runs, and k3s does not call it Ready.
    NotJoined,
}

/// What the table of causes may look at.
pub(super) struct Case<'a> {
    pub(super) setting: &'a Setting,
    pub(super) client: Option<Client>,
    pub(super) arch: Option<Arch>,
    /// Whether a DHCP server gave it an address in this boot.
    pub(super) took_address: bool,
    /// Whether GRUB went out in this boot: it takes its files from whom it likes.
    pub(super) has_grub: bool,
    /// The way to its disk that its loader was sent in this boot.
    pub(super) way: Option<Way>,
}

/// Looks at the last boot of a machine; nothing means that it was never heard of.
pub fn diagnose(boot: Option<&Boot>, setting: &Setting) -> Finding {
    let last = boot.and_then(Boot::last);
    let quiet = last.map(|at| setting.now.since(at));
    let point = match boot.map(|boot| stands(boot, setting)) {
        Some(Stands::Well(why)) => return ordered(why, last, setting),
        Some(Stands::At(point)) => point,
        None => match setting.state {
            // An order in force makes a difference, as does a record of better days.
            State::Seen | State::Enrolled | State::Installing => Point::Unseen,
            _ => return well(format!("it is {}", setting.state)),
        },
    };
    let patience = patience(&point);
    let words = words(&point);
    if let (Some(quiet), Some(patience)) = (quiet, patience)
        && quiet < patience
    {
        return Finding::UnderWay {
            awaited: words.awaited.to_owned(),
            quiet: quiet.as_secs(),
            patience: patience.as_secs(),
        };
    }
    let case = Case {
        setting,
        client: boot.and_then(Boot::firmware).map(|(client, _)| client),
        arch: boot.and_then(Boot::firmware).map(|(_, arch)| arch),
        took_address: boot.is_some_and(|b| b.has(|m| matches!(m, Mark::TookAddress { .. }))),
        has_grub: boot.is_some_and(|b| {
            b.has(|m| matches!(m, Mark::Sent { file, .. } if file.starts_with("grub")))
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
fn ordered(why: String, since: Option<Timestamp>, setting: &Setting) -> Finding {
    match boot_order::trouble(&setting.boot_order) {
        None => Finding::Well { why },
        Some(trouble) => Finding::Amiss(Diagnosis {
            after: why,
            missing: trouble,
            since,
            causes: reordered(&setting.boot_order),
        }),
    }
}

fn way(mark: &Mark) -> Option<Way> {
    match mark {
        Mark::Script {
            given: Script::Disk { way, .. },
        } => *way,
        _ => None,
    }
}

fn well(why: impl Into<String>) -> Finding {
    Finding::Well { why: why.into() }
}

enum Stands {
    Well(String),
    At(Point),
}

/// Where a boot is: what its last mark means beside those before it.
fn stands(boot: &Boot, setting: &Setting) -> Stands {
    use Stands::At;

    let Some(Note { mark, .. }) = boot.own().next_back() else {
        return At(Point::Unseen);
    };
    let sent = |part: Part| {
        boot.has(|mark| matches!(mark, Mark::Sent { part: sent, .. } if *sent == part))
    };
    let loader_ran = sent(Part::Loader);
    let installed = boot.has(|mark| *mark == Mark::Installed);
    match mark {
        Mark::Ordered => At(Point::Unseen),
        _ if setting.state == State::Failed
            && !matches!(mark, Mark::Booted { .. } | Mark::Joined) =>
        {
            At(Point::GivenUp(setting.failure.clone()))
        }
        Mark::Script {
            given: Script::Disk { .. },
        } => match &setting.local_boot {
            Some(known) if known.is_exhausted() => At(Point::NoWayToDisk(known.words())),
            _ => At(Point::DiskSilent),
        },
        Mark::Silence { why: Why::Disk, .. } => At(Point::DiskSilent),
        // Said before it was enrolled.
        Mark::Silence {
            why: Why::Stranger, ..
        } if setting.state != State::Seen => At(Point::Unseen),
        Mark::Silence { why, reason } => At(Point::Unanswered(*why, reason.clone())),
        // The answer may be lost; the offer that was never taken looks the same from here.
        Mark::Discover { .. }
        | Mark::TookAddress { .. }
        | Mark::Answered { .. }
        | Mark::Unproven { .. }
        | Mark::Unknown => {
            let asks = boot.notes.iter().rev().find_map(|note| match note.mark {
                Mark::Discover { client, .. } => Some(client),
                _ => None,
            });
            match asks {
                _ if installed => At(Point::DiskSilent),
                Some(Client::Ipxe) => At(Point::ScriptNotFetched),
                _ => At(Point::OfferIgnored),
            }
        }
        Mark::Asked4011 | Mark::Answered4011 { .. } => At(Point::FileNotFetched),
        Mark::NoFile { .. } if loader_ran => At(Point::LoaderSilent),
        Mark::NoFile { file, reason } => At(Point::NoFile(file.clone(), reason.clone())),
        Mark::Begun { part, .. } | Mark::Broken { part, .. } => match part {
            Part::Loader | Part::Unknown if loader_ran => At(Point::LoaderSilent),
            Part::Loader | Part::Unknown => At(Point::LoaderBroken),
            Part::Kernel | Part::Initrd => At(Point::ImageBroken),
        },
        Mark::Sent { part, .. } => match part {
            Part::Loader | Part::Unknown => At(Point::LoaderSilent),
            Part::Kernel | Part::Initrd if sent(Part::Kernel) && sent(Part::Initrd) => {
                At(Point::NoClaim)
            }
            Part::Kernel | Part::Initrd => At(Point::InitrdNotFetched),
        },
        Mark::Script {
            given: Script::Wait,
        } => At(Point::Unanswered(Why::Stranger, "not enrolled".to_owned())),
        Mark::Script { .. } => At(Point::KernelNotFetched),
        Mark::Claimed => At(Point::Step(Step::Claim)),
        Mark::Waits => At(Point::Waits),
        Mark::Confirmed => At(Point::Step(Step::Plan)),
        Mark::Discovered if setting.state == State::Seen => {
            Stands::Well("its hardware is known, and nobody enrolled it".to_owned())
        }
        Mark::Discovered => At(Point::Unseen),
        Mark::Step { step } | Mark::Retried { step, .. } => At(Point::Step(*step)),
        Mark::Failed { step, causes } => At(Point::Failed(*step, causes.clone())),
        Mark::GaveUp { reason } => At(Point::GivenUp(vec![reason.clone()])),
        Mark::Installed => At(Point::NotRebooted),
        Mark::Booted { .. } if setting.state == State::Enrolled => At(Point::OldSystem),
        Mark::Booted { .. } if setting.joins && setting.state != State::Joined => {
            At(Point::NotJoined)
        }
        Mark::Booted { generation } => Stands::Well(format!("it runs generation {generation}")),
        Mark::Joined => Stands::Well("it joined the cluster".to_owned()),
    }
}

/// How long what follows may take before it is missed; nothing where waiting does not help.
fn patience(point: &Point) -> Option<Duration> {
    let seconds = match point {
        Point::Unseen | Point::Failed(..) | Point::GivenUp(_) | Point::NoFile(..) => return None,
        Point::Unanswered(..) | Point::OldSystem | Point::Waits => return None,
        Point::NoWayToDisk(_) => return None,
        // EDK2 tries for a minute, and only then do people look.
        Point::OfferIgnored | Point::FileNotFetched => 20,
        // ROMs ask again after 4 s, and some start anew after a minute.
        Point::LoaderBroken => 60,
        // iPXE opens each card in turn, and a switch with spanning tree holds each for 30 s.
        Point::LoaderSilent | Point::ScriptNotFetched => 60,
        Point::KernelNotFetched | Point::InitrdNotFetched => 30,
        // A gigabyte at 10 Mbit/s.
        Point::ImageBroken => 15 * 60,
        Point::NoClaim => 4 * 60,
        Point::Step(Step::Copy) => 60 * 60,
        Point::Step(_) => 10 * 60,
        Point::NotRebooted | Point::DiskSilent => 10 * 60,
        Point::NotJoined => 10 * 60,
    };
    Some(Duration::from_secs(seconds))
}

struct Words {
    after: String,
    missing: String,
    awaited: &'static str,
}

fn words(point: &Point) -> Words {
    let said = |after: &str, missing: &str, awaited| Words {
        after: after.to_owned(),
        missing: missing.to_owned(),
        awaited,
    };
    match point {
        Point::Unseen => said(
            "nothing was heard of it",
            "it never asked this appliance for anything to boot",
            "its first packet",
        ),
        Point::Unanswered(_, reason) => said(
            "it asked for something to boot",
            &format!("it was not answered: {reason}"),
            "",
        ),
        Point::OfferIgnored => said(
            "it asked, and was answered",
            "it never came for what it was offered",
            "its request for the boot file",
        ),
        Point::FileNotFetched => said(
            "it was told its boot file on port 4011",
            "it never fetched the file",
            "its request for the loader",
        ),
        Point::NoFile(file, reason) => said(
            &format!("it asked TFTP for `{}`", file.escape_debug()),
            &format!("it does not get that: {reason}"),
            "",
        ),
        Point::LoaderBroken => said(
            "the boot loader began to go out",
            "it never came to its end",
            "the rest of the boot loader",
        ),
        Point::LoaderSilent => said(
            "the whole boot loader went out",
            "the loader never asked for anything",
            "the loader's first request",
        ),
        Point::ScriptNotFetched => said(
            "iPXE asked, and was answered",
            "it never fetched its boot script over HTTP",
            "iPXE's request for its script",
        ),
        Point::KernelNotFetched => said(
            "it got its boot script",
            "it never asked for the kernel",
            "its request for the kernel",
        ),
        Point::ImageBroken => said(
            "kernel and initrd began to go out",
            "they never came to their end",
            "the rest of kernel and initrd",
        ),
        Point::InitrdNotFetched => said(
            "the kernel went out",
            "it never asked for the initrd",
            "its request for the initrd",
        ),
        Point::NoClaim => said(
            "kernel and initrd went out",
            "the installer never called the appliance",
            "the installer's first call",
        ),
        Point::Waits => said(
            "the installer found what this appliance did not put there",
            "it waits for an operator's word before it wipes that",
            "",
        ),
        Point::Step(step) => said(
            &format!("the installer was {}", step.sentence()),
            "it was not heard of again",
            "the next step of the installation",
        ),
        Point::Failed(step, _) => said(
            &format!("the installer was {}", step.sentence()),
            "that failed",
            "",
        ),
        Point::GivenUp(_) => said(
            "its install attempts are used up",
            "it is left to its own disk until somebody orders it anew",
            "",
        ),
        Point::NotRebooted => said(
            "it was installed",
            "the installed system never reported",
            "the first report of the installed system",
        ),
        Point::DiskSilent => said(
            "it was left to its own disk",
            "the system there never reported",
            "a report of the system on its disk",
        ),
        Point::NoWayToDisk(ways) => said("it was left to its own disk", ways, ""),
        Point::OldSystem => said(
            "it is to be installed",
            "it booted its old system instead",
            "",
        ),
        Point::NotJoined => said(
            "the installed system runs",
            "k3s does not call the node Ready",
            "k3s's word that the node is Ready",
        ),
    }
}
