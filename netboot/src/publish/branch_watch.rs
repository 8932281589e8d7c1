//! The commit that a branch has, and what came of it before → whether it is published now.

use crate::base::release::FollowedCommit;
use std::time::Duration;

use crate::base::refusal::Refusal;
use crate::base::timestamp::Timestamp;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};

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
pub enum Next {
    /// It is published.
    Nothing,
    Publish,
    /// It failed, and is not tried again before this time.
    Later(Timestamp),
}

/// Decides on the head of the branch.
pub fn next(followed: Option<&FollowedCommit>, head: &str, now: Timestamp) -> Next {
    match followed.filter(|followed| followed.revision == head) {
        None => Next::Publish,
        Some(FollowedCommit { failures: 0, .. }) => Next::Nothing,
        Some(followed) if due(followed) <= now => Next::Publish,
        Some(followed) => Next::Later(due(followed)),
    }
}

/// When a commit that failed is tried again.
pub fn due(followed: &FollowedCommit) -> Timestamp {
    let doubled = 2_u32.checked_pow(followed.failures.saturating_sub(1));
    let pause = doubled.map_or(LONGEST, |times| FIRST.saturating_mul(times).min(LONGEST));
    followed.at.plus(pause)
}

/// Puts on record what came of publishing this commit.
pub fn record_result(revision: &str, result: &Result<(), Refusal>) -> Verdict<()> {
    let trouble = match result {
        Ok(()) => Vec::new(),
        Err(refusal) => std::iter::once(&refusal.message)
            .chain(refusal.facts.iter().rev().take(LINES - 1).rev())
            .map(|line| line.chars().take(COLUMNS).collect())
            .collect(),
    };
    let followed = Happening::Followed {
        revision: revision.to_owned(),
        trouble,
    };
    Verdict {
        answer: Ok(()),
        drafts: vec![Draft {
            machine: None,
            what: followed,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::refusal::Code;
    use crate::machine::event::Event;
    use crate::machine::state::World;

    const MINUTE: u64 = 60;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).plus(Duration::from_secs(minutes * MINUTE))
    }

    fn take(world: &mut World, at: Timestamp, revision: &str, result: &Result<(), Refusal>) {
        for Draft { machine, what } in record_result(revision, result).drafts {
            let seq = world.seq + 1;
            world.apply(&Event {
                seq,
                at,
                machine,
                what,
            });
        }
    }

    #[test]
    fn a_commit_is_published_once_and_one_that_fails_rests_longer_each_time() {
        let mut world = World::default();
        let bad =
            Err(Refusal::new(Code::PublishFailed, "`worker` cannot be built").fact("no space"));
        let decide = |world: &World, head, minute| next(world.followed.as_ref(), head, at(minute));
        assert_eq!(
            decide(&world, "a", 0),
            Next::Publish,
            "nothing was published before"
        );
        take(&mut world, at(0), "a", &Ok(()));
        assert_eq!(decide(&world, "a", 9999), Next::Nothing);
        assert_eq!(decide(&world, "b", 1), Next::Publish, "a new commit");
        take(&mut world, at(1), "b", &bad);
        let followed = world.followed.clone().expect("is known");
        assert_eq!(followed.trouble, ["`worker` cannot be built", "no space"]);
        assert_eq!(decide(&world, "b", 15), Next::Later(at(16)));
        assert_eq!(decide(&world, "b", 16), Next::Publish);
        assert_eq!(
            decide(&world, "c", 2),
            Next::Publish,
            "a new commit does not wait"
        );
        take(&mut world, at(16), "b", &bad);
        assert_eq!(
            decide(&world, "b", 17),
            Next::Later(at(46)),
            "twice as long"
        );
        for _ in 0..100 {
            take(&mut world, at(50), "b", &bad);
        }
        assert_eq!(
            decide(&world, "b", 51),
            Next::Later(at(50 + 24 * 60)),
            "a day at most"
        );
        assert_eq!(
            decide(&world, "a", 51),
            Next::Publish,
            "the branch was set back"
        );
        take(&mut world, at(60), "b", &Ok(()));
        assert_eq!(decide(&world, "b", 61), Next::Nothing);
    }

    #[test]
    fn the_record_of_a_failure_is_short() {
        let mut refusal = Refusal::new(Code::PublishFailed, "x".repeat(1000));
        for n in 0..100 {
            refusal = refusal.fact(format!("line {n}"));
        }
        let mut world = World::default();
        take(&mut world, at(0), "a", &Err(refusal));
        let trouble = world.followed.expect("is known").trouble;
        assert_eq!((trouble.len(), trouble[0].len()), (12, 300));
        assert_eq!(trouble[11], "line 99", "the last words say most");
    }
}
