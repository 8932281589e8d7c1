use super::*;

const MIB: u64 = 1 << 20;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn id(n: u8) -> UploadBatchId {
    UploadBatchId::new([n; 16])
}

fn part(n: u8) -> Item {
    Item::Part(Digest::new([n; 32]))
}

/// Installer files, each by its id and its size in MiB.
fn items(parts: &[(u8, u64)]) -> Items {
    parts.iter().map(|(n, mib)| (part(*n), mib * MIB)).collect()
}

/// The free bytes of a disk on which `mib` MiB may be written.
fn disk(mib: u64) -> u64 {
    mib * MIB + RESERVE
}

#[test]
fn of_two_that_fit_one_by_one_and_not_together_the_second_is_kept_out() {
    let mut room = SpaceReservations::default();
    let free = disk(100);
    room.promise(Some(&id(1)), items(&[(1, 60)]), free, at(0))
        .expect("fits");
    let short = room.promise(Some(&id(2)), items(&[(2, 60)]), free, at(1));
    let short = short.expect_err("the first needs it");
    assert!(short.for_others(), "{short:?}");
    let want = InsufficientSpace {
        needed: 60 * MIB + RESERVE,
        free,
        promised: 60 * MIB,
    };
    assert_eq!(short, want);
    let short = room.promise(None, items(&[(2, 101)]), free, at(1));
    assert!(!short.expect_err("never").for_others());
    // Nothing stays of it.
    room.promise(Some(&id(3)), items(&[(3, 40)]), free, at(1))
        .expect("fits beside the first");
    room.promise(Some(&id(4)), Items::new(), 0, at(1))
        .expect("needs nothing");
}

/// What is written is gone from the free space, and is not kept free a second time.
#[test]
fn what_has_come_is_promised_no_more() {
    let mut room = SpaceReservations::default();
    let asks = |room: &mut SpaceReservations, mib, free| {
        let asked = room.promise(None, items(&[(9, mib)]), free, at(0));
        asked.is_ok()
    };
    room.promise(Some(&id(1)), items(&[(1, 60), (2, 20)]), disk(100), at(0))
        .expect("fits");
    let exactly = |room: &mut SpaceReservations, free: u64, what: &str| {
        assert!(asks(room, 20, free), "{what}");
        assert!(!asks(room, 21, free), "{what}");
    };
    exactly(&mut room, disk(100), "nothing came");
    let number = room.begin(Some(id(1)), 60 * MIB, disk(100), at(0));
    let number = number.expect("is promised");
    exactly(&mut room, disk(100), "it begins");
    room.reached(number, 30 * MIB, at(0));
    exactly(&mut room, disk(70), "half of it came");
    room.reached(number, 60 * MIB, at(0));
    room.arrived(number, at(0));
    exactly(&mut room, disk(40), "it came");
    room.settled(Some(&id(1)), &part(1), 60 * MIB);
    exactly(&mut room, disk(40), "it is in its place");
    let number = room.begin(Some(id(1)), 20 * MIB, disk(40), at(0));
    let number = number.expect("is promised");
    room.reached(number, 20 * MIB, at(0));
    room.arrived(number, at(0));
    room.settled(Some(&id(1)), &part(2), 20 * MIB);
    exactly(&mut room, disk(20), "all of it");
    assert!(room.shipments.is_empty() && room.uploads.is_empty());
}

#[test]
fn what_was_promised_is_given_back_when_an_upload_breaks_off_or_nothing_is_heard_of_it() {
    let quiet = i64::try_from(QUIET.as_secs()).expect("small");
    for (what, later, breaks, heard, back) in [
        ("it goes on", 1, false, None, false),
        ("it breaks off", 1, true, None, true),
        ("it is quiet", quiet - 1, false, None, false),
        ("it is quiet for long", quiet, false, None, true),
        ("it was heard of", quiet, false, Some(1), false),
        ("the clock was put back", -10, false, None, true),
    ] {
        let mut room = SpaceReservations::default();
        let free = disk(100);
        room.promise(Some(&id(1)), items(&[(1, 60), (2, 10)]), free, at(0))
            .expect("fits");
        let number = room.begin(Some(id(1)), 10 * MIB, free, at(0));
        let number = number.expect("is promised");
        room.reached(number, 5 * MIB, at(0));
        match breaks {
            true => room.broke_off(number),
            false => room.arrived(number, at(0)),
        }
        if let Some(then) = heard {
            room.heard(Some(&id(1)), at(then));
        }
        let second = room.promise(Some(&id(2)), items(&[(3, 60)]), free, at(later));
        assert_eq!(second.is_ok(), back, "{what}");
    }
}

#[test]
fn a_long_upload_keeps_what_it_was_promised_and_an_unannounced_one_gets_the_rest() {
    let mut room = SpaceReservations::default();
    let free = disk(100);
    room.promise(Some(&id(1)), items(&[(1, 60)]), free, at(0))
        .expect("fits");
    let number = room.begin(Some(id(1)), 60 * MIB, free, at(0));
    let number = number.expect("is promised");
    let late = at(3600);
    let short = room.begin(None, 41 * MIB, free, late);
    assert!(short.expect_err("the first needs it").for_others());
    let alone = room.begin(None, 30 * MIB, free, late).expect("fits");
    assert!(room.more(alone, 11 * MIB, free, late).is_err());
    room.more(alone, 10 * MIB, free, late).expect("fits");
    assert!(room.begin(Some(id(7)), MIB, free, late).is_err());
    room.broke_off(alone);
    room.begin(Some(id(7)), MIB, free, late)
        .expect("nothing was promised to it, and it fits");
    // It turns out larger than was guessed, and does not get what others were promised.
    let more = room.begin(Some(id(1)), 39 * MIB, free, late);
    let more = more.expect("nobody else needs it");
    assert!(room.begin(Some(id(1)), MIB, free, late).is_err());
    room.broke_off(more);
    room.broke_off(number);
    assert!(room.shipments.is_empty());
}

#[test]
fn the_same_thing_sent_twice_needs_its_space_once() {
    let mut room = SpaceReservations::default();
    let free = disk(100);
    for n in 1..=3 {
        room.promise(Some(&id(n)), items(&[(1, 60)]), free, at(0))
            .expect("the same part");
    }
    assert!(
        room.promise(None, items(&[(2, 41)]), free, at(0)).is_err(),
        "promised"
    );
    room.promise(None, items(&[(2, 40)]), free, at(0))
        .expect("promised once");
    // More of the same shipment, and the same again.
    room.promise(Some(&id(1)), items(&[(1, 60), (2, 40)]), free, at(0))
        .expect("fits");
    assert!(
        room.promise(Some(&id(1)), items(&[(3, 1)]), free, at(0))
            .is_err(),
        "with what it has already"
    );
    // One of them has sent it: it is there for all.
    room.settled(Some(&id(2)), &part(1), 60 * MIB);
    assert_eq!(room.shipments.len(), 1);
}

#[test]
fn a_flood_of_shipments_takes_no_more_memory() {
    let mut room = SpaceReservations::default();
    for n in 0..200 {
        let second = at(i64::from(n) / 10);
        room.promise(Some(&id(n)), items(&[(n, 1)]), disk(1000), second)
            .expect("fits");
    }
    assert_eq!(room.shipments.len(), SHIPMENTS);
    assert!(room.shipments.contains_key(&id(199)));
}
