//! Events → everything the appliance knows: machines, releases, installers. What an event makes of one machine is
//! `transitions`.

use std::collections::BTreeMap;

use crate::base::mac::Mac;
use crate::base::name::{HostName, SystemName};
use crate::base::problem::nearest;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::release::FollowedCommit;
use crate::base::release::PublishedInstaller;
use crate::base::release::Release;
use crate::base::timestamp::Timestamp;
use crate::base::token::{Digest, Ticket};
use crate::dhcp::request::Facts;
use crate::dhcp::request::is_raspberry_pi_card;
use crate::machine::event::{Event, EventKind};
use crate::machine::journal_limits::{self, DailyCount};
use crate::machine::{Attempt, DiskKey, Machine, State};

/// The fold of the whole journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplianceState {
    pub machines: BTreeMap<Mac, Machine>,
    /// Oldest first.
    pub releases: Vec<Release>,
    /// Every installer that was published, oldest first.
    pub installers: Vec<PublishedInstaller>,
    /// The last commit of the followed branch that the service published, or tried to.
    pub followed: Option<FollowedCommit>,
    /// The number of the last event folded in.
    pub seq: u64,
    /// The disk keys of machines that were forgotten, the last one of each: their owner may still need what is on the
    /// disks.
    pub forgotten_keys: BTreeMap<Mac, (HostName, DiskKey)>,
    /// Refusals on record for strangers, and for calls that belong to no machine.
    stray_refusals: DailyCount,
    /// Refusals on record for the operators' port (`admin.listen`).
    admin_refusals: DailyCount,
    /// Facts about firmware that replaced others.
    replaced_facts: DailyCount,
}

/// Who may have a refusal put on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalSubject {
    Nobody,
    Machine(Mac),
    Admin,
}

