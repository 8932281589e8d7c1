//! The marks of a boot → the point at which it stands.

use super::boots::Boot;
use super::diagnosis::DiagnosisContext;
use super::{BootEvent, FileRole, IpxeScript, NoAnswerReason, TraceEntry};
use crate::dhcp::request::BootClient;
use crate::install::report::InstallStep;
use crate::machine::State;

/// The places where boots get stuck, in the order of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StuckPoint {
    /// The machine gave no sign.
    Unseen,
    /// It was not answered, and should have been.
    Unanswered(NoAnswerReason, String),
    /// It got no offer that it took.
    OfferIgnored,
    /// It was told the file on 4011 and never asked for it.
    FileNotFetched,
    /// It asked TFTP for a file that it does not get.
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
    Step(InstallStep),
    /// A step failed; the agent says why.
    Failed(InstallStep, Vec<String>),
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
pub(super) enum BootStanding {
    /// Where it should be, for this reason.
    Well(String),
    At(StuckPoint),
}

/// Where a boot is: what its last mark means beside those before it, and beside what is on record of the machine.
///
/// A machine that is `failed` is given up, whatever it did since, unless it was ordered anew or runs; only then does the
/// mark itself count. Each mark has one arm, so the order of the arms means nothing.
pub(super) fn position(boot: &Boot, setting: &DiagnosisContext) -> BootStanding {
    use BootStanding::{At, Well};

    let Some(TraceEntry { mark, .. }) = boot.own().next_back() else {
        return At(StuckPoint::Unseen);
    };
    let ends_failure = matches!(
        mark,
        BootEvent::Ordered | BootEvent::Booted { .. } | BootEvent::Joined
    );
    if setting.state == State::Failed && !ends_failure {
        return At(StuckPoint::GivenUp(setting.failure.clone()));
    }
    match mark {
        BootEvent::Ordered => At(StuckPoint::Unseen),
        // The answer may be lost; the offer that was never taken looks the same from here.
        BootEvent::Discover { .. }
        | BootEvent::TookAddress { .. }
        | BootEvent::Answered { .. }
        | BootEvent::Unproven { .. }
        | BootEvent::Unknown => At(answered(boot)),
        BootEvent::Asked4011 | BootEvent::Answered4011 { .. } => At(StuckPoint::FileNotFetched),
        BootEvent::Silence { why, reason } => At(unanswered(*why, reason, setting)),
        BootEvent::NoFile { .. } if has_sent(boot, FileRole::Loader) => {
            At(StuckPoint::LoaderSilent)
        }
        BootEvent::NoFile { file, reason } => At(StuckPoint::NoFile(file.clone(), reason.clone())),
        BootEvent::Begun { part, .. } | BootEvent::Broken { part, .. } => At(broken(*part, boot)),
        BootEvent::Sent { part, .. } => At(sent(*part, boot)),
        BootEvent::Script { given } => At(scripted(given, setting)),
        BootEvent::Claimed => At(StuckPoint::Step(InstallStep::Claim)),
        BootEvent::Discovered if setting.state == State::Seen => {
            Well("its hardware is known, and nobody enrolled it".to_owned())
        }
        BootEvent::Discovered => At(StuckPoint::Unseen),
        BootEvent::Waits => At(StuckPoint::Waits),
        BootEvent::Confirmed => At(StuckPoint::Step(InstallStep::Plan)),
        BootEvent::Step { step } | BootEvent::Retried { step, .. } => At(StuckPoint::Step(*step)),
        BootEvent::Failed { step, causes } => At(StuckPoint::Failed(*step, causes.clone())),
        BootEvent::Installed => At(StuckPoint::NotRebooted),
        BootEvent::GaveUp { reason } => At(StuckPoint::GivenUp(vec![reason.clone()])),
        BootEvent::Booted { generation } => booted(*generation, setting),
        BootEvent::Joined => Well("it joined the cluster".to_owned()),
    }
}

fn has_sent(boot: &Boot, part: FileRole) -> bool {
    boot.has(|mark| matches!(mark, BootEvent::Sent { part: sent, .. } if *sent == part))
}

/// It asked for something to boot and was answered: who asked says what did not follow.
fn answered(boot: &Boot) -> StuckPoint {
    if boot.has(|mark| *mark == BootEvent::Installed) {
        return StuckPoint::DiskSilent;
    }
    let asks = boot.notes.iter().rev().find_map(|note| match note.mark {
        BootEvent::Discover { client, .. } => Some(client),
        _ => None,
    });
    match asks {
        Some(BootClient::Ipxe) => StuckPoint::ScriptNotFetched,
        _ => StuckPoint::OfferIgnored,
    }
}

fn unanswered(why: NoAnswerReason, reason: &str, setting: &DiagnosisContext) -> StuckPoint {
    match why {
        NoAnswerReason::Disk => StuckPoint::DiskSilent,
        // It was enrolled since.
        NoAnswerReason::Stranger if setting.state != State::Seen => StuckPoint::Unseen,
        NoAnswerReason::Stranger
        | NoAnswerReason::Expired
        | NoAnswerReason::AttemptsUsed
        | NoAnswerReason::NoLoader
        | NoAnswerReason::Trouble
        | NoAnswerReason::Unknown => StuckPoint::Unanswered(why, reason.to_owned()),
    }
}

/// A file began to go out, and did not come to its end.
fn broken(part: FileRole, boot: &Boot) -> StuckPoint {
    match part {
        FileRole::Loader | FileRole::Unknown if has_sent(boot, FileRole::Loader) => {
            StuckPoint::LoaderSilent
        }
        FileRole::Loader | FileRole::Unknown => StuckPoint::LoaderBroken,
        FileRole::Kernel | FileRole::Initrd => StuckPoint::ImageBroken,
    }
}

/// A whole file went out.
fn sent(part: FileRole, boot: &Boot) -> StuckPoint {
    let images = [FileRole::Kernel, FileRole::Initrd];
    match part {
        FileRole::Loader | FileRole::Unknown => StuckPoint::LoaderSilent,
        FileRole::Kernel | FileRole::Initrd if images.into_iter().all(|p| has_sent(boot, p)) => {
            StuckPoint::NoClaim
        }
        FileRole::Kernel | FileRole::Initrd => StuckPoint::InitrdNotFetched,
    }
}

fn scripted(given: &IpxeScript, setting: &DiagnosisContext) -> StuckPoint {
    match given {
        IpxeScript::Disk { .. } => match &setting.local_boot {
            Some(known) if known.is_exhausted() => StuckPoint::NoWayToDisk(known.description()),
            _ => StuckPoint::DiskSilent,
        },
        IpxeScript::Wait => {
            StuckPoint::Unanswered(NoAnswerReason::Stranger, "not enrolled".to_owned())
        }
        IpxeScript::Installer | IpxeScript::Discover | IpxeScript::Unknown => {
            StuckPoint::KernelNotFetched
        }
    }
}

fn booted(generation: u32, setting: &DiagnosisContext) -> BootStanding {
    if setting.state == State::Enrolled {
        return BootStanding::At(StuckPoint::OldSystem);
    }
    if setting.joins && setting.state != State::Joined {
        return BootStanding::At(StuckPoint::NotJoined);
    }
    BootStanding::Well(format!("it runs generation {generation}"))
}
