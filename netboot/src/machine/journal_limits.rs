//! Rate limits and quotas of the journal: what callers on the LAN say must not fill it.
//!
//! The counts are folded from the events, so a restart keeps them.

use std::time::Duration;

use crate::base::timestamp::Timestamp;

/// The most refusals a day that go on record for strangers, and for calls that belong to no machine.
pub(crate) const STRAY_REFUSALS: u32 = 1000;

/// The most refusals a day that go on record for the operators' port (`admin.listen`).
pub(crate) const ADMIN_REFUSALS: u32 = 1000;

/// The most refusals a day that go on record for one machine.
pub(crate) const REFUSALS: u32 = 50;

/// How often a day a fact about firmware may be replaced by another, over all machines.
pub(crate) const REPLACED_FACTS: u32 = 1000;

/// How long a fact about one machine's firmware stays before another may replace it.
pub(crate) const FACTS_STAND: Duration = Duration::from_secs(60);

/// The most inventories of one attempt: disks come and go while it waits for an operator.
pub(crate) const INVENTORIES: u32 = 32;

/// The most bytes of an inventory, as JSON: enough for fifty disks with ten partitions each.
pub(crate) const INVENTORY: usize = 128 << 10;

/// The most reports of one attempt that go on record: ten steps with some repeats each.
pub(crate) const REPORTS: u32 = 400;

/// The most retries among these reports: a connection that is down for hours has one cause, which is reported over and
/// over.
pub(crate) const RETRIES: u32 = 100;

/// Counts per day (UTC).
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

/// Counts of what callers had written down about one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallerTally {
    pub(crate) refusals: DailyCount,
    /// When a fact about its firmware last replaced another.
    pub(crate) replaced: Option<Timestamp>,
}

/// Counts of what the agent of one attempt had written down.
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