impl ApplianceState {
    /// Folds one event in. It is total: an event that makes no sense any more has no effect.
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        match (&event.what, event.machine) {
            (EventKind::ReleasePublished { release }, _) => self.releases.push(release.clone()),
            (EventKind::InstallerPublished { installer }, _) => {
                self.installers.push(installer.clone());
            }
            (EventKind::Followed { revision, trouble }, _) => {
                let before = self.followed.as_ref();
                self.followed = Some(FollowedCommit::after(before, revision, trouble, event.at));
            }
            (EventKind::Pruned { system, number, .. }, _) => {
                let of = |r: &&mut Release| r.system == *system && r.number == *number;
                if let Some(release) = self.releases.iter_mut().find(of) {
                    release.pruned = Some(event.at);
                }
            }
            (EventKind::Refused { admin, .. }, machine) => {
                let of = match machine {
                    Some(id) => RefusalSubject::Machine(id),
                    None if *admin => RefusalSubject::Admin,
                    None => RefusalSubject::Nobody,
                };
                self.refusals(of).note(event.at);
            }
            (EventKind::Forgotten { .. }, Some(id)) => {
                let machine = self.machines.remove(&id);
                let key = machine.and_then(|m| Some((m.name?, m.disk_key?)));
                self.forgotten_keys.extend(key.map(|key| (id, key)));
            }
            (EventKind::Installed { .. }, Some(id)) => {
                self.forgotten_keys.remove(&id);
                if let Some(machine) = self.machines.get_mut(&id) {
                    machine.apply(event);
                }
            }
            (EventKind::Enrolled { macs, .. }, Some(id)) => {
                // A second card of the same box may have been seen as a stranger of its own.
                self.machines
                    .retain(|other, _| *other == id || !macs.contains(other));
                self.machine(id, event.at).apply(event);
            }
            (EventKind::Seen { facts }, Some(id)) => {
                if self.machine(id, event.at).facts.contradicts(facts) {
                    self.replaced_facts.note(event.at);
                }
                self.machine(id, event.at).apply(event);
            }
            (_, Some(id)) => {
                if let Some(machine) = self.machines.get_mut(&id) {
                    machine.apply(event);
                }
            }
            (_, None) => {}
        }
    }

    fn machine(&mut self, id: Mac, at: Timestamp) -> &mut Machine {
        self.machines
            .entry(id)
            .or_insert_with(|| Machine::stranger(id, at))
    }

    /// Where refusals are counted. Strangers share one count: their MACs cost nothing.
    fn refusals(&mut self, of: RefusalSubject) -> &mut DailyCount {
        let enrolled = |m: &&mut Machine| m.state != State::Seen;
        match of {
            RefusalSubject::Admin => &mut self.admin_refusals,
            RefusalSubject::Machine(id) => match self.machines.get_mut(&id).filter(enrolled) {
                Some(machine) => &mut machine.tally.refusals,
                None => &mut self.stray_refusals,
            },
            RefusalSubject::Nobody => &mut self.stray_refusals,
        }
    }

    /// Whether one more refusal goes on record at `now`.
    pub(crate) fn has_room(&self, of: RefusalSubject, now: Timestamp) -> bool {
        let enrolled = |m: &&Machine| m.state != State::Seen;
        let machine = match of {
            RefusalSubject::Admin => {
                return self
                    .admin_refusals
                    .has_room(now, journal_limits::ADMIN_REFUSALS);
            }
            RefusalSubject::Machine(id) => self.machines.get(&id).filter(enrolled),
            RefusalSubject::Nobody => None,
        };
        match machine {
            Some(machine) => machine
                .tally
                .refusals
                .has_room(now, journal_limits::REFUSALS),
            None => self
                .stray_refusals
                .has_room(now, journal_limits::STRAY_REFUSALS),
        }
    }

    /// The facts that are taken over at `now`: always those that were not known; those that would replace another only
    /// within the rate limit.
    pub(crate) fn taken_over(&self, machine: &Machine, facts: &Facts, now: Timestamp) -> Facts {
        let rested = |at| now.since(at) >= journal_limits::FACTS_STAND;
        let room = machine.tally.replaced.is_none_or(rested)
            && self
                .replaced_facts
                .has_room(now, journal_limits::REPLACED_FACTS);
        match room {
            true => facts.clone(),
            false => machine.facts.new_in(facts),
        }
    }

    /// The machine that has this card.
    pub fn by_mac(&self, mac: Mac) -> Option<&Machine> {
        self.machines
            .get(&mac)
            .or_else(|| self.machines.values().find(|m| m.macs.contains(&mac)))
    }

    /// The Raspberry Pi whose firmware asks for files in the folder of this serial number, eight hexadecimal digits.
    ///
    /// A Pi 4 and later tell their serial number in option 97; Linux says all sixteen digits of it. A Pi 3 and older
    /// tell none, but their MAC ends in the last six digits of it. One that was enrolled goes before those that only
    /// say so. `None` if two machines answer to it.
    pub fn by_raspberry_pi(&self, serial: &str) -> Option<&Machine> {
        let told = |m: &Machine| {
            let known = m.facts.serial.as_deref().unwrap_or_default();
            known.len() >= serial.len() && known.to_ascii_lowercase().ends_with(serial)
        };
        let named = |mac: &Mac| {
            let [vendor @ .., a, b, c] = mac.octets();
            vendor == [0xb8, 0x27, 0xeb] && serial.ends_with(&format!("{a:02x}{b:02x}{c:02x}"))
        };
        let answers = |m: &&Machine| {
            m.macs.iter().copied().any(is_raspberry_pi_card)
                && (told(m) || m.macs.iter().any(named))
        };
        let (strangers, enrolled): (Vec<_>, Vec<_>) = self
            .machines
            .values()
            .filter(answers)
            .partition(|m| m.state == State::Seen);
        let wanted = if enrolled.is_empty() {
            strangers
        } else {
            enrolled
        };
        match wanted[..] {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The machine of this name, or with this MAC in any spelling.
    pub fn find(&self, who: &str) -> Result<&Machine, Refusal> {
        let named = |m: &&Machine| m.name.as_ref().is_some_and(|name| name.as_str() == who);
        let by_mac = || who.parse().ok().and_then(|mac| self.by_mac(mac));
        if let Some(machine) = self.machines.values().find(named).or_else(by_mac) {
            return Ok(machine);
        }
        let titles: Vec<String> = self.machines.values().map(Machine::title).collect();
        let refusal = Refusal::new(
            RefusalCode::UnknownHost,
            format!("no machine is called `{who}`"),
        );
        let refusal = match titles.len() {
            0 => refusal.fact("no machine is known yet"),
            _ => refusal.fact(format!("known machines: {}", sorted(titles.clone()))),
        };
        Err(match nearest(who, titles.iter().map(String::as_str)) {
            Some(near) => refusal.tip(format!("did you mean `{near}`?")),
            None => refusal.tip("pxe-admin machines"),
        })
    }

    /// The newest release of a system that is in the cache.
    pub fn newest(&self, system: &SystemName) -> Option<&Release> {
        self.in_cache(system).next_back()
    }

    /// The releases of a system that were not pruned, oldest first.
    pub fn in_cache(&self, system: &SystemName) -> impl DoubleEndedIterator<Item = &Release> {
        let there = move |r: &&Release| r.system == *system && r.pruned.is_none();
        self.releases.iter().filter(there)
    }

    /// One release of a system, pruned or not.
    pub fn release(&self, system: &SystemName, number: u32) -> Option<&Release> {
        self.releases
            .iter()
            .find(|r| r.system == *system && r.number == number)
    }

    /// The machine whose attempt this ticket is.
    pub fn by_ticket(&self, ticket: &Ticket) -> Option<&Machine> {
        self.machines
            .values()
            .find(|m| m.attempt.as_ref().is_some_and(|a| a.ticket == *ticket))
    }

    /// The machine whose attempt is held by this session.
    pub fn by_session(&self, session: &Digest) -> Option<&Machine> {
        let holds = |a: &Attempt| {
            a.claim
                .as_ref()
                .is_some_and(|claim| claim.session == *session)
        };
        self.machines
            .values()
            .find(|m| m.attempt.as_ref().is_some_and(holds))
    }

    /// The machine whose installed system asks for its disk key with this.
    pub fn by_disk_credential(&self, credential: &Digest) -> Option<&Machine> {
        let asks = |m: &&Machine| {
            let key = m.disk_key.as_ref();
            key.is_some_and(|key| key.credential == *credential)
        };
        self.machines.values().find(asks)
    }

    /// The machine whose installed system has this key.
    pub fn by_node_key(&self, key: &Digest) -> Option<&Machine> {
        self.machines
            .values()
            .find(|m| m.node_key.as_ref() == Some(key))
    }
}

/// Names for a person: sorted, comma-separated.
pub(crate) fn sorted<T: Into<String>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    names.sort();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raspberry_pi_is_known_by_its_folder() {
        let mut state = ApplianceState::default();
        let mut add = |mac: &str, serial: Option<&str>| {
            let mac: Mac = mac.parse().expect("a MAC");
            let mut machine = Machine::stranger(mac, Timestamp::default());
            machine.facts.serial = serial.map(str::to_owned);
            state.machines.insert(mac, machine);
            mac
        };
        let three = add("b8:27:eb:12:34:56", None);
        let four = add("dc:a6:32:00:00:04", Some("6d7e8f90"));
        let installed = add("d8:3a:dd:00:00:05", Some("10000000CAFE0005"));
        let _ = add("52:54:00:00:00:01", Some("deadbeef"));
        let _ = add("2c:cf:67:00:00:01", Some("0badf00d"));
        let _ = add("2c:cf:67:00:00:02", Some("0badf00d"));
        // Invented cards that claim the numbers of others.
        let _ = add("b8:27:eb:00:00:01", Some("00000000c0ffee01"));
        let _ = add("b8:27:eb:00:00:02", Some("00000000c0ffee02"));
        let mine = add("dc:a6:32:00:00:06", Some("c0ffee01"));
        let third = ["dc:a6:32:00:00:07", "dc:a6:32:00:00:08"].map(|m| add(m, Some("c0ffee02")));
        for mac in [mine, third[0], third[1]] {
            let machine = state.machines.get_mut(&mac).expect("is there");
            machine.state = State::Enrolled;
        }
        for (name, serial, want) in [
            ("by its MAC", "a1123456", Some(three)),
            ("by what its ROM said", "6d7e8f90", Some(four)),
            ("by what Linux said", "cafe0005", Some(installed)),
            ("another kind of machine", "deadbeef", None),
            ("two of one number", "0badf00d", None),
            (
                "one that was enrolled and a stranger",
                "c0ffee01",
                Some(mine),
            ),
            ("two that were enrolled", "c0ffee02", None),
            ("nobody's", "00000000", None),
        ] {
            assert_eq!(state.by_raspberry_pi(serial).map(|m| m.id), want, "{name}");
        }
    }
}
