//! Where a boot is stuck, and in which firmware → what it usually is, and what to try. The usual ones first.
//!
//! The words are for somebody who stands beside the machine at night: what is wrong, then what to do, and a command
//! where there is one.

mod asking;
mod installing;
mod loading;
mod own_disk;

use serde::{Deserialize, Serialize};

use super::diagnosis::DiagnosisContext;
use super::position::StuckPoint;
use crate::base::arch::Arch;
use crate::dhcp::request::BootClient;
use crate::loader::local_boot::LocalBootMethod;

use asking::{file_not_fetched, no_file, offer_ignored, unanswered, unseen};
use installing::{failed, given_up, no_claim, step_hangs, waits};
use loading::{image_broken, image_not_fetched, loader_broken, loader_silent, script_not_fetched};
use own_disk::{disk_silent, no_way_to_disk, not_joined, old_system};

pub(super) use own_disk::reordered;

/// One way how it comes to this, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    pub what: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tips: Vec<String>,
}

fn cause(what: impl Into<String>) -> Cause {
    Cause {
        what: what.into(),
        tips: Vec::new(),
    }
}

impl Cause {
    fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tips.push(tip.into());
        self
    }
}

/// What the table of causes may look at.
pub(super) struct Evidence<'a> {
    pub(super) setting: &'a DiagnosisContext,
    pub(super) client: Option<BootClient>,
    pub(super) arch: Option<Arch>,
    /// Whether a DHCP server gave it an address in this boot.
    pub(super) took_address: bool,
    /// Whether GRUB went out in this boot: it takes its files from whom it likes.
    pub(super) has_grub: bool,
    /// The way to its disk that its loader was sent in this boot.
    pub(super) way: Option<LocalBootMethod>,
}

impl Evidence<'_> {
    fn title(&self) -> &str {
        &self.setting.title
    }

    fn is_uefi_pxe(&self) -> bool {
        self.client == Some(BootClient::Pxe) && self.arch != Some(Arch::Bios)
    }

    fn packets(&self) -> String {
        let title = self.title();
        format!("pxe-admin events --pcap {title} {title}.pcap && tcpdump -nvr {title}.pcap")
    }
}

/// The table.
pub(super) fn causes(point: &StuckPoint, case: &Evidence<'_>) -> Vec<Cause> {
    match point {
        StuckPoint::Unseen => unseen(case),
        StuckPoint::Unanswered(why, reason) => unanswered(*why, reason, case),
        StuckPoint::OfferIgnored => offer_ignored(case),
        StuckPoint::FileNotFetched => file_not_fetched(case),
        StuckPoint::NoFile(file, _) => no_file(file, case),
        StuckPoint::LoaderBroken => loader_broken(case),
        StuckPoint::LoaderSilent => loader_silent(case),
        StuckPoint::ScriptNotFetched => script_not_fetched(case),
        StuckPoint::KernelNotFetched | StuckPoint::InitrdNotFetched => image_not_fetched(case),
        StuckPoint::ImageBroken => image_broken(),
        StuckPoint::NoClaim => no_claim(case),
        StuckPoint::Waits => waits(case),
        StuckPoint::Step(step) => step_hangs(*step, case),
        StuckPoint::Failed(_, said) => failed(said, case),
        StuckPoint::GivenUp(said) => given_up(said, case),
        StuckPoint::NotRebooted | StuckPoint::DiskSilent => disk_silent(case),
        StuckPoint::NoWayToDisk(_) => no_way_to_disk(case),
        StuckPoint::OldSystem => old_system(),
        StuckPoint::NotJoined => not_joined(case),
    }
}

fn another_server() -> Cause {
    cause("another PXE or DHCP server on the LAN answers it first").tip("pxe-admin doctor")
}
