//! What callers ask of the writer, and how they get their answers.

use std::sync::Arc;

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{LeaseChange, Leases};
use netboot::machine::event::NewEvent;
use netboot::machine::state::ApplianceState;
use tokio::sync::oneshot;

pub(super) type CommitResult<T> = Result<T, Refusal>;

pub(super) type Done<T> = Box<dyn FnOnce(CommitResult<T>) + Send>;

/// A decision that was made, and who waits for it.
pub(super) struct DecisionJob {
    pub events: Vec<NewEvent>,
    pub done: Done<Arc<ApplianceState>>,
}

/// Lease rules that were run, and who waits for it.
pub(super) struct LeaseJob {
    pub changes: Vec<LeaseChange>,
    /// For the operator. An answer does not depend on them.
    pub events: Vec<NewEvent>,
    pub done: Done<()>,
}

type DecideFn = dyn FnOnce(&ApplianceState, Timestamp) -> DecisionJob + Send;

type LeaseFn = dyn FnOnce(&mut Leases, Timestamp) -> LeaseJob + Send;

pub(super) enum Job {
    Decide(Box<DecideFn>),
    Lease(Box<LeaseFn>),
    Close(oneshot::Sender<()>),
}

pub(super) fn unavailable(reason: &str) -> Refusal {
    Refusal::new(
        RefusalCode::StoreUnavailable,
        format!("the store takes no writes: {reason}"),
    )
    .fact("nothing was changed")
    .tip("once the filesystem of the state directory can be written again, the same call works")
}
