//! Who is being answered at one door: not too many, not too many strangers from one side, and few packets of one card.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netboot::dhcp::lease::Standing;

/// Packets in work at once. They share the store's writes, and those that ask the wire for an address wait for a while.
const ALL: usize = 1024;

/// Those of strangers, whose cards may be invented. The others are always left to enrolled machines.
const STRANGERS: usize = 896;

/// Those of strangers behind one relay agent, or on the LAN itself: the others are left to other relays.
const OF_ONE_SIDE: usize = 512;

/// Those of one card. A client waits for an answer for a second at least.
const OF_ONE_CARD: usize = 8;

/// A flood is told of so often.
const NEWS: Duration = Duration::from_secs(10);

/// Where a packet comes from, as far as it says so before anybody reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    /// The relay agent's address; unspecified for the LAN itself.
    pub(super) side: Ipv4Addr,
    pub(super) card: [u8; 6],
    pub(super) standing: Standing,
}

impl Asker {
    /// Whatever these bytes are: the header's `giaddr` and `chaddr` (RFC 2131 §2).
    pub(super) fn of(packet: &[u8], standing: impl FnOnce([u8; 6]) -> Standing) -> Self {
        let octets = |at: usize| packet.get(at..);
        let side: [u8; 4] = octets(24)
            .and_then(|o| o.first_chunk().copied())
            .unwrap_or_default();
        let card = octets(28)
            .and_then(|o| o.first_chunk().copied())
            .unwrap_or_default();
        Self {
            side: side.into(),
            card,
            standing: standing(card),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    strangers: usize,
    /// Of strangers only.
    by_side: HashMap<Ipv4Addr, usize>,
    by_card: HashMap<[u8; 6], usize>,
    /// When a flood was told of last.
    told: Option<Instant>,
}

/// There is no room for the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full {
    /// Nobody was told so for a while.
    pub(super) is_news: bool,
}

impl Seats {
    pub(super) fn take(self: &Arc<Self>, asker: Asker) -> Result<Seat, Full> {
        let mut taken = self.taken();
        if !taken.has_room_for(asker) {
            let is_news = taken.told.is_none_or(|told| told.elapsed() >= NEWS);
            if is_news {
                taken.told = Some(Instant::now());
            }
            return Err(Full { is_news });
        }
        taken.all += 1;
        *taken.by_card.entry(asker.card).or_default() += 1;
        if asker.standing == Standing::Stranger {
            taken.strangers += 1;
            *taken.by_side.entry(asker.side).or_default() += 1;
        }
        Ok(Seat {
            seats: self.clone(),
            asker,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Whoever panicked left whole numbers.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn has_room_for(&self, asker: Asker) -> bool {
        let of_card = self.by_card.get(&asker.card).copied().unwrap_or_default();
        let of_side = self.by_side.get(&asker.side).copied().unwrap_or_default();
        let stranger = asker.standing == Standing::Stranger;
        self.all < ALL
            && of_card < OF_ONE_CARD
            && !(stranger && (self.strangers >= STRANGERS || of_side >= OF_ONE_SIDE))
    }
}

/// The right to be answered. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    asker: Asker,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        leave(&mut taken.by_card, self.asker.card);
        if self.asker.standing == Standing::Stranger {
            taken.strangers -= 1;
            leave(&mut taken.by_side, self.asker.side);
        }
    }
}

/// One less; what nobody has is not remembered.
fn leave<K: Eq + Hash>(numbers: &mut HashMap<K, usize>, key: K) {
    if let Some(number) = numbers.get_mut(&key) {
        *number -= 1;
        if *number == 0 {
            numbers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(relay: u8, card: usize, standing: Standing) -> Asker {
        let [.., a, b] = card.to_be_bytes();
        Asker {
            side: [10, relay, 0, 1].into(),
            card: [2, 0, 0, relay, a, b],
            standing,
        }
    }

    /// As many of these as there is room for.
    fn flood(seats: &Arc<Seats>, relay: u8, standing: Standing) -> Vec<Seat> {
        let all = (0..2 * ALL).map(|card| seats.take(asker(relay, card, standing)));
        all.filter_map(Result::ok).collect()
    }

    #[test]
    fn a_flood_behind_one_relay_leaves_room_for_another() {
        let seats = Arc::default();
        let flood_of_one = flood(&seats, 1, Standing::Stranger);
        assert_eq!(flood_of_one.len(), OF_ONE_SIDE);
        let other = seats.take(asker(2, 0, Standing::Stranger));
        assert!(other.is_ok(), "behind another relay");
        drop(flood_of_one);
        let again = seats.take(asker(1, 0, Standing::Stranger));
        assert!(again.is_ok(), "when it is over");
    }

    #[test]
    fn no_flood_of_strangers_shuts_out_an_enrolled_machine() {
        let seats = Arc::default();
        let floods: Vec<Vec<Seat>> = (1..=4)
            .map(|relay| flood(&seats, relay, Standing::Stranger))
            .collect();
        assert_eq!(floods.iter().map(Vec::len).sum::<usize>(), STRANGERS);
        for relay in [1, 9] {
            let stranger = seats.take(asker(relay, 5_000, Standing::Stranger));
            assert!(stranger.is_err(), "behind relay {relay}");
            let enrolled = seats.take(asker(relay, 5_000, Standing::Enrolled));
            assert!(enrolled.is_ok(), "behind relay {relay}");
        }
    }

    #[test]
    fn one_card_has_few() {
        for standing in [Standing::Stranger, Standing::Enrolled] {
            let seats = Arc::default();
            let ask = || Seats::take(&seats, asker(1, 7, standing));
            let all: Vec<Seat> = (0..100).filter_map(|_| ask().ok()).collect();
            assert_eq!(all.len(), OF_ONE_CARD, "{standing:?}");
            assert!(seats.take(asker(1, 8, standing)).is_ok());
        }
    }

    #[test]
    fn a_flood_is_told_of_once_in_a_while_and_nothing_is_kept_of_it() {
        let seats = Arc::default();
        let held = flood(&seats, 1, Standing::Stranger);
        // The flood itself was refused, and so it was told of already.
        let refused = seats.take(asker(1, 9_000, Standing::Stranger));
        assert_eq!(refused.expect_err("is full"), Full { is_news: false });
        seats.taken().told = Instant::now().checked_sub(NEWS);
        let refused = seats.take(asker(1, 9_000, Standing::Stranger));
        assert_eq!(refused.expect_err("is full"), Full { is_news: true });
        drop(held);
        let taken = seats.taken();
        assert_eq!((taken.all, taken.strangers), (0, 0));
        assert!(taken.by_side.is_empty() && taken.by_card.is_empty());
    }

    #[test]
    fn any_bytes_come_from_somewhere() {
        for length in 0..300 {
            let packet = vec![7; length];
            let asker = Asker::of(&packet, |_| Standing::Stranger);
            let whole = length >= 34;
            assert_eq!(asker.card == [7; 6], whole, "{length}");
            assert_eq!(asker.side.is_unspecified(), length < 28, "{length}");
        }
    }
}
