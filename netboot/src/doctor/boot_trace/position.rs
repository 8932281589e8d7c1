//! The marks of a boot → the point at which it stands.

use super::boots::Boot;
use super::diagnosis::Setting;
use super::{Mark, Note, Part, Script, Why};
use crate::dhcp::request::Client;
use crate::install::report::Step;
use crate::machine::State;

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

/// Where a boot is.
pub(super) enum Stands {
    /// Where it should be, for this reason.
    Well(String),
    At(Point),
}

/// Where a boot is: what its last mark means beside those before it, and beside what is on record of the machine.
///
/// A machine that is `failed` is given up, whatever it did since, unless it was ordered anew or runs; only then does the
/// mark itself count. Each mark has one arm, so the order of the arms means nothing.
pub(super) fn position(boot: &Boot, setting: &Setting) -> Stands {
    use Stands::{At, Well};

    let Some(Note { mark, .. }) = boot.own().next_back() else {
        return At(Point::Unseen);
    };
    let ends_failure = matches!(mark, Mark::Ordered | Mark::Booted { .. } | Mark::Joined);
    if setting.state == State::Failed && !ends_failure {
        return At(Point::GivenUp(setting.failure.clone()));
    }
    match mark {
        Mark::Ordered => At(Point::Unseen),
        // The answer may be lost; the offer that was never taken looks the same from here.
        Mark::Discover { .. }
        | Mark::TookAddress { .. }
        | Mark::Answered { .. }
        | Mark::Unproven { .. }
        | Mark::Unknown => At(answered(boot)),
        Mark::Asked4011 | Mark::Answered4011 { .. } => At(Point::FileNotFetched),
        Mark::Silence { why, reason } => At(unanswered(*why, reason, setting)),
        Mark::NoFile { .. } if has_sent(boot, Part::Loader) => At(Point::LoaderSilent),
        Mark::NoFile { file, reason } => At(Point::NoFile(file.clone(), reason.clone())),
        Mark::Begun { part, .. } | Mark::Broken { part, .. } => At(broken(*part, boot)),
        Mark::Sent { part, .. } => At(sent(*part, boot)),
        Mark::Script { given } => At(scripted(given, setting)),
        Mark::Claimed => At(Point::Step(Step::Claim)),
        Mark::Discovered if setting.state == State::Seen => {
            Well("its hardware is known, and nobody enrolled it".to_owned())
        }
        Mark::Discovered => At(Point::Unseen),
        Mark::Waits => At(Point::Waits),
        Mark::Confirmed => At(Point::Step(Step::Plan)),
        Mark::Step { step } | Mark::Retried { step, .. } => At(Point::Step(*step)),
        Mark::Failed { step, causes } => At(Point::Failed(*step, causes.clone())),
        Mark::Installed => At(Point::NotRebooted),
        Mark::GaveUp { reason } => At(Point::GivenUp(vec![reason.clone()])),
        Mark::Booted { generation } => booted(*generation, setting),
        Mark::Joined => Well("it joined the cluster".to_owned()),
    }
}

fn has_sent(boot: &Boot, part: Part) -> bool {
    boot.has(|mark| matches!(mark, Mark::Sent { part: sent, .. } if *sent == part))
}

/// It asked for something to boot and was answered: who asked says what did not follow.
fn answered(boot: &Boot) -> Point {
    if boot.has(|mark| *mark == Mark::Installed) {
        return Point::DiskSilent;
    }
    let asks = boot.notes.iter().rev().find_map(|note| match note.mark {
        Mark::Discover { client, .. } => Some(client),
        _ => None,
    });
    match asks {
        Some(Client::Ipxe) => Point::ScriptNotFetched,
        _ => Point::OfferIgnored,
    }
}

fn unanswered(why: Why, reason: &str, setting: &Setting) -> Point {
    match why {
        Why::Disk => Point::DiskSilent,
        // It was enrolled since.
        Why::Stranger if setting.state != State::Seen => Point::Unseen,
        Why::Stranger
        | Why::Expired
        | Why::AttemptsUsed
        | Why::NoLoader
        | Why::Trouble
        | Why::Unknown => Point::Unanswered(why, reason.to_owned()),
    }
}

/// A file began to go out, and did not come to its end.
fn broken(part: Part, boot: &Boot) -> Point {
    match part {
        Part::Loader | Part::Unknown if has_sent(boot, Part::Loader) => Point::LoaderSilent,
        Part::Loader | Part::Unknown => Point::LoaderBroken,
        Part::Kernel | Part::Initrd => Point::ImageBroken,
    }
}

/// A whole file went out.
fn sent(part: Part, boot: &Boot) -> Point {
    let images = [Part::Kernel, Part::Initrd];
    match part {
        Part::Loader | Part::Unknown => Point::LoaderSilent,
        Part::Kernel | Part::Initrd if images.into_iter().all(|p| has_sent(boot, p)) => {
            Point::NoClaim
        }
        Part::Kernel | Part::Initrd => Point::InitrdNotFetched,
    }
}

fn scripted(given: &Script, setting: &Setting) -> Point {
    match given {
        Script::Disk { .. } => match &setting.local_boot {
            Some(known) if known.is_exhausted() => Point::NoWayToDisk(known.description()),
            _ => Point::DiskSilent,
        },
        Script::Wait => Point::Unanswered(Why::Stranger, "not enrolled".to_owned()),
        Script::Installer | Script::Discover | Script::Unknown => Point::KernelNotFetched,
    }
}

fn booted(generation: u32, setting: &Setting) -> Stands {
    if setting.state == State::Enrolled {
        return Stands::At(Point::OldSystem);
    }
    if setting.joins && setting.state != State::Joined {
        return Stands::At(Point::NotJoined);
    }
    Stands::Well(format!("it runs generation {generation}"))
}
