//! The sender against clients that are played: by hand, and over a network that loses, repeats and reorders.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::options::{Limits, negotiate};
use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn terms(block: u16, window: u16) -> NegotiatedOptions {
    let accepted = match (block, window) {
        (512, 1) => Vec::new(),
        _ => vec![(b"windowsize".to_vec(), u64::from(window))],
    };
    NegotiatedOptions {
        block,
        window,
        timeout: None,
        accepted,
    }
}

/// A sender of `blocks` full blocks and a short one, past its opening.
fn under_way(blocks: u64, window: u16) -> Sender {
    let terms = terms(512, window);
    let (mut sender, step) = Sender::new(blocks * 512 + 1, &terms, ms(0));
    if window > 1 {
        assert_eq!(step, SenderAction::Options);
        assert_eq!(
            sender.acknowledged(0, ms(1)),
            SenderAction::Blocks(1..u64::from(window) + 1)
        );
    }
    sender
}

const COMPLETE: SenderAction = SenderAction::Ended(TransferEnd::Complete);

#[test]
fn sizes_end_with_a_block_that_is_not_full() {
    for (name, size, last, bytes) in [
        ("an empty file", 0, 1, 0..0),
        ("less than a block", 511, 1, 0..511),
        ("a block exactly", 512, 2, 512..512),
        ("a byte more", 513, 2, 512..513),
    ] {
        let (mut sender, step) = Sender::new(size, &terms(512, 1), ms(0));
        assert_eq!(step, SenderAction::Blocks(1..2), "{name}");
        if last == 2 {
            assert_eq!(sender.bytes(1), 0..512, "{name}");
            assert_eq!(
                sender.acknowledged(1, ms(1)),
                SenderAction::Blocks(2..3),
                "{name}"
            );
        }
        assert_eq!(sender.bytes(last), bytes, "{name}");
        assert_eq!(sender.acknowledged(wire(last), ms(2)), COMPLETE, "{name}");
        assert_eq!(sender.delivered(), size, "{name}");
    }
}

/// RFC 1123 §4.2.3.1.
#[test]
fn a_repeated_acknowledgement_sends_nothing() {
    let mut sender = under_way(9, 1);
    assert_eq!(sender.acknowledged(1, ms(1)), SenderAction::Blocks(2..3));
    for _ in 0..3 {
        assert_eq!(sender.acknowledged(1, ms(2)), SenderAction::Wait);
    }
    assert_eq!(sender.acknowledged(2, ms(3)), SenderAction::Blocks(3..4));
    assert_eq!(
        sender.acknowledged(1, ms(3)),
        SenderAction::Wait,
        "of long ago"
    );
    assert_eq!(
        sender.acknowledged(9, ms(3)),
        SenderAction::Wait,
        "of what never was"
    );
    assert_eq!(sender.resent(), 0);
}

/// RFC 7440 §4.
#[test]
fn a_window_begins_again_behind_the_acknowledged_block() {
    let mut sender = under_way(99, 8);
    assert_eq!(sender.acknowledged(8, ms(2)), SenderAction::Blocks(9..17));
    assert_eq!(
        sender.acknowledged(11, ms(3)),
        SenderAction::Blocks(12..20),
        "the 12th was lost"
    );
    for _ in 0..4 {
        assert_eq!(
            sender.acknowledged(11, ms(3)),
            SenderAction::Wait,
            "said for each block after the gap"
        );
    }
    assert_eq!(sender.resent(), 5);
    assert_eq!(sender.acknowledged(19, ms(4)), SenderAction::Blocks(20..28));
}

#[test]
fn the_first_block_of_a_window_lost_is_sent_again_once() {
    let mut sender = under_way(99, 4);
    assert_eq!(sender.acknowledged(4, ms(2)), SenderAction::Blocks(5..9));
    assert_eq!(
        sender.acknowledged(4, ms(3)),
        SenderAction::Blocks(5..9),
        "the 5th was lost"
    );
    assert_eq!(sender.acknowledged(4, ms(3)), SenderAction::Wait);
    assert_eq!(sender.acknowledged(8, ms(4)), SenderAction::Blocks(9..13));
    assert_eq!(
        sender.acknowledged(8, ms(4)),
        SenderAction::Wait,
        "may come of what was sent twice"
    );
    assert_eq!(sender.acknowledged(12, ms(5)), SenderAction::Blocks(13..17));
    assert_eq!(sender.acknowledged(12, ms(6)), SenderAction::Blocks(13..17));
}

#[test]
fn the_last_window_is_as_long_as_the_file() {
    let mut sender = under_way(9, 8);
    assert_eq!(sender.acknowledged(8, ms(2)), SenderAction::Blocks(9..11));
    assert_eq!(sender.acknowledged(9, ms(3)), SenderAction::Blocks(10..11));
    assert_eq!(sender.acknowledged(10, ms(4)), COMPLETE);
}

