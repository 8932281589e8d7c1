//! Who was sent to its disk, and came up there, or back to the network.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::loader::local_boot::{BootLoader, Departure, LocalBootHistory, LocalBootMethod};
use crate::machine::{Machine, State};

/// Machines that were sent to their disks and not heard of since. It is kept in memory only: what was learnt is in the
/// journal, and a restart only loses what one boot would have taught. Only machines that were installed are in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Departures(BTreeMap<Mac, PendingDeparture>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PendingDeparture {
    /// The card that asked. Firmware that goes on to its next entry may try the network over another card first.
    card: Mac,
    left: Departure,
    at: Timestamp,
    /// How often it led back to the network in a row.
    missed: u32,
}

/// Two requests within this time are one: TFTP repeats a request that got lost.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A machine that asks the network again within this time was not up in between. After a longer time it may have been
/// up, and only its report did not arrive.
const BACK: Duration = Duration::from_secs(15 * 60);

/// Servers take minutes from their disk's loader to their system, and longer where a file system is checked.
const UP: Duration = Duration::from_secs(30 * 60);

/// How often a way that worked before may lead back to the network in a row: the first time, a person may have switched
/// the machine off.
const PATIENCE: u32 = 2;

impl Departures {
    /// The way for an installed machine that asks for one now, and the way that just led back to the network if it did.
    pub fn leave(
        &mut self,
        machine: &Machine,
        card: Mac,
        loader: BootLoader,
        now: Timestamp,
    ) -> (LocalBootMethod, Option<Departure>) {
        let known = machine.local_boot.as_ref();
        let before = self.0.get(&machine.id).copied();
        let before = before.filter(|d| d.card == card && d.left.loader == loader);
        let (way, missed, failed) = match before {
            Some(d) if now.since(d.at) <= AT_ONCE => return (d.left.way, None),
            Some(d) if now.since(d.at) <= BACK => {
                let worked =
                    known.is_some_and(|k| k.loader == loader && k.works == Some(d.left.way));
                let missed = d.missed + 1;
                if worked && missed < PATIENCE {
                    (d.left.way, missed, None)
                } else {
                    let known = LocalBootHistory::came_back(known, d.left);
                    let next = loader.way(Some(&known), Some(d.left.way));
                    (next, 0, Some(d.left))
                }
            }
            _ => (loader.way(known, None), 0, None),
        };
        let departure = PendingDeparture {
            card,
            left: Departure { loader, way },
            at: now,
            missed,
        };
        self.0.insert(machine.id, departure);
        (way, failed)
    }

    /// The machine's installed system says that it runs: the way that it came by, if it was sent one.
    pub fn arrived(&mut self, machine: Mac, now: Timestamp) -> Option<Departure> {
        let departure = self.0.remove(&machine)?;
        (now.since(departure.at) <= UP).then_some(departure.left)
    }
}

/// Whether the machine has a system on its disk, as it or the agent reported. For a machine without one, it proves
/// nothing that it asks the network again.
pub fn is_expected_up(machine: &Machine) -> bool {
    matches!(
        machine.state,
        State::Installed | State::Running | State::Joined
    )
}

#[cfg(test)]
mod tests;
