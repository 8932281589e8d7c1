//! A point at which boots stand → how long the next thing may take, and what is said if it does not come.

use std::time::Duration;

use super::position::Point;
use crate::install::report::Step;

/// How long what follows may take before it is missed; nothing where waiting does not help.
pub(super) fn patience(point: &Point) -> Option<Duration> {
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

/// What a person is told of a point. `awaited` is empty where nothing is waited for.
pub(super) struct Words {
    pub(super) after: String,
    pub(super) missing: String,
    pub(super) awaited: &'static str,
}

/// The table: what happened, what did not follow, what is awaited until then.
pub(super) fn phrases(point: &Point) -> Words {
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