/// With blocks of 512 bytes, after 32 MiB.
#[test]
fn numbers_wrap_to_zero() {
    for window in [1, 16] {
        let mut sender = under_way(200_000, window);
        let mut at = 0;
        let wide = u64::from(window);
        while at + wide < 199_999 {
            at += wide;
            assert_eq!(
                sender.acknowledged(wire(at), ms(2)),
                SenderAction::Blocks(at + 1..at + 1 + wide),
                "after {at}"
            );
        }
        assert_eq!(sender.resent(), 0);
    }
}

#[test]
fn silence_is_answered_with_longer_and_longer_pauses() {
    let silence = |sender: &mut Sender| {
        let mut times = Vec::new();
        let end = loop {
            let due = sender.due();
            assert_eq!(sender.expired(due - ms(1)), SenderAction::Wait, "too early");
            match sender.expired(due) {
                SenderAction::Ended(end) => break (end, due.as_millis()),
                SenderAction::Wait => panic!("nothing at {due:?}"),
                _ => times.push(due.as_millis()),
            }
        };
        (times, end)
    };
    let mut sender = under_way(9, 1);
    let (times, end) = silence(&mut sender);
    assert_eq!(times, [250, 750, 1750, 3750, 7750, 12_750, 17_750, 22_750]);
    assert_eq!(end, (TransferEnd::Silent, 27_750));
    assert_eq!(sender.resent(), 8);

    let mut sender = under_way(1, 1);
    assert_eq!(
        sender.acknowledged(1, ms(1)),
        SenderAction::Blocks(2..3),
        "the last"
    );
    let (times, end) = silence(&mut sender);
    assert_eq!(times[..5], [21, 61, 141, 301, 621]);
    assert_eq!(end, (TransferEnd::Unconfirmed, 10_101));
}

#[test]
fn an_answer_to_what_was_sent_twice_measures_nothing() {
    let mut sender = under_way(9, 1);
    assert_eq!(sender.acknowledged(1, ms(1)), SenderAction::Blocks(2..3));
    assert_eq!(sender.due(), ms(21));
    assert_eq!(sender.expired(ms(21)), SenderAction::Blocks(2..3));
    // After 1 ms, as it seems; or after 21.
    assert_eq!(sender.acknowledged(2, ms(22)), SenderAction::Blocks(3..4));
    assert_eq!(sender.due(), ms(62), "the doubled wait stays");
    assert_eq!(sender.acknowledged(3, ms(23)), SenderAction::Blocks(4..5));
    assert_eq!(
        sender.due(),
        ms(43),
        "until a block is answered that went out once"
    );
}

#[test]
fn errors_end_it() {
    let opening = || Sender::new(9999, &terms(1468, 1), ms(0)).0;
    for (name, sender, code, end) in [
        (
            "EDK2 has learnt the size",
            opening(),
            8,
            TransferEnd::Probed,
        ),
        (
            "a ROM of before RFC 2347 has",
            opening(),
            0,
            TransferEnd::Probed,
        ),
        (
            "no space at the client",
            opening(),
            3,
            TransferEnd::BrokenOff(3),
        ),
        (
            "in the middle",
            under_way(9, 1),
            0,
            TransferEnd::BrokenOff(0),
        ),
    ] {
        assert_eq!(sender.broken_off(code), SenderAction::Ended(end), "{name}");
    }
}

#[test]
fn a_request_that_comes_again_is_no_second_transfer() {
    let anew = SenderAction::Ended(TransferEnd::Anew);
    let opening = || Sender::new(9999, &terms(1468, 1), ms(0)).0;
    let mut heard = opening();
    assert_eq!(heard.acknowledged(0, ms(100)), SenderAction::Blocks(1..2));
    for (name, mut sender, same, at, want) in [
        (
            "the OACK was lost",
            opening(),
            true,
            100,
            SenderAction::Options,
        ),
        (
            "the first block was lost",
            under_way(9, 1),
            true,
            100,
            SenderAction::Blocks(1..2),
        ),
        (
            "a ROM that tries without options",
            opening(),
            false,
            100,
            anew.clone(),
        ),
        (
            "late on its way",
            heard.clone(),
            true,
            200,
            SenderAction::Wait,
        ),
        (
            "a machine that was reset",
            heard.clone(),
            true,
            1100,
            anew.clone(),
        ),
        ("another file", heard, false, 101, anew),
    ] {
        assert_eq!(sender.asked_again(same, ms(at)), want, "{name}");
    }
}

