//! What the appliance remembers. Nothing is acknowledged before it is durable.

use std::path::Path;
use std::sync::Arc;

use netboot::event::Event;
use netboot::install::Verdict;
use netboot::lease::{Change, Leases};
use netboot::mac::Mac;
use netboot::refusal::Refusal;
use netboot::timestamp::Timestamp;
use netboot::wire::Live;
use netboot::world::World;
use tokio::sync::broadcast;

use crate::clock::Clock;

/// Cheap to clone: all clones are one store.
#[derive(Clone)]
pub struct Store {}

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
    pub fn open(state_dir: &Path, clock: Clock) -> anyhow::Result<Self> {
        let _ = (state_dir, clock);
        unimplemented!()
    }

    /// The last durable state.
    pub fn world(&self) -> Arc<World> {
        unimplemented!()
    }

    /// Runs a pure decision on the latest state; its drafts are durable before this returns, also those
    /// that go with a refusal.
    pub async fn decide<T, F>(&self, decision: F) -> Result<Decided<T>, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&World, Timestamp) -> Verdict<T> + Send + 'static,
    {
        let _ = decision;
        unimplemented!()
    }

    /// Runs the lease rules; the changes are durable before this returns.
    pub async fn lease<T, F>(&self, rules: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Leases, Timestamp) -> (T, Vec<Change>) + Send + 'static,
    {
        let _ = rules;
        unimplemented!()
    }

    /// Events after number `after`, oldest first, at most `limit`.
    pub fn events(
        &self,
        machine: Option<Mac>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, Refusal> {
        let _ = (machine, after, limit);
        unimplemented!()
    }

    /// Everything that happens from now on: durable events as they become durable, and what was told.
    pub fn live(&self) -> broadcast::Receiver<Live> {
        unimplemented!()
    }

    /// Tells the listeners of `live` something that is not written down.
    pub fn tell(&self, live: Live) {
        let _ = live;
        unimplemented!()
    }

    /// Why the store takes no writes at the moment, if so.
    pub fn trouble(&self) -> Option<String> {
        unimplemented!()
    }

    /// Writes what is pending and stops.
    pub async fn close(&self) {
        unimplemented!()
    }
}
