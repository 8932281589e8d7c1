//! What is learnt of a machine's way from its boot loader to its disk.

use crate::base::mac::Mac;
use crate::loader::local_boot::{Departure, LocalBootHistory};
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;

/// Its installed system came up after its loader was sent this way: kept, if that is news.
pub fn left_to_disk(state: &ApplianceState, machine: Mac, left: Departure) -> Decided<()> {
    let machine = state.machines.get(&machine);
    let news = machine.filter(|m| m.local_boot.as_ref() != Some(&LocalBootHistory::worked(left)));
    let event = news.map(|m| NewEvent::of(m.id, EventKind::LeftToDisk { left }));
    Decided::yes((), event.into_iter().collect())
}

/// The way led back to the network. Each way is written down once until one works: a machine that tries all night must
/// not fill the journal.
pub fn came_back(state: &ApplianceState, machine: Mac, left: Departure) -> Decided<()> {
    let machine = state.machines.get(&machine);
    let news = machine.filter(|m| {
        let known = m.local_boot.as_ref();
        known != Some(&LocalBootHistory::came_back(known, left))
    });
    let event = news.map(|m| NewEvent::of(m.id, EventKind::CameBack { left }));
    Decided::yes((), event.into_iter().collect())
}
