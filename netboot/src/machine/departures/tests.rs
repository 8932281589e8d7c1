//! What is learnt from what follows after a machine was sent to its disk.

use std::time::Duration;

use super::*;
use crate::api::agent::tests::Story;
use crate::test_support::mac;

const UEFI: BootLoader = BootLoader::IpxeUefi;

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(seconds))
}

fn known(works: Option<LocalBootMethod>, failed: &[LocalBootMethod]) -> LocalBootHistory {
    LocalBootHistory {
        loader: UEFI,
        works,
        failed: failed.to_vec(),
    }
}

fn installed(local_boot: Option<LocalBootHistory>) -> Machine {
    let mut machine = Story::enrolled().machine().clone();
    machine.state = State::Joined;
    machine.local_boot = local_boot;
    machine
}

/// A machine asks at these seconds; what it is sent, and what is thereby known to have failed.
#[test]
fn who_comes_back_within_minutes_is_sent_the_next_way() {
    use LocalBootMethod::{Done, EspLoader, NextEntry};

    type Asked = (u64, LocalBootMethod, Option<LocalBootMethod>);
    let cases: [(&str, Option<LocalBootHistory>, &[Asked]); 6] = [
        (
            "each in turn, and from the start",
            None,
            &[
                (0, NextEntry, None),
                (40, EspLoader, Some(NextEntry)),
                (80, Done, Some(EspLoader)),
                (120, NextEntry, Some(Done)),
                (160, EspLoader, Some(NextEntry)),
            ],
        ),
        (
            "asked again at once: a packet was lost",
            None,
            &[
                (0, NextEntry, None),
                (4, NextEntry, None),
                (40, EspLoader, Some(NextEntry)),
            ],
        ),
        (
            "it may have been up for a day, and could not report",
            None,
            &[(0, NextEntry, None), (86_400, NextEntry, None)],
        ),
        (
            "a way that worked before gets a second chance",
            Some(known(Some(EspLoader), &[])),
            &[
                (0, EspLoader, None),
                (40, EspLoader, None),
                (80, NextEntry, Some(EspLoader)),
            ],
        ),
        (
            "and begins anew after a while",
            Some(known(Some(EspLoader), &[])),
            &[
                (0, EspLoader, None),
                (40, EspLoader, None),
                (5000, EspLoader, None),
                (5040, EspLoader, None),
            ],
        ),
        (
            "on from what failed before",
            Some(known(None, &[NextEntry])),
            &[(0, EspLoader, None), (40, Done, Some(EspLoader))],
        ),
    ];
    for (name, known, asked) in cases {
        let mut machine = installed(known);
        let mut departures = Departures::default();
        for (seconds, way, failed) in asked {
            let got = departures.leave(&machine, mac(0x56), UEFI, at(*seconds));
            let left = |way: LocalBootMethod| Departure { loader: UEFI, way };
            assert_eq!(got, (*way, failed.map(left)), "{name}, after {seconds} s");
            if let Some(failed) = got.1 {
                let before = machine.local_boot.as_ref();
                machine.local_boot = Some(LocalBootHistory::came_back(before, failed));
            }
        }
    }
}

#[test]
fn another_card_and_another_loader_are_no_sign_that_it_came_back() {
    let machine = installed(None);
    let mut departures = Departures::default();
    let first = Departure {
        loader: UEFI,
        way: LocalBootMethod::NextEntry,
    };
    assert_eq!(
        departures.leave(&machine, mac(1), UEFI, at(0)),
        (first.way, None)
    );
    assert_eq!(
        departures.leave(&machine, mac(2), UEFI, at(20)),
        (first.way, None),
        "the firmware's next entry was the other card"
    );
    assert_eq!(
        departures.leave(&machine, mac(2), BootLoader::Grub, at(40)),
        (LocalBootMethod::EspLoader, None)
    );
}

#[test]
fn the_way_that_the_system_came_up_by_is_known_once_and_not_for_ever() {
    let machine = installed(None);
    let left = Departure {
        loader: UEFI,
        way: LocalBootMethod::NextEntry,
    };
    for (name, seconds, want) in [("soon", 60, Some(left)), ("an hour later", 3600, None)] {
        let mut departures = Departures::default();
        let _ = departures.leave(&machine, mac(0x56), UEFI, at(0));
        assert_eq!(departures.arrived(mac(1), at(1)), None, "another machine");
        assert_eq!(departures.arrived(machine.id, at(seconds)), want, "{name}");
        assert_eq!(departures.arrived(machine.id, at(seconds)), None, "once");
    }
}
