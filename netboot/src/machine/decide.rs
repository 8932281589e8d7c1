//! What a booting machine gets. Every port and protocol asks here: UDP 67 and 4011, TFTP, boot script, images.

use crate::base::name::ProfileName;
use crate::base::timestamp::Timestamp;
use crate::machine::{Attempt, Discovery, Machine};

/// `boot.unknown`: what a machine gets that nobody enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnknownPolicy {
    /// It is written down and gets no answer.
    Ignore,
    /// A screen that says how to enroll, asks again, and boots the disk after a time.
    Wait,
    /// The installer image, to tell what is in it; it cannot write to disks then.
    Discover,
    /// It is enrolled with this profile.
    Profile(ProfileName),
}

/// The part of the configuration that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub unknown: UnknownPolicy,
    /// `boot.attempts`: install attempts before a machine is `failed`.
    pub attempts: u32,
}

/// The answer for every port and protocol: exactly one for each request, with its reason.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Loader, script, installer.
    Install,
    /// The screen for strangers.
    Wait,
    /// Loader, script and installer, which only tells the hardware.
    Discover,
    /// Enroll with this profile, then ask again.
    Enroll(ProfileName),
    /// Its own disk: no boot file; a script that leaves to the disk if iPXE is already talking.
    Disk(Reason),
    /// No answer.
    Silence(Reason),
}

/// Why a machine gets its disk or silence: the text of the log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("not enrolled")]
    Unknown,
    #[error("not enrolled, and its hardware is known; boots its own disk")]
    Discovered,
    #[error("not enrolled, and it did not tell its hardware in {0} boots; boots its own disk")]
    Undiscovered(u32),
    #[error("{0}; boots its own disk")]
    State(crate::machine::State),
    #[error("the order to install expired {0}; give it again with `pxe-admin reimage` or `enroll`")]
    Expired(Timestamp),
    #[error("all {0} install attempts ended without evidence")]
    AttemptsUsed(u32),
}

/// Decides. Total: every machine in every state gets an answer.
pub fn decide(machine: Option<&Machine>, policy: &Policy, now: Timestamp) -> Decision {
    use crate::machine::State;

    let Some(machine) = machine else {
        return stranger(None, policy, now);
    };
    match machine.state {
        State::Seen => stranger(machine.discovery.as_ref(), policy, now),
        State::Enrolled | State::Installing => install(machine, policy, now),
        State::Retired => Decision::Silence(Reason::State(machine.state)),
        State::Installed | State::Running | State::Joined | State::Failed => {
            Decision::Disk(Reason::State(machine.state))
        }
    }
}

/// The decision for kernel and initrd. A machine gets those that the boot script of this boot named, however slow the
/// line is: time alone does not make it another boot.
pub fn decide_image(machine: Option<&Machine>, policy: &Policy, now: Timestamp) -> Decision {
    use crate::machine::State;

    let under_way = machine.is_some_and(|machine| {
        let open = |attempt: &Attempt| attempt.served.is_some() && attempt.claim.is_none();
        matches!(machine.state, State::Enrolled | State::Installing)
            && machine.is_armed(now)
            && machine.attempt.as_ref().is_some_and(open)
    });
    let discovering = machine.is_some_and(|machine| {
        let open = |discovery: &Discovery| discovery.discovered.is_none();
        machine.state == State::Seen
            && policy.unknown == UnknownPolicy::Discover
            && machine.discovery.as_ref().is_some_and(open)
    });
    if under_way {
        Decision::Install
    } else if discovering {
        Decision::Discover
    } else {
        decide(machine, policy, now)
    }
}

fn stranger(known: Option<&Discovery>, policy: &Policy, now: Timestamp) -> Decision {
    match &policy.unknown {
        UnknownPolicy::Ignore => Decision::Silence(Reason::Unknown),
        UnknownPolicy::Wait => Decision::Wait,
        UnknownPolicy::Discover => discover(known, policy, now),
        UnknownPolicy::Profile(profile) => Decision::Enroll(profile.clone()),
    }
}

/// A stranger is asked for its hardware until it has told it, in `boot.attempts` boots at most: a machine that nobody
/// enrolled must come to its own disk.
fn discover(known: Option<&Discovery>, policy: &Policy, now: Timestamp) -> Decision {
    match known {
        Some(Discovery {
            discovered: Some(_),
            ..
        }) => Decision::Disk(Reason::Discovered),
        Some(known) if known.tries >= policy.attempts && !known.is_same_boot(now) => {
            Decision::Disk(Reason::Undiscovered(known.tries))
        }
        _ => Decision::Discover,
    }
}

/// An installer, unless the order expired or this boot would be one attempt too many. A boot is a new
/// attempt once the ticket before it was claimed.
fn install(machine: &Machine, policy: &Policy, now: Timestamp) -> Decision {
    let spent = machine
        .attempt
        .as_ref()
        .filter(|a| a.next_number() > policy.attempts && a.is_spent(now));
    match (&machine.armed, spent) {
        (_, Some(attempt)) => Decision::Disk(Reason::AttemptsUsed(attempt.number)),
        (Some(armed), None) if now >= armed.until => Decision::Disk(Reason::Expired(armed.until)),
        (None, None) => Decision::Disk(Reason::State(machine.state)),
        (Some(_), None) => Decision::Install,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::State;

    #[test]
    fn every_state_gets_its_answer() {
        let policy = |unknown| Policy {
            unknown,
            attempts: 3,
        };
        let lab: ProfileName = "lab".parse().expect("a name");
        for (name, unknown, want) in [
            (
                "ignored",
                UnknownPolicy::Ignore,
                Decision::Silence(Reason::Unknown),
            ),
            ("told to wait", UnknownPolicy::Wait, Decision::Wait),
            (
                "enrolled by policy",
                UnknownPolicy::Profile(lab.clone()),
                Decision::Enroll(lab.clone()),
            ),
            (
                "to be discovered",
                UnknownPolicy::Discover,
                Decision::Discover,
            ),
        ] {
            let now = Timestamp::default();
            assert_eq!(
                decide(None, &policy(unknown.clone()), now),
                want,
                "a stranger is {name}"
            );
            let seen = crate::api::agent::tests::Story::enrolled();
            let mut machine = seen.machine().clone();
            machine.state = State::Seen;
            assert_eq!(
                decide(Some(&machine), &policy(unknown.clone()), now),
                want,
                "seen before: {name}"
            );
            for state in [
                State::Installed,
                State::Running,
                State::Joined,
                State::Failed,
            ] {
                machine.state = state;
                let disk = Decision::Disk(Reason::State(state));
                assert_eq!(
                    decide(Some(&machine), &policy(unknown.clone()), now),
                    disk,
                    "{state}"
                );
            }
            machine.state = State::Retired;
            let silence = Decision::Silence(Reason::State(State::Retired));
            assert_eq!(decide(Some(&machine), &policy(unknown), now), silence);
        }
    }
}