#[test]
fn the_opening_waits_for_its_own_acknowledgement() {
    let (mut sender, step) = Sender::new(9999, &terms(1468, 4), ms(0));
    assert_eq!(step, SenderAction::Options);
    assert_eq!(sender.acknowledged(1, ms(1)), SenderAction::Wait);
    assert_eq!(sender.expired(ms(250)), SenderAction::Options);
    assert_eq!(sender.acknowledged(0, ms(251)), SenderAction::Blocks(1..5));
    assert_eq!(sender.resent(), 1);
}

/// A client that acknowledges whatever it gets, also what it had: the one that multiplies blocks.
#[test]
fn what_a_network_doubles_does_not_stay_doubled() {
    for window in [1, 4, 16] {
        let mut sender = under_way(10_000, window);
        let mut on_the_wire: std::collections::VecDeque<u64> = (1..=u64::from(window)).collect();
        let (mut has, mut sent, mut now) = (0, u64::from(window), ms(1));
        let ended = 'sending: loop {
            let Some(block) = on_the_wire.pop_front() else {
                panic!("stuck at {has}")
            };
            now += Duration::from_micros(10);
            let says = if block == has + 1 {
                has = block;
                has.is_multiple_of(u64::from(window)) || has == 10_001
            } else {
                true
            };
            // The network repeats every hundredth acknowledgement.
            let copies = usize::from(says) * (1 + usize::from(block % 100 == 0));
            for _ in 0..copies {
                match sender.acknowledged(wire(has), now) {
                    SenderAction::Blocks(blocks) => {
                        sent += blocks.end - blocks.start;
                        on_the_wire.extend(blocks);
                    }
                    SenderAction::Wait => {}
                    SenderAction::Ended(end) => break 'sending end,
                    SenderAction::Options => panic!("options in the middle"),
                }
            }
        };
        assert_eq!(ended, TransferEnd::Complete);
        // One in a hundred was asked for in vain; each can cost a window.
        let most = 10_001
            + if window == 1 {
                0
            } else {
                102 * u64::from(window)
            };
        assert!(
            sent <= most,
            "window {window}: {sent} blocks for 10 001, at most {most}"
        );
    }
}

/// How bad a network is: per packet and direction.
#[derive(Debug, Clone, Copy)]
struct Weather {
    /// Of 1000.
    lost: u64,
    twice: u64,
    late: u64,
    seed: u64,
}

/// What happens next, by the time it does. The second number keeps those of one moment apart.
#[derive(Debug)]
enum InFlight {
    /// At the client.
    Options,
    Block(u64),
    /// At the server.
    Acknowledgement(u16),
    /// The client has waited for long.
    Impatience(u64),
}

struct SimulatedNetwork {
    weather: Weather,
    random: u64,
    events: BTreeMap<(Duration, u64), InFlight>,
    counted: u64,
}

impl SimulatedNetwork {
    fn one_of_1000(&mut self, likely: u64) -> bool {
        // Knuth's MMIX constants; the upper bits are the good ones.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 1000 < likely
    }

    fn at(&mut self, at: Duration, due: InFlight) {
        self.counted += 1;
        self.events.insert((at, self.counted), due);
    }

    fn carry(&mut self, now: Duration, make: impl Fn() -> InFlight) {
        let Weather {
            lost, twice, late, ..
        } = self.weather;
        let copies = 1 + u64::from(self.one_of_1000(twice));
        for _ in 0..copies {
            if self.one_of_1000(lost) {
                continue;
            }
            let takes = if self.one_of_1000(late) { 3000 } else { 100 };
            self.at(now + Duration::from_micros(takes), make());
        }
    }
}

