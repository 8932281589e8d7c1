//! The writer: takes what is pending, runs it on the latest state, makes all of it durable at once,
//! publishes, then answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{Lease, LeaseChange, Leases};
use netboot::machine::event::{Event, NewEvent};
use netboot::machine::state::ApplianceState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::files::StoreFiles;
use super::job::{CommitResult, DecisionJob, Done, Job, LeaseJob, unavailable};
use super::recover::AttachedIndex;
use super::shared::StoreState;
use crate::base::clock::Clock;

/// How many callers share one fsync. More would wait longer than they gain.
const GROUP: usize = 256;
/// How often the writer looks whether something is to be mended while nobody asks.
const IDLE: Duration = Duration::from_millis(500);

pub(super) struct Committer {
    pub(super) shared: Arc<StoreState>,
    pub(super) files: StoreFiles,
    pub(super) clock: Clock,
    /// What the rules work on.
    pub(super) leases: Leases,
    /// The leases on disk; `None` as long as no index could be read.
    pub(super) durable: Option<BTreeMap<Ipv4Addr, Lease>>,
    /// How many times leases were written.
    pub(super) turn: u64,
    pub(super) retry: Retry,
}

/// When something that failed is tried again.
pub(super) struct Retry {
    pub at: Instant,
    pub pause: Duration,
}

/// A caller, and whether its answer needs what this batch writes.
pub(super) struct Waiting<T> {
    done: Done<T>,
    needs_write: bool,
}

