//! Notes of all of a machine's cards, and what the journal says → its boots.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{BootEvent, Phase, TraceEntry};
use crate::base::arch::Arch;
use crate::base::timestamp::Timestamp;
use crate::dhcp::request::BootClient;

/// A machine that asks and was quiet for longer was switched off and on. EDK2 repeats its DISCOVER after 4, 8, 16
/// and 32 s, and most ROMs do the same.
pub(super) const PAUSE: Duration = Duration::from_secs(120);

/// An installed machine that asks within this time has rebooted into what was installed: servers take minutes to
/// come to their firmware.
const REBOOT: Duration = Duration::from_secs(30 * 60);

/// One way from power-on, as far as it got. The reboot into what was installed belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boot {
    /// In the order of their first time.
    pub notes: Vec<TraceEntry>,
}

impl Boot {
    /// How many boots of a machine are told of.
    pub const KEPT: usize = 5;

    /// The first sign of the machine itself. The order to install does not count, nor does what somebody else may have
    /// done in its name.
    pub fn begun(&self) -> Option<Timestamp> {
        let mut notes = self.notes.iter();
        let own = notes.find(|note| note.mark != BootEvent::Ordered && !note.mark.is_unproven());
        own.or(self.notes.first()).map(|note| note.at)
    }

    /// The last sign of the machine.
    pub fn last(&self) -> Option<Timestamp> {
        self.own().map(|note| note.last).max()
    }

    /// What is known to be the machine's own doing, or an order for it.
    pub(super) fn own(&self) -> impl DoubleEndedIterator<Item = &TraceEntry> {
        self.notes.iter().filter(|note| !note.mark.is_unproven())
    }

    /// What asked first: the firmware, or iPXE in the card's ROM.
    pub fn firmware(&self) -> Option<(BootClient, Arch)> {
        self.notes.iter().find_map(|note| match note.mark {
            BootEvent::Discover { client, arch } => Some((client, arch)),
            _ => None,
        })
    }

    /// Whether the machine itself gave no sign.
    pub fn is_order_only(&self) -> bool {
        self.own().all(|note| note.mark == BootEvent::Ordered)
    }

    pub(super) fn has(&self, is: impl Fn(&BootEvent) -> bool) -> bool {
        self.notes.iter().any(|note| is(&note.mark))
    }

    fn furthest(&self) -> Phase {
        let phases = self.notes.iter().map(|note| note.mark.phase());
        phases.max().unwrap_or(Phase::Ordered)
    }

    /// Whether a note is the beginning of another boot than this.
    fn is_over_before(&self, next: &TraceEntry) -> bool {
        let furthest = self.furthest();
        let Some(last) = self.last() else {
            return false;
        };
        let quiet = next.at.since(last);
        match &next.mark {
            BootEvent::Ordered => true,
            BootEvent::Discover { client, .. } => match furthest {
                Phase::Ordered => false,
                Phase::Asking => quiet > PAUSE,
                // The loader that was sent asks once more, as iPXE.
                Phase::Loader => *client != BootClient::Ipxe || quiet > PAUSE,
                Phase::Script | Phase::Image | Phase::Agent | Phase::Up => true,
                Phase::Installed => quiet > REBOOT,
            },
            // A machine whose first packets were not seen.
            BootEvent::Begun { .. } | BootEvent::Script { .. } => furthest >= Phase::Agent,
            BootEvent::Claimed => self.has(|mark| *mark == BootEvent::Claimed),
            BootEvent::Booted { .. } => match furthest {
                Phase::Ordered | Phase::Up => true,
                _ => quiet > REBOOT,
            },
            _ => false,
        }
    }
}

/// What cards were seen doing, and what the journal says → boots, oldest first; only the last [`Boot::KEPT`].
pub fn boots(mut seen: Vec<TraceEntry>, mut journal: Vec<TraceEntry>) -> Vec<Boot> {
    // Each in its own order of time: a clock that was set does not mix up what is known to be in order.
    seen.sort_by_key(|note| note.at);
    journal.sort_by_key(|note| note.at);
    let (mut seen, mut journal) = (seen.into_iter().peekable(), journal.into_iter().peekable());
    let mut boots: Vec<Boot> = Vec::new();
    loop {
        let next = match (seen.peek(), journal.peek()) {
            // Within one millisecond, in the order of a boot.
            (Some(s), Some(j)) if (s.at, s.mark.phase()) < (j.at, j.mark.phase()) => seen.next(),
            (_, Some(_)) => journal.next(),
            (_, None) => seen.next(),
        };
        let Some(note) = next else { break };
        match boots.last_mut() {
            Some(boot) if !boot.is_over_before(&note) => boot.notes.push(note),
            _ => boots.push(Boot { notes: vec![note] }),
        }
    }
    let surplus = boots.len().saturating_sub(Boot::KEPT);
    boots.drain(..surplus);
    boots
}
