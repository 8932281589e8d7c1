//! What callers ask of the writer, and how they get their answers.

use std::sync::Arc;

use netboot::base::refusal::{Code, Refusal};
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{Change, Leases};
use netboot::machine::event::Draft;
use netboot::machine::state::World;
use tokio::sync::oneshot;

pub(super) type Outcome<T> = Result<T, Refusal>;

pub(super) type Done<T> = Box<dyn FnOnce(Outcome<T>) + Send>;

/// A decision that was made, and who waits for it.
pub(super) struct Settled {
    pub drafts: Vec<Draft>,
    pub done: Done<Arc<World>>,
}

/// Lease rules that were run, and who waits for it.
pub(super) struct Ruled {
    pub changes: Vec<Change>,
    /// For the operator. An answer does not depend on them.
    pub drafts: Vec<Draft>,
    pub done: Done<()>,
}

type Decision = dyn FnOnce(&World, Timestamp) -> Settled + Send;

type Rules = dyn FnOnce(&mut Leases, Timestamp) -> Ruled + Send;

pub(super) enum Job {
    Decide(Box<Decision>),
    Lease(Box<Rules>),
    Close(oneshot::Sender<()>),
}

pub(super) fn unavailable(reason: &str) -> Refusal {
    Refusal::new(
        Code::StoreUnavailable,
        format!("the store takes no writes: {reason}"),
    )
    .fact("nothing was changed")
    .tip("once the filesystem of the state directory can be written again, the same call works")
}