/// Runs a whole transfer with a client after RFC 1350 and 7440. Gives what it got, how it ended for the
/// sender, when, and when the sender last heard something new.
fn transfer(
    blocks: u64,
    window: u16,
    weather: Weather,
) -> (Vec<u64>, TransferEnd, Duration, Duration, Sender) {
    const IMPATIENT: Duration = Duration::from_secs(1);
    let mut network = SimulatedNetwork {
        weather,
        random: weather.seed,
        events: BTreeMap::new(),
        counted: 0,
    };
    let mut now = ms(0);
    let (mut sender, mut step) = Sender::new((blocks - 1) * 512 + 7, &terms(512, window), now);
    let mut got: Vec<u64> = Vec::new();
    let (mut in_window, mut heard, mut gap_told) = (0, 0_u64, false);
    network.at(now + IMPATIENT, InFlight::Impatience(0));
    loop {
        match step {
            SenderAction::Ended(end) => {
                let progress = sender.progress;
                return (got, end, now, progress, sender);
            }
            SenderAction::Options => network.carry(now, || InFlight::Options),
            SenderAction::Blocks(ref blocks) => {
                for block in blocks.clone() {
                    network.carry(now, || InFlight::Block(block));
                }
            }
            SenderAction::Wait => {}
        }
        let next = network.events.first_key_value().map(|((at, _), _)| *at);
        let next = next.filter(|at| *at < sender.due());
        let Some(at) = next else {
            now = sender.due();
            step = sender.expired(now);
            assert_ne!(step, SenderAction::Wait, "the time that was told had come");
            continue;
        };
        now = at;
        let (_, event) = network.events.pop_first().expect("there is one");
        step = SenderAction::Wait;
        let has = got.len() as u64;
        match event {
            InFlight::Acknowledgement(number) => {
                step = sender.acknowledged(number, now);
                continue;
            }
            InFlight::Impatience(when) if when != heard => continue,
            InFlight::Impatience(_) if has == blocks => continue,
            InFlight::Impatience(_) => network.carry(now, || InFlight::Acknowledgement(wire(has))),
            InFlight::Options if has == 0 => network.carry(now, || InFlight::Acknowledgement(0)),
            InFlight::Options => continue,
            InFlight::Block(block) if block == has + 1 => {
                got.push(block);
                in_window += 1;
                gap_told = false;
                if in_window == window || block == blocks {
                    in_window = 0;
                    network.carry(now, || InFlight::Acknowledgement(wire(block)));
                }
            }
            // Something is missing, or comes again. A client without a window acknowledges it each time.
            InFlight::Block(_) if window > 1 && gap_told => continue,
            InFlight::Block(_) => {
                gap_told = true;
                in_window = 0;
                network.carry(now, || InFlight::Acknowledgement(wire(has)));
            }
        }
        heard += 1;
        network.at(now + IMPATIENT, InFlight::Impatience(heard));
    }
}

proptest! {
    #[test]
    fn the_client_gets_the_file_or_the_sender_was_patient(
        blocks in 1_u64..400,
        window in prop::sample::select(vec![1_u16, 2, 8, 16]),
        lost in prop::sample::select(vec![0_u64, 5, 25, 50, 300, 1000]),
        twice in prop::sample::select(vec![0_u64, 25, 200]),
        late in prop::sample::select(vec![0_u64, 25, 200]),
        seed: u64,
    ) {
        let weather = Weather { lost, twice, late, seed };
        let (got, end, at, progress, sender) = transfer(blocks, window, weather);
        prop_assert!(got.iter().copied().eq(1..=got.len() as u64));
        let waited = at - progress;
        match end {
            TransferEnd::Complete => prop_assert_eq!(got.len() as u64, blocks),
            TransferEnd::Unconfirmed => prop_assert!(waited >= PATIENCE_AT_THE_END),
            TransferEnd::Silent => prop_assert!(waited >= PATIENCE),
            other => prop_assert!(false, "{:?}", other),
        }
        if lost <= 50 {
            prop_assert_eq!(got.len() as u64, blocks, "{:?} after {:?}", end, at);
        }
        if lost == 0 && twice == 0 && late == 0 {
            prop_assert_eq!(sender.resent(), 0);
        }
    }

    #[test]
    fn any_events_in_any_order_are_survived(
        size in 0_u64..200_000_000,
        options in prop::collection::vec((prop::sample::select(vec!["blksize", "windowsize", "timeout"]), 1_u64..70_000), 0..3),
        events in prop::collection::vec((0_u8..4, any::<u16>(), 0_u64..9_000), 0..200),
    ) {
        let values: Vec<_> = options.iter().map(|(name, value)| (*name, value.to_string())).collect();
        let asked: Vec<_> = values.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let Ok(terms) = negotiate(&asked, size, Limits::of_link(1500)) else { return Ok(()) };
        let mut now = ms(0);
        let (mut sender, mut step) = Sender::new(size, &terms, now);
        for (kind, number, after) in events {
            match step {
                SenderAction::Ended(_) => break,
                SenderAction::Blocks(ref blocks) => {
                    prop_assert!(blocks.end - blocks.start <= u64::from(terms.window));
                    for block in blocks.clone() {
                        let bytes = sender.bytes(block);
                        prop_assert!(bytes.start <= bytes.end && bytes.end <= size);
                        prop_assert!(bytes.end - bytes.start <= u64::from(terms.block));
                    }
                }
                SenderAction::Options => prop_assert!(!terms.accepted.is_empty()),
                SenderAction::Wait => {}
            }
            now += ms(after);
            step = match kind {
                0 => sender.acknowledged(number, now),
                1 => sender.acknowledged(wire(sender.sent).wrapping_sub(number % 20), now),
                2 => sender.expired(now),
                _ => sender.asked_again(number.is_multiple_of(2), now),
            };
            prop_assert!(sender.delivered() <= size);
        }
    }
}
