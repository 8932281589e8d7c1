//! What is learnt of a machine's way from its boot loader to its disk.

use crate::base::mac::Mac;
use crate::loader::local_boot::{Left, LocalBoot};
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;

/// Its installed system came up after its loader was sent this way: kept, if that is news.
pub fn left_to_disk(world: &World, machine: Mac, left: Left) -> Verdict<()> {
    let machine = world.machines.get(&machine);
    let news = machine.filter(|m| m.local_boot.as_ref() != Some(&LocalBoot::worked(left)));
    let draft = news.map(|m| Draft::of(m.id, Happening::LeftToDisk { left }));
    Verdict::yes((), draft.into_iter().collect())
}

/// The way led back to the network. Written down once of each way until one works: a machine that goes round all night
/// must not fill the journal.
pub fn came_back(world: &World, machine: Mac, left: Left) -> Verdict<()> {
    let machine = world.machines.get(&machine);
    let news = machine.filter(|m| {
        let known = m.local_boot.as_ref();
        known != Some(&LocalBoot::came_back(known, left))
    });
    let draft = news.map(|m| Draft::of(m.id, Happening::CameBack { left }));
    Verdict::yes((), draft.into_iter().collect())
}
