//! What operators are shown of an event: the event redacted of what grants something.
//!
//! The journal keeps the [`Event`]; lines of `/admin/v1/events` carry an [`EventView`]. Its members are those of the
//! event, so that `pxe-admin watch` folds lines as the appliance folds the journal. A ticket and a hash are given as
//! zeros, a ciphertext is empty.

use serde::{Deserialize, Serialize};

use crate::base::token::{Digest, Ticket};
use crate::machine::Claim;
use crate::machine::event::{Event, Happening};

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
fn redact(what: &mut Happening) {
    let no_ticket = || Ticket::new([0; 16]);
    let no_hash = || Digest::new([0; 32]);
    match what {
        Happening::Enrolled {
            macs: _,
            name: _,
            profile: _,
            until: _,
            ticket,
            by: _,
        }
        | Happening::Reimaged {
            release: _,
            until: _,
            ticket,
            by: _,
        }
        | Happening::Attempt { number: _, ticket }
        | Happening::Served { ticket } => *ticket = no_ticket(),
        Happening::Claimed { ticket, claim } => {
            *ticket = no_ticket();
            let Claim {
                recipient: _,
                session,
                at: _,
            } = claim;
            *session = no_hash();
        }
        Happening::Sealed { sealed, node_key } => {
            sealed.clear();
            *node_key = no_hash();
        }
        Happening::DiskKeyMade {
            kept,
            credential,
            sealed,
        } => {
            kept.clear();
            *credential = no_hash();
            sealed.clear();
        }
        Happening::Seen { facts: _ }
        | Happening::Forgotten { by: _ }
        | Happening::Reached { manner: _ }
        | Happening::Discovering
        | Happening::Discovered { hardware: _ }
        | Happening::Inventoried { hardware: _ }
        | Happening::Planned { plan: _ }
        | Happening::Waits { waits: _ }
        | Happening::Confirmed {
            disks: _,
            until: _,
            by: _,
        }
        | Happening::Reported { report: _ }
        | Happening::Received
        | Happening::Unlocked { from: _ }
        | Happening::KeyShown { by: _ }
        | Happening::Installed {
            generation: _,
            ssh_host_key: _,
        }
        | Happening::GaveUp { reason: _ }
        | Happening::Booted { generation: _ }
        | Happening::BootOrder { order: _ }
        | Happening::LeftToDisk { left: _ }
        | Happening::CameBack { left: _ }
        | Happening::Joined { node: _ }
        | Happening::Refused {
            code: _,
            reason: _,
            from: _,
            admin: _,
        }
        | Happening::PoolExhausted { first: _, last: _ }
        | Happening::PoolRecovered { first: _, last: _ }
        | Happening::AddressInUse { address: _, by: _ }
        | Happening::AddressDeclined { address: _ }
        | Happening::Released { release: _ }
        | Happening::InstallerPublished { installer: _ }
        | Happening::Followed {
            revision: _,
            trouble: _,
        }
        | Happening::Pruned {
            system: _,
            number: _,
            by: _,
        } => {}
    }
}
