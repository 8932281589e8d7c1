//! How a batch becomes durable, and what happens when it does not: the journal first, then the index.

use std::sync::Arc;

use netboot::api::event_view::EventView;
use netboot::api::types::EventLine;
use netboot::dhcp::lease::LeaseChange;
use netboot::machine::state::ApplianceState;

use super::committer::{Committer, Pending, apply};
use super::compare::JournalView;
use super::index::{Batch, Index, IndexError, Meta, Tree};
use super::index_records::fold_changes;
use super::job::{CommitResult, unavailable};
use super::recover;
use super::shared::chain;
use crate::files::durable;

/// Bytes of the probe: it is written to see whether the journal takes writes again after a failure.
const PROBE: usize = 1 << 16;

impl Committer {
    /// Makes a batch durable and publishes it. Gives what became of the events and of the leases.
    pub(super) fn write(&mut self, pending: &Pending) -> (CommitResult<()>, CommitResult<()>) {
        let kept = self.write_journal(pending);
        let new_events = kept.is_ok() && !pending.events.is_empty();
        let leased = match self.shared.index() {
            _ if !new_events && pending.changes.is_empty() => Ok(()),
            // Events without an index are safe in the journal; leases have nowhere else to go.
            None => Err(unavailable(&self.reason())),
            Some(index) => self
                .write_index(&index, pending, new_events)
                .map_err(|error| {
                    drop(index);
                    self.shared.lose_index(&error);
                    self.retry.later();
                    unavailable(&chain(&error))
                }),
        };
        if new_events {
            self.shared.publish(Arc::clone(&pending.state));
            for (event, _) in &pending.events {
                let event = EventView::of(event.clone());
                // There may be no listener.
                let _ = self.shared.live.send(EventLine::Event { event });
            }
        }
        (kept, leased)
    }

    fn write_journal(&mut self, pending: &Pending) -> CommitResult<()> {
        if pending.events.is_empty() {
            return Ok(());
        }
        let payloads = pending.events.iter().map(|(_, payload)| payload.as_str());
        if let Err(error) = self.files.journal.append(payloads) {
            tracing::error!(%error, events = pending.events.len(), "the journal cannot be written");
            let reason = format!("the journal: {error}");
            let refusal = unavailable(&reason);
            self.shared.set_trouble(|t| t.journal = Some(reason));
            return Err(refusal);
        }
        self.journal_works();
        Ok(())
    }

    fn write_index(
        &mut self,
        index: &Index,
        pending: &Pending,
        new_events: bool,
    ) -> Result<(), IndexError> {
        let mut batch = Batch::default();
        if new_events {
            for (event, payload) in &pending.events {
                batch.event(event, payload);
            }
            fold_changes(&mut batch, &self.shared.state(), &pending.state);
        }
        let mut undo = Vec::new();
        let durable = self.durable.get_or_insert_default();
        for change in &pending.changes {
            let address = match change {
                LeaseChange::Put(lease) => {
                    let json = serde_json::to_vec(lease).unwrap_or_default();
                    batch.put(Tree::Leases, &lease.address.octets(), &json);
                    lease.address
                }
                LeaseChange::Drop(address) => {
                    batch.drop(Tree::Leases, &address.octets());
                    *address
                }
            };
            undo.push((address, durable.get(&address).cloned()));
            apply(durable, change);
        }
        let turn = self.turn + u64::from(!pending.changes.is_empty());
        let meta = Meta {
            store: self.files.journal.id.clone(),
            seq: self.files.journal.seq,
            chain: hex::encode(self.files.journal.chain),
            turn,
            leases: durable.len(),
        };
        let mut written = index.commit(&batch, &meta);
        if written.is_ok() && turn != self.turn {
            written = self.files.sentinel.set(turn).map_err(IndexError::Io);
        }
        match written {
            Ok(()) => self.turn = turn,
            Err(_) => {
                for (address, before) in undo.into_iter().rev() {
                    match before {
                        Some(lease) => durable.insert(address, lease),
                        None => durable.remove(&address),
                    };
                }
            }
        }
        written
    }

    /// Tries what failed again, at growing intervals.
    pub(super) fn mend(&mut self) {
        let trouble = self.shared.trouble();
        if (trouble.journal.is_none() && self.shared.index().is_some()) || !self.retry.is_due() {
            return;
        }
        self.retry.later();
        if trouble.journal.is_some() {
            let probe = self.files.paths.dir.join("probe");
            if durable::write(&probe, 0o600, &vec![0; PROBE]).is_ok() {
                self.journal_works();
            }
            let _ = std::fs::remove_file(&probe);
        }
        if self.shared.index().is_none() {
            self.mend_index();
        }
    }

    fn mend_index(&mut self) {
        let mut state = ApplianceState::clone(&self.shared.state());
        let mut journal_view = JournalView {
            journal: &mut self.files.journal,
            state: &mut state,
            sentinel: &mut self.files.sentinel,
            leases: self.durable.as_ref(),
        };
        match recover::attach(&self.files.paths, &mut journal_view, (self.clock)()) {
            Ok(attached) => {
                self.use_index(attached);
                self.shared.set_trouble(|t| t.index = None);
                tracing::info!("the index is back");
            }
            Err(error) => {
                let reason = format!("the index: {}", chain(&error));
                tracing::debug!(%reason, "the index still cannot be used");
                self.shared.set_trouble(|t| t.index = Some(reason));
            }
        }
    }

    fn journal_works(&self) {
        if self.shared.trouble().journal.is_some() {
            self.shared.set_trouble(|t| t.journal = None);
            tracing::info!("the journal takes writes again");
        }
    }

    fn reason(&self) -> String {
        let trouble = self.shared.trouble();
        trouble
            .index
            .or(trouble.journal)
            .unwrap_or_else(|| "the index is being mended".to_owned())
    }
}
