//! Events → the state of one machine. A stored machine changes here, by [`Machine::apply`], and nowhere else; `state`
//! counts its refusals.

use crate::base::mac::Mac;
use crate::base::timestamp::Timestamp;
use crate::base::token::Ticket;
use crate::dhcp::request::Facts;
use crate::install::report::{InstallStep, Report, StepOutcome};
use crate::loader::local_boot::LocalBootHistory;
use crate::machine::event::{BY_POLICY, Event, EventKind};
use crate::machine::journal_limits::CallerTally;
use crate::machine::wipe_confirmation::WrittenDisk;
use crate::machine::{
    Armed, Attempt, Discovery, DiskKey, Generation, HandedKey, Machine, Secrets, State,
};

impl Machine {
    /// A machine that was just seen for the first time.
    pub(super) fn stranger(id: Mac, at: Timestamp) -> Self {
        Self {
            id,
            macs: vec![id],
            name: None,
            profile: None,
            state: State::Seen,
            since: at,
            first_seen: at,
            enrolled: None,
            enrolled_itself: false,
            installed: None,
            facts: Facts::default(),
            boot_method: None,
            hardware: None,
            discovery: None,
            armed: None,
            attempt: None,
            written: Vec::new(),
            begun: Vec::new(),
            confirmed: Vec::new(),
            failure: Vec::new(),
            ssh_host_key: None,
            disk_key: None,
            node_key: None,
            boot_id: String::new(),
            boot_order: Vec::new(),
            local_boot: None,
            generations: Vec::new(),
            tally: CallerTally::default(),
        }
    }

