//! How much of what callers say goes on record: nobody on the LAN may fill the journal.
//!
//! Counted while events are folded, so a restart forgets nothing of it.

use std::time::Duration;

use crate::base::timestamp::Timestamp;

/// Refusals a day that belong to no machine, or to one that nobody enrolled.
pub(crate) const STRAY_REFUSALS: u32 = 1000;

/// Refusals a day at the operators' door on the network.
pub(crate) const ADMIN_REFUSALS: u32 = 1000;

/// Refusals a day that belong to one machine.
pub(crate) const REFUSALS: u32 = 50;

/// How often a day what is known of firmware is replaced by something else, over all machines.
pub(crate) const REPLACED_FACTS: u32 = 1000;

/// How long what is known of one machine's firmware stands before something else replaces it.
pub(crate) const FACTS_STAND: Duration = Duration::from_secs(60);

/// Inventories of one attempt: disks come and go while it waits for an operator.
pub(crate) const INVENTORIES: u32 = 32;

/// Bytes of an inventory, as JSON: of fifty disks with ten partitions each.
pub(crate) const INVENTORY: usize = 128 << 10;

/// Reports of one attempt that go on record: ten steps with some repeats each.
pub(crate) const REPORTS: u32 = 400;

/// Of these, beginnings over again: a line that is down for hours is one cause, told over and over.
pub(crate) const RETRIES: u32 = 100;

/// Counts what happens, by the day (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DailyCount {
    day: i64,
    count: u32,
}

impl DailyCount {
    fn day(at: Timestamp) -> i64 {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        at.millis().div_euclid(DAY)
    }

    pub(crate) fn note(&mut self, at: Timestamp) {
        let day = Self::day(at);
        let before = if day == self.day { self.count } else { 0 };
        let count = before.saturating_add(1);
        *self = Self { day, count };
    }

    /// Whether there is room for one more at `now`.
    pub(crate) fn has_room(self, now: Timestamp, most: u32) -> bool {
        self.day != Self::day(now) || self.count < most
    }
}

/// What was written down of one machine by the word of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallerTally {
    pub(crate) refusals: DailyCount,
    /// When a fact about its firmware last replaced another.
    pub(crate) replaced: Option<Timestamp>,
}

/// What was written down of one attempt by the word of its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportTally {
    pub(crate) inventories: u32,
    pub(crate) reports: u32,
    pub(crate) retries: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_number_and_the_next_begins_anew() {
        let noon = Timestamp::from_millis(12 * 60 * 60 * 1000);
        let tomorrow = noon.plus(Duration::from_secs(12 * 60 * 60));
        let mut daily = DailyCount::default();
        for _ in 0..3 {
            assert!(daily.has_room(noon, 3));
            daily.note(noon);
        }
        assert!(!daily.has_room(noon, 3));
        assert!(daily.has_room(tomorrow, 3));
        daily.note(tomorrow);
        assert!(!daily.has_room(tomorrow, 1));
    }
}
