//! What the appliance remembers. Nothing is acknowledged before it is durable.
//!
//! | file | holds |
//! |---|---|
//! | `journal.jsonl` | every event, the truth ([`journal`]) |
//! | `index/` | the same laid out for look-up, and the leases ([`index`]) |
//! | `sentinel` | how far the leases must have come ([`sentinel`]) |
//!
//! One thread writes ([`committer`], [`write`]); everybody else reads what it has published.

mod committer;
mod compare;
mod folds;
mod index;
mod journal;
mod line;
mod open;
mod record;
mod recover;
mod sentinel;
mod write;

#[cfg(test)]
mod tests;

use netboot::machine::event::Draft;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netboot::api::types::Live;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{Leases, Ruling};
use netboot::machine::event::Event;
use netboot::machine::event::Verdict;
use netboot::machine::state::World;
use parking_lot::RwLock;
use tokio::sync::{broadcast, mpsc, oneshot};

use self::committer::{Job, Outcome, Ruled, Settled};
use self::index::{Index, IndexError};
use crate::base::clock::Clock;

/// Callers that may wait for the writer; more of them wait before they are in the queue.
const QUEUE: usize = 1024;
/// Lines a listener of `live` may fall behind before it is told that it has missed some.
const BEHIND: usize = 4096;

/// Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// What the writer publishes.
struct Shared {
    world: RwLock<Arc<World>>,
    /// Nothing while it cannot be used; the journal answers then.
    index: RwLock<Option<Arc<Index>>>,
    trouble: RwLock<Trouble>,
    live: broadcast::Sender<Live>,
    journal: PathBuf,
}

/// Why there are no writes.
#[derive(Debug, Clone, Default)]
struct Trouble {
    journal: Option<String>,
    index: Option<String>,
}

/// A decision that is durable.
#[derive(Debug, Clone)]
pub struct Decided<T> {
    pub answer: T,
    /// As it is after the decision.
    pub world: Arc<World>,
    /// Whether anything was written down for it.
    pub changed: bool,
}

impl Store {
    /// Opens `state-dir/store`, rebuilding the index from the journal if it is missing, behind or damaged.
    ///
    /// # Errors
    /// Another process has it; the journal is damaged before its last line, gone, or from a newer version.
    pub fn open(state_dir: &Path, clock: Clock) -> anyhow::Result<Self> {
        open::open(state_dir, clock)
    }

    /// The last durable state.
    pub fn world(&self) -> Arc<World> {
        self.shared.world()
    }

    /// Runs a pure decision on the latest state; its drafts are durable before this returns, also those
    /// that go with a refusal.
    pub async fn decide<T, F>(&self, decision: F) -> Result<Decided<T>, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&World, Timestamp) -> Verdict<T> + Send + 'static,
    {
        self.ask(|answered| {
            Job::Decide(Box::new(move |world, now| {
                let Verdict { answer, drafts } = decision(world, now);
                let changed = !drafts.is_empty();
                let done = Box::new(move |outcome: Outcome<Arc<World>>| {
                    let decided = outcome.and_then(|world| {
                        answer.map(|answer| Decided {
                            answer,
                            world,
                            changed,
                        })
                    });
                    // Who asked may have left; the decision stands all the same.
                    let _ = answered.send(decided);
                });
                Settled { drafts, done }
            }))
        })
        .await
    }

    /// Runs the lease rules; the changes and the drafts are durable before this returns. While nothing can be
    /// written, only answers that change nothing are given: a promise that a restart would forget is none.
    pub async fn lease<T, F>(&self, rules: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Leases, Timestamp) -> Ruling<T> + Send + 'static,
    {
        self.ask(|answered| {
            Job::Lease(Box::new(move |leases, now| {
                let Ruling {
                    answer,
                    changes,
                    notices,
                } = rules(leases, now);
                let done = Box::new(move |outcome: Outcome<()>| {
                    let _ = answered.send(outcome.map(|()| answer));
                });
                Ruled {
                    changes,
                    drafts: notices.into_iter().map(Draft::from).collect(),
                    done,
                }
            }))
        })
        .await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Outcome<T>>) -> Job,
    ) -> Result<T, Refusal> {
        let (answered, answer) = oneshot::channel();
        let closed = || {
            Refusal::new(Code::StoreUnavailable, "the store is closed")
                .fact("the appliance is stopping; nothing was changed")
        };
        self.jobs.send(job(answered)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| {
            Err(Refusal::new(Code::Internal, "the store gave no answer")
                .fact("nothing was changed")
                .tip("see the appliance's log"))
        })
    }

    /// Events after number `after`, oldest first, at most `limit`.
    pub fn events(
        &self,
        machine: Option<Mac>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, Refusal> {
        let index = self.shared.index();
        // An index that is being written to may be ahead of what is published, but never behind it.
        let upto = self.shared.world().seq;
        if let Some(index) = index {
            match index.events(machine, after, limit) {
                Ok(mut events) => {
                    events.retain(|event| event.seq <= upto);
                    return Ok(events);
                }
                Err(error) => self.shared.lose_index(&error),
            }
        }
        let wanted = |event: &Event| machine.is_none() || event.machine == machine;
        journal::scan(&self.shared.journal, after, upto, limit, wanted).map_err(|error| {
            tracing::error!(%error, "the journal cannot be read");
            Refusal::new(Code::StoreUnavailable, "the events cannot be read now")
                .tip("see the appliance's log")
        })
    }

    /// Everything that happens from now on: durable events as they become durable, and what was told.
    pub fn live(&self) -> broadcast::Receiver<Live> {
        self.shared.live.subscribe()
    }

    /// Tells the listeners of `live` something that is not written down.
    pub fn tell(&self, live: Live) {
        // Nobody listening is as good.
        let _ = self.shared.live.send(live);
    }

    /// Waits until nothing can be written any more: it was closed, or its thread died.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Why the store takes no writes at the moment, if so.
    pub fn trouble(&self) -> Option<String> {
        if self.jobs.is_closed() {
            return Some("its thread has ended".to_owned());
        }
        let trouble = self.shared.trouble();
        trouble.journal.or(trouble.index)
    }

    /// Ends the writer by a fault of its own.
    #[cfg(test)]
    pub(crate) async fn kill_writer(&self) {
        let job = Job::Decide(Box::new(|_, _| Settled {
            drafts: Vec::new(),
            done: Box::new(|_| panic!("on purpose")),
        }));
        let _ = self.jobs.send(job).await;
        self.ended().await;
    }

    /// Writes what is pending and stops.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}

impl Shared {
    fn world(&self) -> Arc<World> {
        let world = self.world.read();
        Arc::clone(&world)
    }

    fn publish(&self, world: Arc<World>) {
        *self.world.write() = world;
    }

    fn index(&self) -> Option<Arc<Index>> {
        let index = self.index.read();
        index.clone()
    }

    fn set_index(&self, index: Option<Arc<Index>>) {
        *self.index.write() = index;
    }

    fn trouble(&self) -> Trouble {
        let trouble = self.trouble.read();
        trouble.clone()
    }

    fn set_trouble(&self, change: impl FnOnce(&mut Trouble)) {
        change(&mut self.trouble.write());
    }

    /// Stops using the index; the writer brings it back.
    fn lose_index(&self, error: &IndexError) {
        let reason = chain(error);
        tracing::error!(%reason, "the index cannot be used");
        // First: whatever closing it does, everybody knows.
        self.set_trouble(|trouble| trouble.index = Some(format!("the index: {reason}")));
        self.set_index(None);
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