    /// Into a state, from now on; the time of one that it is in already stays.
    fn turn(&mut self, state: State, at: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = at;
        }
    }

    /// An operator orders an install: what was known of the order before is void.
    fn arm(&mut self, armed: Armed, ticket: &Ticket, at: Timestamp) {
        self.armed = Some(armed);
        self.attempt = Some(Attempt::new(1, ticket.clone()));
        self.discovery = None;
        self.begun.clear();
        self.confirmed.clear();
        self.failure.clear();
        self.turn(State::Enrolled, at);
    }

    /// Folds in an event that is about this machine.
    pub(super) fn apply(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            EventKind::Seen { facts } => {
                if self.facts.contradicts(facts) {
                    self.tally.replaced = Some(at);
                }
                self.facts.learn(facts);
            }
            EventKind::Reached { boot_method } => self.boot_method = Some(boot_method.clone()),
            EventKind::Enrolled {
                macs,
                name,
                profile,
                until,
                ticket,
                by,
            } => {
                let others = macs.iter().filter(|mac| **mac != self.id);
                self.macs = std::iter::once(&self.id).chain(others).copied().collect();
                self.name = Some(name.clone());
                self.profile = Some(profile.clone());
                self.enrolled = Some(at);
                self.enrolled_itself = by == BY_POLICY;
                self.arm(
                    Armed {
                        until: *until,
                        release: None,
                    },
                    ticket,
                    at,
                );
            }
            EventKind::Reimaged {
                release,
                until,
                ticket,
                by: _,
            } => {
                self.arm(
                    Armed {
                        until: *until,
                        release: *release,
                    },
                    ticket,
                    at,
                );
            }
            EventKind::Attempt { number, ticket } => {
                self.attempt = Some(Attempt::new(*number, ticket.clone()));
            }
            EventKind::Served { ticket } => self.attempt_of(ticket, |a| a.served = Some(at)),
            EventKind::Claimed { ticket, claim } => {
                self.attempt_of(ticket, |a| a.claim = Some(claim.clone()));
                self.failure.clear();
                self.turn(State::Installing, at);
            }
            EventKind::Discovering => {
                let before = self.discovery.take().map_or(0, |d| d.tries);
                self.discovery = Some(Discovery {
                    tries: before + 1,
                    served: at,
                    discovered: None,
                });
            }
            EventKind::Discovered { hardware } => {
                if let Some(discovery) = &mut self.discovery {
                    discovery.discovered = Some(at);
                }
                self.hardware = Some(hardware.clone());
            }
            EventKind::Inventoried { hardware } => {
                let text = |s: &String| Some(s.clone()).filter(|s| !s.is_empty());
                let (uuid, serial) = (text(&hardware.uuid), text(&hardware.serial));
                self.facts.learn(&Facts {
                    uuid,
                    serial,
                    ..Facts::default()
                });
                self.hardware = Some(hardware.clone());
                self.in_attempt(|a| a.tally.inventories += 1);
            }
            EventKind::Planned { plan } => {
                self.in_attempt(|a| a.plan = Some((**plan).clone()));
            }
            EventKind::Waits { waits } => {
                self.in_attempt(|a| {
                    a.waits = Some(waits.clone());
                    // One that was made before, for other disks, is not carried out.
                    a.plan = None;
                });
            }
            EventKind::Confirmed { disks, until, .. } => {
                self.confirmed.clone_from(disks);
                if let Some(armed) = &mut self.armed {
                    armed.until = armed.until.max(*until);
                }
            }
            EventKind::Reported { report } => {
                if let StepOutcome::Failed { causes } = &report.outcome {
                    self.failure.clone_from(causes);
                }
                self.remember_written(report);
                self.in_attempt(|a| {
                    a.progress.fold(report);
                    a.tally.reports += 1;
                    a.tally.retries +=
                        u32::from(matches!(report.outcome, StepOutcome::Retry { .. }));
                });
            }
            EventKind::Sealed { sealed, node_key } => {
                self.node_key = Some(node_key.clone());
                self.in_attempt(|a| {
                    a.secrets = Secrets::Sealed {
                        sealed: sealed.clone(),
                    }
                });
            }
            EventKind::Received => self.in_attempt(|a| a.secrets = Secrets::Received),
            EventKind::DiskKeyMade {
                kept,
                credential,
                sealed,
            } => {
                let (kept, credential) = (kept.clone(), credential.clone());
                let made = at;
                self.in_attempt(|a| {
                    a.disk_key = Some(HandedKey {
                        key: DiskKey {
                            kept,
                            credential,
                            made,
                        },
                        sealed: sealed.clone(),
                    });
                });
            }
            EventKind::Installed {
                generation,
                ssh_host_key,
            } => {
                self.generations.push(generation.clone());
                self.ssh_host_key = Some(ssh_host_key.clone());
                // The former key does not open any disk any more.
                let handed = self.attempt.as_ref().and_then(|a| a.disk_key.as_ref());
                self.disk_key = handed.map(|handed| handed.key.clone());
                self.installed = Some(at);
                self.armed = None;
                self.begun.clear();
                self.confirmed.clear();
                self.forget_overwritten();
                self.failure.clear();
                // What is on the disk now was not there when a way failed.
                if let Some(known) = &mut self.local_boot {
                    known.failed.clear();
                }
                self.turn(State::Installed, at);
            }
            EventKind::GaveUp { reason } => {
                self.failure.insert(0, reason.clone());
                self.armed = None;
                self.turn(State::Failed, at);
            }
            EventKind::BootOrder { order } => self.boot_order.clone_from(order),
            EventKind::LeftToDisk { left } => {
                self.local_boot = Some(LocalBootHistory::worked(*left));
            }
            EventKind::CameBack { left } => {
                let known = LocalBootHistory::came_back(self.local_boot.as_ref(), *left);
                self.local_boot = Some(known);
            }
            EventKind::Booted { generation } => self.booted(generation, at),
            EventKind::Joined { .. } if self.state == State::Running => {
                self.turn(State::Joined, at);
            }
            EventKind::Joined { .. }
            | EventKind::Refused { .. }
            | EventKind::Forgotten { .. }
            | EventKind::Unlocked { .. }
            | EventKind::KeyShown { .. }
            | EventKind::PoolExhausted { .. }
            | EventKind::PoolRecovered { .. }
            | EventKind::AddressInUse { .. }
            | EventKind::AddressDeclined { .. }
            | EventKind::ReleasePublished { .. }
            | EventKind::InstallerPublished { .. }
            | EventKind::Pruned { .. }
            | EventKind::Followed { .. } => {}
        }
    }

    /// The agent begins to write: what is found on these disks from here on is this appliance's doing. Durable before
    /// it begins, because it waits for the answer to this report.
    fn remember_written(&mut self, report: &Report) {
        let plan = self.attempt.as_ref().and_then(|a| a.plan.as_ref());
        let begins = report.step == InstallStep::TearDown && report.outcome == StepOutcome::Started;
        for written in plan
            .filter(|_| begins)
            .map(WrittenDisk::by)
            .unwrap_or_default()
        {
            if !self.begun.contains(&written.disk) {
                self.begun.push(written.disk.clone());
            }
            if !self.written.iter().any(|old| old.is(&written)) {
                self.written.push(written);
            }
        }
    }

    /// Forgets what was written to a disk before, once it was installed anew.
    fn forget_overwritten(&mut self) {
        let plan = self.attempt.as_ref().and_then(|a| a.plan.as_ref());
        let now = plan.map(WrittenDisk::by).unwrap_or_default();
        self.written.retain(|old| {
            let again = now.iter().find(|new| new.is_on(&old.disk));
            again.is_none_or(|new| new.is(old))
        });
    }

    /// An installed system runs. A machine that is to be installed again stays so: it is the old system.
    fn booted(&mut self, generation: &Generation, at: Timestamp) {
        match self
            .generations
            .iter_mut()
            .rfind(|known| known.is_same(generation))
        {
            Some(known) => {
                known.booted = known.booted.or(generation.booted);
                known.boot_id.clone_from(&generation.boot_id);
                known.kernel.clone_from(&generation.kernel);
            }
            None => self.generations.push(generation.clone()),
        }
        self.boot_id.clone_from(&generation.boot_id);
        if matches!(self.state, State::Installed | State::Failed) {
            self.failure.clear();
            self.turn(State::Running, at);
        }
    }

    /// Changes the attempt that it is in, if it is in one.
    fn in_attempt(&mut self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = &mut self.attempt {
            change(attempt);
        }
    }

    /// Changes the attempt of this ticket; one that was superseded meanwhile is left alone.
    fn attempt_of(&mut self, ticket: &Ticket, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.ticket == *ticket) {
            change(attempt);
        }
    }
}
