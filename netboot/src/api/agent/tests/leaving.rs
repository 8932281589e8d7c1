//! Which way a machine got to its disk by is learnt from what follows, and kept.

use super::*;
use crate::loader::local_boot::{BootLoader, Departure, LocalBootHistory, LocalBootMethod};
use crate::machine::departures::Departures;

const LOADER: BootLoader = BootLoader::IpxeUefi;

fn left(way: LocalBootMethod) -> Departure {
    Departure {
        loader: LOADER,
        way,
    }
}

impl Story {
    /// Its loader asks for the way to the disk, and what is learnt is written down.
    fn leaves(&mut self, departures: &mut Departures) -> LocalBootMethod {
        let machine = self.machine();
        let (way, failed) = departures.leave(machine, mac(0x56), LOADER, self.now);
        let id = machine.id;
        if let Some(left) = failed {
            let decided = came_back(&self.state, id, left);
            self.take(decided).expect("is taken");
        }
        way
    }

    fn comes_up(&mut self, departures: &mut Departures, boot_id: &str) {
        self.booted(1, boot_id).expect("is taken");
        let id = self.machine().id;
        if let Some(left) = departures.arrived(id, self.now) {
            let decided = left_to_disk(&self.state, id, left);
            self.take(decided).expect("is taken");
        }
    }
}

#[test]
fn the_way_that_worked_is_kept_with_the_machine_and_given_first() {
    let mut story = Story::enrolled();
    story.install(1);
    let mut departures = Departures::default();
    assert_eq!(story.leaves(&mut departures), LocalBootMethod::NextEntry);
    story.later(60);
    assert_eq!(story.leaves(&mut departures), LocalBootMethod::EspLoader);
    story.later(60);
    story.comes_up(&mut departures, "b1");
    assert_eq!(
        story.machine().local_boot,
        Some(LocalBootHistory::worked(left(LocalBootMethod::EspLoader)))
    );

    // Another day, after a restart of the appliance: only the journal is left.
    story.later(86_400);
    let mut departures = Departures::default();
    assert_eq!(story.leaves(&mut departures), LocalBootMethod::EspLoader);
    story.later(60);
    let before = story.state.seq;
    story.comes_up(&mut departures, "b2");
    assert_eq!(story.state.seq, before + 1, "it is no news");
}

#[test]
fn a_machine_that_goes_round_all_night_writes_each_way_down_once() {
    let mut story = Story::enrolled();
    story.install(1);
    let mut departures = Departures::default();
    let before = story.state.seq;
    for _ in 0..50 {
        let _ = story.leaves(&mut departures);
        story.later(60);
    }
    let known = story.machine().local_boot.clone().expect("is learnt");
    assert!(known.is_exhausted(), "{known:?}");
    assert_eq!(story.state.seq - before, LOADER.ways().len() as u64);

    // What is installed then was not there when they failed.
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", None))
        .expect("is ordered");
    story.install(2);
    let known = story.machine().local_boot.clone().expect("is kept");
    assert_eq!(known.failed, []);
}

#[test]
fn what_is_learnt_of_a_machine_that_was_forgotten_goes_nowhere() {
    let story = Story::new();
    for decided in [
        came_back(&story.state, mac(0x56), left(LocalBootMethod::Done)),
        left_to_disk(&story.state, mac(0x56), left(LocalBootMethod::Done)),
    ] {
        assert_eq!(decided.events, []);
    }
}
