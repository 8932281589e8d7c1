//! What operators are shown of an event: the event redacted of what grants something.
//!
//! The journal keeps the [`Event`]; lines of `/admin/v1/events` carry an [`EventView`]. Its members are those of the
//! event, so that `pxe-admin watch` folds lines as the appliance folds the journal. A ticket and a hash are given as
//! zeros, a ciphertext is empty.

use serde::{Deserialize, Serialize};

use crate::base::token::{Digest, Ticket};
use crate::machine::Claim;
use crate::machine::event::{Event, EventKind};

/// An event without ticket, hash or ciphertext: it can only be made by [`EventView::of`], or read from what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventView(Event);

impl EventView {
    pub fn of(event: Event) -> Self {
        let Event {
            seq,
            at,
            machine,
            mut what,
        } = event;
        redact(&mut what);
        Self(Event {
            seq,
            at,
            machine,
            what,
        })
    }
}

impl std::ops::Deref for EventView {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0
    }
}

/// Without `..`: whoever adds a member to an event decides here whether operators see it.
fn redact(what: &mut EventKind) {
    let no_ticket = || Ticket::new([0; 16]);
    let no_hash = || Digest::new([0; 32]);
    match what {
        EventKind::Enrolled {
            macs: _,
            name: _,
            profile: _,
            until: _,
            ticket,
            by: _,
        }
        | EventKind::Reimaged {
            release: _,
            until: _,
            ticket,
            by: _,
        }
        | EventKind::Attempt { number: _, ticket }
        | EventKind::Served { ticket } => *ticket = no_ticket(),
        EventKind::Claimed { ticket, claim } => {
            *ticket = no_ticket();
            let Claim {
                recipient: _,
                session,
                at: _,
            } = claim;
            *session = no_hash();
        }
        EventKind::Sealed { sealed, node_key } => {
            sealed.clear();
            *node_key = no_hash();
        }
        EventKind::DiskKeyMade {
            kept,
            credential,
            sealed,
        } => {
            kept.clear();
            *credential = no_hash();
            sealed.clear();
        }
        EventKind::Seen { facts: _ }
        | EventKind::Forgotten { by: _ }
        | EventKind::Reached { boot_method: _ }
        | EventKind::Discovering
        | EventKind::Discovered { hardware: _ }
        | EventKind::Inventoried { hardware: _ }
        | EventKind::Planned { plan: _ }
        | EventKind::Waits { waits: _ }
        | EventKind::Confirmed {
            disks: _,
            until: _,
            by: _,
        }
        | EventKind::Reported { report: _ }
        | EventKind::Received
        | EventKind::Unlocked { from: _ }
        | EventKind::KeyShown { by: _ }
        | EventKind::Installed {
            generation: _,
            ssh_host_key: _,
        }
        | EventKind::GaveUp { reason: _ }
        | EventKind::Booted { generation: _ }
        | EventKind::BootOrder { order: _ }
        | EventKind::LeftToDisk { left: _ }
        | EventKind::CameBack { left: _ }
        | EventKind::Joined { node: _ }
        | EventKind::Refused {
            code: _,
            reason: _,
            from: _,
            admin: _,
        }
        | EventKind::PoolExhausted { first: _, last: _ }
        | EventKind::PoolRecovered { first: _, last: _ }
        | EventKind::AddressInUse { address: _, by: _ }
        | EventKind::AddressDeclined { address: _ }
        | EventKind::ReleasePublished { release: _ }
        | EventKind::InstallerPublished { installer: _ }
        | EventKind::Followed {
            revision: _,
            trouble: _,
        }
        | EventKind::Pruned {
            system: _,
            number: _,
            by: _,
        } => {}
    }
}
