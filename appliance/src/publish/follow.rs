//! Follows the branch of the flake: a new commit is published without being asked to. What is due is decided in
//! `netboot::publish::branch_watch`.

use std::time::Duration;

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::timestamp::Timestamp;
use netboot::machine::state::ApplianceState;
use netboot::publish::branch_watch::{CommitAction, LOOK, next, record_result};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::base::clock::Clock;
use crate::store::Store;

/// Where commits come from, and how one becomes releases.
pub trait BranchSource: Send + Sync {
    /// A commit, to build this one whatever the branch has by then.
    type Commit: Send + Sync;

    /// What the branch has now, and its revision.
    fn head(&self) -> impl Future<Output = Result<(String, Self::Commit), Refusal>> + Send;

    /// Builds a commit and publishes what changed. What was published before a failure stays. Dropping the future ends
    /// it.
    fn publish(&self, commit: Self::Commit) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// The last poll of the branch: when, and the branch's revision or why it could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollResult {
    pub at: Timestamp,
    pub head: Result<String, String>,
}

/// The last poll and what is being published, for whoever reports.
#[derive(Debug, Default)]
pub struct FollowStatus(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<PollResult>,
    /// The revision that is being published, and since when.
    publishing: Option<(String, Timestamp)>,
}

impl FollowStatus {
    pub fn last(&self) -> Option<PollResult> {
        self.seen().last.clone()
    }

    /// The revision that is being published now, and since when.
    pub fn publishing(&self) -> Option<(String, Timestamp)> {
        self.seen().publishing.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock()
    }

    /// Keeps a result, and logs it if the branch fails in another way than the last time, or can be polled again.
    fn note(&self, look: PollResult) {
        let before = self.seen().last.replace(look.clone());
        let before = before.map(|look| look.head);
        match &look.head {
            Err(why) if before.as_ref() != Some(&look.head) => {
                tracing::warn!(why, "the flake's branch cannot be looked at");
            }
            Ok(_) if matches!(before, Some(Err(_))) => {
                tracing::info!("the flake's branch can be looked at again");
            }
            _ => {}
        }
    }
}

/// Polls at once and then every so often, until told to stop.
pub async fn follow(
    store: &Store,
    branch: &impl BranchSource,
    every: Duration,
    (status, clock): (&FollowStatus, Clock),
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = once(store, branch, status, clock) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

async fn once(store: &Store, branch: &impl BranchSource, status: &FollowStatus, clock: Clock) {
    // A timeout, which ends Nix: a server that accepts the connection and does not answer must not stop the polling for
    // ever.
    let head = tokio::time::timeout(LOOK, branch.head()).await;
    let head = head.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", LOOK.as_secs());
        Err(Refusal::new(RefusalCode::PublishFailed, message))
    });
    let at = clock();
    status.note(PollResult {
        at,
        head: head
            .as_ref()
            .map(|(revision, _)| revision.clone())
            .map_err(told),
    });
    let Ok((revision, commit)) = head else {
        return;
    };
    match next(store.state().followed.as_ref(), &revision, at) {
        CommitAction::Nothing | CommitAction::Later(_) => return,
        CommitAction::Publish => {}
    }
    tracing::info!(revision, "publishing a commit of the flake's branch");
    status.seen().publishing = Some((revision.clone(), at));
    let result = branch.publish(commit).await;
    status.seen().publishing = None;
    match &result {
        Ok(()) => tracing::info!(revision, "the commit is published"),
        Err(refusal) => {
            tracing::error!(revision, why = told(refusal), "the commit is not published");
        }
    }
    let record = move |_: &ApplianceState, _| record_result(&revision, &result);
    if let Err(refusal) = store.decide(record).await {
        // The commit will be published once more, which makes no new release.
        tracing::warn!(%refusal, "what came of the commit is not on record");
    }
}

fn told(refusal: &Refusal) -> String {
    let facts = refusal.facts.iter().map(String::as_str);
    let lines: Vec<&str> = std::iter::once(refusal.message.as_str())
        .chain(facts)
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
