//! A point at which boots stand → how long the next thing may take, and what is said if it does not come.

use std::time::Duration;

use super::position::StuckPoint;
use crate::install::report::InstallStep;

/// How long the next step may take before it counts as missing; `None` where waiting does not help.
pub(super) fn patience(point: &StuckPoint) -> Option<Duration> {
    let seconds = match point {
        StuckPoint::Unseen
        | StuckPoint::Failed(..)
        | StuckPoint::GivenUp(_)
        | StuckPoint::NoFile(..) => return None,
        StuckPoint::Unanswered(..) | StuckPoint::OldSystem | StuckPoint::Waits => return None,
        StuckPoint::NoWayToDisk(_) => return None,
        // EDK2 tries for a minute; people look only after that.
        StuckPoint::OfferIgnored | StuckPoint::FileNotFetched => 20,
        // ROMs ask again after 4 s, and some start anew after a minute.
        StuckPoint::LoaderBroken => 60,
        // iPXE opens each card in turn, and a switch with spanning tree holds each for 30 s.
        StuckPoint::LoaderSilent | StuckPoint::ScriptNotFetched => 60,
        StuckPoint::KernelNotFetched | StuckPoint::InitrdNotFetched => 30,
        // A gigabyte at 10 Mbit/s.
        StuckPoint::ImageBroken => 15 * 60,
        StuckPoint::NoClaim => 4 * 60,
        StuckPoint::Step(InstallStep::Copy) => 60 * 60,
        StuckPoint::Step(_) => 10 * 60,
        StuckPoint::NotRebooted | StuckPoint::DiskSilent => 10 * 60,
        StuckPoint::NotJoined => 10 * 60,
    };
    Some(Duration::from_secs(seconds))
}

/// What a person is told of a point. `awaited` is empty where nothing is waited for.
pub(super) struct PointText {
    pub(super) after: String,
    pub(super) missing: String,
    pub(super) awaited: &'static str,
}

/// The table: what happened, what did not follow, what is awaited until then.
pub(super) fn phrases(point: &StuckPoint) -> PointText {
    let said = |after: &str, missing: &str, awaited| PointText {
        after: after.to_owned(),
        missing: missing.to_owned(),
        awaited,
    };
    match point {
        StuckPoint::Unseen => said(
            "there is no sign of it",
            "it never asked this appliance for anything to boot",
            "its first packet",
        ),
        StuckPoint::Unanswered(_, reason) => said(
            "it asked for something to boot",
            &format!("it was not answered: {reason}"),
            "",
        ),
        StuckPoint::OfferIgnored => said(
            "it asked, and was answered",
            "it never came for what it was offered",
            "its request for the boot file",
        ),
        StuckPoint::FileNotFetched => said(
            "it was told its boot file on port 4011",
            "it never fetched the file",
            "its request for the loader",
        ),
        StuckPoint::NoFile(file, reason) => said(
            &format!("it asked TFTP for `{}`", file.escape_debug()),
            &format!("it does not get that: {reason}"),
            "",
        ),
        StuckPoint::LoaderBroken => said(
            "the boot loader began to go out",
            "it never came to its end",
            "the rest of the boot loader",
        ),
        StuckPoint::LoaderSilent => said(
            "the whole boot loader went out",
            "the loader never asked for anything",
            "the loader's first request",
        ),
        StuckPoint::ScriptNotFetched => said(
            "iPXE asked, and was answered",
            "it never fetched its boot script over HTTP",
            "iPXE's request for its script",
        ),
        StuckPoint::KernelNotFetched => said(
            "it got its boot script",
            "it never asked for the kernel",
            "its request for the kernel",
        ),
        StuckPoint::ImageBroken => said(
            "kernel and initrd began to go out",
            "they never came to their end",
            "the rest of kernel and initrd",
        ),
        StuckPoint::InitrdNotFetched => said(
            "the kernel went out",
            "it never asked for the initrd",
            "its request for the initrd",
        ),
        StuckPoint::NoClaim => said(
            "kernel and initrd went out",
            "the installer never called the appliance",
            "the installer's first call",
        ),
        StuckPoint::Waits => said(
            "the installer found what this appliance did not put there",
            "it waits for an operator's word before it wipes that",
            "",
        ),
        StuckPoint::Step(step) => said(
            &format!("the installer was {}", step.sentence()),
            "it was not heard of again",
            "the next step of the installation",
        ),
        StuckPoint::Failed(step, _) => said(
            &format!("the installer was {}", step.sentence()),
            "that failed",
            "",
        ),
        StuckPoint::GivenUp(_) => said(
            "its install attempts are used up",
            "it is left to its own disk until somebody orders it anew",
            "",
        ),
        StuckPoint::NotRebooted => said(
            "it was installed",
            "the installed system never reported",
            "the first report of the installed system",
        ),
        StuckPoint::DiskSilent => said(
            "it was left to its own disk",
            "the system there never reported",
            "a report of the system on its disk",
        ),
        StuckPoint::NoWayToDisk(ways) => said("it was left to its own disk", ways, ""),
        StuckPoint::OldSystem => said(
            "it is to be installed",
            "it booted its old system instead",
            "",
        ),
        StuckPoint::NotJoined => said(
            "the installed system runs",
            "k3s does not call the node Ready",
            "k3s's word that the node is Ready",
        ),
    }
}
