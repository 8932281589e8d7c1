//! The commit that a branch has, and what came of it before → whether it is published now.

use crate::base::release::FollowedCommit;
use std::time::Duration;

use crate::base::refusal::Refusal;
use crate::base::timestamp::Timestamp;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};

/// The timeout of one fetch of the branch: long enough for the first one of a large repository over a slow line.
pub const LOOK: Duration = Duration::from_secs(10 * 60);

/// How long after its first failure a commit is tried again. A build fails by its own fault, which only another commit
/// mends, or because something could not be downloaded, which passes.
const FIRST: Duration = Duration::from_secs(15 * 60);

/// The longest pause between two tries; each pause is twice the one before.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The most lines of a failure that go on record, and the most characters of each.
const LINES: usize = 12;
const COLUMNS: usize = 300;

/// What to do about the commit that the branch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitAction {
    /// It is published.
    Nothing,
    Publish,
    /// It failed, and is not tried again before this time.
    Later(Timestamp),
}

/// Decides on the head of the branch.
pub fn next(followed: Option<&FollowedCommit>, head: &str, now: Timestamp) -> CommitAction {
    match followed.filter(|followed| followed.revision == head) {
        None => CommitAction::Publish,
        Some(FollowedCommit { failures: 0, .. }) => CommitAction::Nothing,
        Some(followed) if due(followed) <= now => CommitAction::Publish,
        Some(followed) => CommitAction::Later(due(followed)),
    }
}

/// When a commit that failed is tried again.
pub fn due(followed: &FollowedCommit) -> Timestamp {
    let doubled = 2_u32.checked_pow(followed.failures.saturating_sub(1));
    let pause = doubled.map_or(LONGEST, |times| FIRST.saturating_mul(times).min(LONGEST));
    followed.at.plus(pause)
}

/// Puts on record what came of publishing this commit.
pub fn record_result(revision: &str, result: &Result<(), Refusal>) -> Decided<()> {
    let trouble = match result {
        Ok(()) => Vec::new(),
        Err(refusal) => std::iter::once(&refusal.message)
            .chain(refusal.facts.iter().rev().take(LINES - 1).rev())
            .map(|line| line.chars().take(COLUMNS).collect())
            .collect(),
    };
    let followed = EventKind::Followed {
        revision: revision.to_owned(),
        trouble,
    };
    Decided {
        answer: Ok(()),
        events: vec![NewEvent {
            machine: None,
            what: followed,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::refusal::RefusalCode;
    use crate::machine::event::Event;
    use crate::machine::state::ApplianceState;

    const MINUTE: u64 = 60;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(Duration::from_secs(minutes * MINUTE))
    }

    fn take(
        state: &mut ApplianceState,
        at: Timestamp,
        revision: &str,
        result: &Result<(), Refusal>,
    ) {
        for NewEvent { machine, what } in record_result(revision, result).events {
            let seq = state.seq + 1;
            state.apply(&Event {
                seq,
                at,
                machine,
                what,
            });
        }
    }

    #[test]
    fn a_commit_is_published_once_and_one_that_fails_rests_longer_each_time() {
        let mut state = ApplianceState::default();
        let bad = Err(
            Refusal::new(RefusalCode::PublishFailed, "`worker` cannot be built").fact("no space"),
        );
        let decide =
            |state: &ApplianceState, head, minute| next(state.followed.as_ref(), head, at(minute));
        assert_eq!(
            decide(&state, "a", 0),
            CommitAction::Publish,
            "nothing was published before"
        );
        take(&mut state, at(0), "a", &Ok(()));
        assert_eq!(decide(&state, "a", 9999), CommitAction::Nothing);
        assert_eq!(
            decide(&state, "b", 1),
            CommitAction::Publish,
            "a new commit"
        );
        take(&mut state, at(1), "b", &bad);
        let followed = state.followed.clone().expect("is known");
        assert_eq!(followed.trouble, ["`worker` cannot be built", "no space"]);
        assert_eq!(decide(&state, "b", 15), CommitAction::Later(at(16)));
        assert_eq!(decide(&state, "b", 16), CommitAction::Publish);
        assert_eq!(
            decide(&state, "c", 2),
            CommitAction::Publish,
            "a new commit does not wait"
        );
        take(&mut state, at(16), "b", &bad);
        assert_eq!(
            decide(&state, "b", 17),
            CommitAction::Later(at(46)),
            "twice as long"
        );
        for _ in 0..100 {
            take(&mut state, at(50), "b", &bad);
        }
        assert_eq!(
            decide(&state, "b", 51),
            CommitAction::Later(at(50 + 24 * 60)),
            "a day at most"
        );
        assert_eq!(
            decide(&state, "a", 51),
            CommitAction::Publish,
            "the branch was set back"
        );
        take(&mut state, at(60), "b", &Ok(()));
        assert_eq!(decide(&state, "b", 61), CommitAction::Nothing);
    }

    #[test]
    fn the_record_of_a_failure_is_short() {
        let mut refusal = Refusal::new(RefusalCode::PublishFailed, "x".repeat(1000));
        for n in 0..100 {
            refusal = refusal.fact(format!("line {n}"));
        }
        let mut state = ApplianceState::default();
        take(&mut state, at(0), "a", &Err(refusal));
        let trouble = state.followed.expect("is known").trouble;
        assert_eq!((trouble.len(), trouble[0].len()), (12, 300));
        assert_eq!(trouble[11], "line 99", "the last words say most");
    }
}
