//! The store as everybody else sees it: what was published, and the queue of its writer.

use std::sync::Arc;

use netboot::api::types::EventLine;
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{LeaseOutcome, Leases};
use netboot::machine::event::{Decided, Event, NewEvent};
use netboot::machine::state::ApplianceState;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::job::{CommitResult, DecisionJob, Job, LeaseJob};
use super::journal;
use super::shared::StoreState;

/// Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct Store {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) shared: Arc<StoreState>,
}

/// A decision that is durable.
#[derive(Debug, Clone)]
pub struct Committed<T> {
    pub answer: T,
    /// As it is after the decision.
    pub state: Arc<ApplianceState>,
    /// Whether anything was written down for it.
    pub changed: bool,
}

impl Store {
    /// The last durable state.
    pub fn state(&self) -> Arc<ApplianceState> {
        self.shared.state()
    }

    /// Runs a pure decision on the latest state; its drafts are durable before this returns, also those
    /// that go with a refusal.
    pub async fn decide<T, F>(&self, decision: F) -> Result<Committed<T>, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&ApplianceState, Timestamp) -> Decided<T> + Send + 'static,
    {
        self.ask(|answered| {
            Job::Decide(Box::new(move |state, now| {
                let Decided { answer, events } = decision(state, now);
                let changed = !events.is_empty();
                let done = Box::new(move |outcome: CommitResult<Arc<ApplianceState>>| {
                    let decided = outcome.and_then(|state| {
                        answer.map(|answer| Committed {
                            answer,
                            state,
                            changed,
                        })
                    });
                    // The caller may have left; the decision stands all the same.
                    let _ = answered.send(decided);
                });
                DecisionJob { events, done }
            }))
        })
        .await
    }

    /// Runs the lease rules; the changes and the drafts are durable before this returns. While the store takes no
    /// writes, only answers without changes are given: a restart would forget a change that is not durable.
    pub async fn lease<T, F>(&self, rules: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Leases, Timestamp) -> LeaseOutcome<T> + Send + 'static,
    {
        self.ask(|answered| {
            Job::Lease(Box::new(move |leases, now| {
                let LeaseOutcome {
                    answer,
                    changes,
                    notices,
                } = rules(leases, now);
                let done = Box::new(move |outcome: CommitResult<()>| {
                    let _ = answered.send(outcome.map(|()| answer));
                });
                LeaseJob {
                    changes,
                    events: notices.into_iter().map(NewEvent::from).collect(),
                    done,
                }
            }))
        })
        .await
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<CommitResult<T>>) -> Job,
    ) -> Result<T, Refusal> {
        let (answered, answer) = oneshot::channel();
        let closed = || {
            Refusal::new(RefusalCode::StoreUnavailable, "the store is closed")
                .fact("the appliance is stopping; nothing was changed")
        };
        self.jobs.send(job(answered)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| {
            Err(
                Refusal::new(RefusalCode::Internal, "the store gave no answer")
                    .fact("nothing was changed")
                    .tip("see the appliance's log"),
            )
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
        let upto = self.shared.state().seq;
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
            Refusal::new(
                RefusalCode::StoreUnavailable,
                "the events cannot be read now",
            )
            .tip("see the appliance's log")
        })
    }

    /// Everything that happens from now on: durable events as they become durable, and what was told.
    pub fn live(&self) -> broadcast::Receiver<EventLine> {
        self.shared.live.subscribe()
    }

    /// Tells the listeners of `live` something that is not written down.
    pub fn tell(&self, live: EventLine) {
        // There may be no listener.
        let _ = self.shared.live.send(live);
    }

    /// Waits until the store takes no writes for good: it was closed, or its thread died.
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
        let job = Job::Decide(Box::new(|_, _| DecisionJob {
            events: Vec::new(),
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