/// One batch between running and writing.
pub(super) struct Pending {
    pub state: Arc<ApplianceState>,
    /// Each with its JSON.
    pub events: Vec<(Event, String)>,
    pub changes: Vec<LeaseChange>,
    decided: Vec<Waiting<Arc<ApplianceState>>>,
    ruled: Vec<Waiting<()>>,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<StoreState>,
        files: StoreFiles,
        attached: Option<AttachedIndex>,
        clock: Clock,
    ) -> Self {
        let mut committer = Self {
            shared,
            files,
            clock,
            leases: Leases::default(),
            durable: None,
            turn: 0,
            retry: Retry::now(),
        };
        if let Some(attached) = attached {
            committer.use_index(attached);
        }
        committer
    }

    /// Works until it is told to close, or until the last handle is dropped.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut closers = Vec::new();
        loop {
            let mut jobs = Vec::new();
            match timeout(IDLE, queue.recv_many(&mut jobs, GROUP)).await {
                // The last handle was dropped.
                Ok(0) => break,
                Ok(_) | Err(_) => self.batch(jobs, &mut closers),
            }
            if !closers.is_empty() {
                // Jobs in the queue are still done; new ones are refused.
                queue.close();
            }
        }
        // The index goes before the lock, so that who opens next finds neither in use.
        self.shared.set_index(None);
        drop(self);
        for closer in closers {
            let _ = closer.send(());
        }
    }

    fn batch(&mut self, jobs: Vec<Job>, closers: &mut Vec<oneshot::Sender<()>>) {
        self.mend();
        let pending = self.prepare(jobs, closers);
        let Pending { decided, ruled, .. } = &pending;
        if decided.is_empty() && ruled.is_empty() {
            return;
        }
        let (kept, leased) = self.write(&pending);
        if leased.is_err() {
            self.unlease(&pending.changes);
        }
        let state = self.shared.state();
        for waiting in pending.decided {
            waiting.answer(&kept, Arc::clone(&state));
        }
        for waiting in pending.ruled {
            waiting.answer(&leased, ());
        }
    }

    /// Runs the jobs in their order, each on what those before it left.
    fn prepare(&mut self, jobs: Vec<Job>, closers: &mut Vec<oneshot::Sender<()>>) -> Pending {
        let mut pending = Pending {
            state: self.shared.state(),
            events: Vec::new(),
            changes: Vec::new(),
            decided: Vec::new(),
            ruled: Vec::new(),
        };
        for job in jobs {
            let now = (self.clock)();
            match job {
                Job::Close(done) => closers.push(done),
                Job::Decide(decision) => self.decide(&mut pending, now, decision),
                Job::Lease(rules) if self.durable.is_some() => {
                    self.rule(&mut pending, now, rules);
                }
                // Without the leases, any address could be in use.
                Job::Lease(rules) => {
                    let ruled = rules(&mut Leases::default(), now);
                    (ruled.done)(Err(unavailable("the leases cannot be read now")));
                }
            }
        }
        pending
    }

    fn decide(
        &self,
        pending: &mut Pending,
        now: Timestamp,
        decision: impl FnOnce(&ApplianceState, Timestamp) -> DecisionJob,
    ) {
        let before = pending.events.len();
        // A decision that panics must take neither the store nor its neighbours with it.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let DecisionJob { events, done } = decision(&pending.state, now);
            self.note(pending, now, events)?;
            Ok::<_, serde_json::Error>(done)
        }));
        match ran {
            Ok(Ok(done)) => {
                let needs_write = !pending.events.is_empty();
                pending.decided.push(Waiting { done, needs_write });
            }
            // Its caller sees that no answer comes.
            Ok(Err(_)) | Err(_) => {
                tracing::error!("a decision failed; nothing of it was kept");
                self.unnote(pending, before);
            }
        }
    }

    /// Numbers the drafts and puts them into the batch.
    fn note(
        &self,
        pending: &mut Pending,
        now: Timestamp,
        events: Vec<NewEvent>,
    ) -> serde_json::Result<()> {
        for new_event in events {
            let event = Event {
                seq: self.files.journal.seq + 1 + pending.events.len() as u64,
                at: now,
                machine: new_event.machine,
                what: new_event.what,
            };
            let payload = serde_json::to_string(&event)?;
            Arc::make_mut(&mut pending.state).apply(&event);
            pending.events.push((event, payload));
        }
        Ok(())
    }

    /// Takes all but the first `kept` events out of the batch again.
    fn unnote(&self, pending: &mut Pending, kept: usize) {
        pending.events.truncate(kept);
        let mut state = ApplianceState::clone(&self.shared.state());
        for (event, _) in &pending.events {
            state.apply(event);
        }
        pending.state = Arc::new(state);
    }

    fn rule(
        &mut self,
        pending: &mut Pending,
        now: Timestamp,
        rules: impl FnOnce(&mut Leases, Timestamp) -> LeaseJob,
    ) {
        match catch_unwind(AssertUnwindSafe(|| rules(&mut self.leases, now))) {
            Ok(LeaseJob {
                changes,
                events,
                done,
            }) => {
                pending.changes.extend(changes);
                let needs_write = !pending.changes.is_empty();
                pending.ruled.push(Waiting { done, needs_write });
                let before = pending.events.len();
                if let Err(error) = self.note(pending, now, events) {
                    tracing::error!(%error, "what happened to a lease cannot be written down");
                    self.unnote(pending, before);
                }
            }
            Err(_) => {
                tracing::error!("the lease rules failed; nothing of it was kept");
                let durable = self.durable.iter().flat_map(BTreeMap::values);
                self.leases = durable.cloned().collect();
                for change in &pending.changes {
                    self.leases.apply(change);
                }
            }
        }
    }

    /// Takes back what could not be written.
    fn unlease(&mut self, changes: &[LeaseChange]) {
        let Some(durable) = &self.durable else { return };
        let now = (self.clock)();
        for change in changes {
            let before = durable.get(&change.address());
            self.leases.take_back(change, before, now);
        }
    }

    pub(super) fn use_index(&mut self, attached: AttachedIndex) {
        let AttachedIndex {
            index,
            leases,
            turn,
        } = attached;
        if self.durable.is_none() {
            self.leases = leases.values().cloned().collect();
        }
        self.durable = Some(leases);
        self.turn = turn;
        self.retry = Retry::now();
        self.shared.set_index(Some(Arc::new(index)));
    }
}

impl<T> Waiting<T> {
    fn answer(self, written: &CommitResult<()>, answer: T) {
        (self.done)(match written {
            Err(refusal) if self.needs_write => Err(refusal.clone()),
            _ => Ok(answer),
        });
    }
}

impl Retry {
    const FIRST: Duration = Duration::from_millis(250);
    const LAST: Duration = Duration::from_secs(5);

    fn now() -> Self {
        Self {
            at: Instant::now(),
            pause: Self::FIRST,
        }
    }

    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.at
    }

    pub(super) fn later(&mut self) {
        self.at = Instant::now() + self.pause;
        self.pause = Self::LAST.min(self.pause * 2);
    }
}

pub(super) fn apply(leases: &mut BTreeMap<Ipv4Addr, Lease>, change: &LeaseChange) {
    match change {
        LeaseChange::Put(lease) => leases.insert(lease.address, lease.clone()),
        LeaseChange::Drop(address) => leases.remove(address),
    };
}
