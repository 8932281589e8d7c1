//! The branch of the flake, if one is followed: where it is, and what came of its last commit.

use std::time::Duration;

use super::{Check, CheckResult};
use crate::base::release::FollowedCommit;
use crate::base::timestamp::Timestamp;
use crate::publish::branch_watch;

/// The branch that is followed, `publish.watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedBranch {
    /// The flake, as the configuration names it.
    pub flake: String,
    pub every: Duration,
    pub now: Timestamp,
    /// The last look at the branch: its revision, or why that could not be found out.
    pub look: Option<(Timestamp, Result<String, String>)>,
    /// The revision that is being published, and since when. The branch is not looked at meanwhile.
    pub publishing: Option<(String, Timestamp)>,
    pub followed: Option<FollowedCommit>,
}

/// A build that takes longer is taken for stuck.
const LONG: Duration = Duration::from_secs(12 * 60 * 60);

/// What a look may be late by.
const LATE: Duration = Duration::from_secs(60);

pub fn branch(branch: &FollowedBranch) -> Check {
    let check = Check::new("branch");
    let FollowedBranch { flake, every, .. } = branch;
    let check = match &branch.look {
        None => check
            .judged(
                CheckResult::Unknown,
                format!("`{flake}` was not looked at yet"),
            )
            .tip("ask again in a minute"),
        Some((at, Ok(revision))) => {
            let seconds = every.as_secs();
            check.found(format!(
                "`{flake}` is at {revision}, at {at}; it is looked at every {seconds} s"
            ))
        }
        Some((at, Err(why))) => check
            .judged(
                CheckResult::Warning,
                format!("`{flake}` could not be looked at, at {at}: {why}"),
            )
            .tip(format!("nix flake metadata --refresh {flake}")),
    };
    let restart = "journalctl -u pxe-appliance, then `systemctl restart pxe-appliance`";
    let check = match (&branch.publishing, &branch.look) {
        (Some((revision, since)), _) if branch.now.since(*since) > LONG => check
            .judged(
                CheckResult::Warning,
                format!(
                    "{revision} is being published since {since}, and no look is taken meanwhile"
                ),
            )
            .tip(restart),
        (Some((revision, since)), _) => {
            check.found(format!("{revision} is being published since {since}"))
        }
        (None, Some((at, _))) if branch.now.since(*at) > *every + branch_watch::LOOK + LATE => {
            check
                .judged(
                    CheckResult::Warning,
                    format!("no look was taken since {at}, and it is {}", branch.now),
                )
                .tip(restart)
        }
        (None, _) => check,
    };
    match &branch.followed {
        None => check,
        Some(FollowedCommit {
            revision,
            at,
            failures: 0,
            ..
        }) => check.found(format!("{revision} was published at {at}")),
        Some(followed) => {
            let FollowedCommit {
                revision,
                at,
                trouble,
                ..
            } = followed;
            let what = format!(
                "{revision} could not be published, at {at}: {}",
                trouble.join("; ")
            );
            let again = branch_watch::due(followed);
            check
                .judged(CheckResult::Problem, what)
                .judged(
                    CheckResult::Problem,
                    format!("the next commit is tried at once, this one again at {again}"),
                )
                .tip("pxe-admin publish")
        }
    }
}
