//! The calls of a machine under installation → events, or a refusal that is put on record.
//!
//! In the order of the calls: [`observe`] and [`serve`] before the agent runs, [`discovered`] of strangers, [`claim`], [`plan`], [`report`],
//! [`secrets`], [`installed`], and [`booted`] and [`joined`] once the installed system does.

mod boot;
mod discover;
mod disk_key;
mod leave;
mod node;
mod plan;
mod sealing;

use crate::api::types::{ClaimAnswer, ClaimRequest, InstalledRequest};
use crate::base::mac::Mac;
use crate::base::refusal::{Code, Refusal};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::install::report::{Outcome, Report, Step};
use crate::machine::decide::Policy;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::journal_limits;
use crate::machine::state::{Refusee, World};
use crate::machine::{Attempt, Claim, Generation, Machine, Origin, Secrets, State};

pub use boot::{Asker, observe, reached, serve};
pub use discover::discovered;
pub use disk_key::{KeyToSeal, disk_key, disk_key_made, unlock};
pub use leave::{came_back, left_to_disk};
pub use node::{awaited, booted, joined};
pub(crate) use plan::asks;
pub use plan::{Shelf, plan, plan_for};
pub use sealing::{ToSeal, received, sealed, secrets};

/// A refusal that goes on record with the machine it was about, as long as there are not too many this day.
fn refused<T>(
    world: &World,
    machine: Option<Mac>,
    refusal: Refusal,
    now: Timestamp,
    from: &str,
) -> Verdict<T> {
    let of = machine.map_or(Refusee::Nobody, Refusee::Machine);
    refused_to(world, of, refusal, now, from)
}

/// As [`refused`], to whoever it was.
pub(crate) fn refused_to<T>(
    world: &World,
    of: Refusee,
    refusal: Refusal,
    now: Timestamp,
    from: &str,
) -> Verdict<T> {
    if !world.has_room(of, now) {
        return Verdict::no(refusal);
    }
    let what = Happening::Refused {
        code: code_text(refusal.code),
        reason: refusal.message.clone(),
        from: from.to_owned(),
        admin: of == Refusee::Admin,
    };
    let machine = match of {
        Refusee::Machine(id) => Some(id),
        Refusee::Nobody | Refusee::Admin => None,
    };
    Verdict {
        answer: Err(refusal),
        drafts: vec![Draft { machine, what }],
    }
}

fn code_text(code: Code) -> String {
    serde_json::to_string(&code)
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

/// `POST /node/v1/claim`. `session` is the hash of `request.session`; `from` is who asked, for the record.
/// The first claim holds; a repeat of it is the same claim; any other is refused and written down.
pub fn claim(
    world: &World,
    request: &ClaimRequest,
    session: &Digest,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Verdict<ClaimAnswer> {
    let Some((machine, attempt)) = world.by_ticket(&request.ticket).and_then(with_attempt) else {
        let refusal = Refusal::new(Code::UnknownInstall, "no install attempt has this ticket")
            .tip("power the machine off and on: its next boot brings a fresh ticket");
        return refused(world, None, refusal, now, from);
    };
    let Some(name) = machine.name.clone() else {
        return Verdict::no(Refusal::new(Code::WrongState, "the machine has no name"));
    };
    let answer = ClaimAnswer {
        name,
        attempt: attempt.number,
        attempts: policy.attempts,
    };
    match &attempt.claim {
        Some(held) if held.session == *session && held.recipient == request.recipient => {
            Verdict::yes(answer, Vec::new())
        }
        Some(_) => {
            let refusal = Refusal::new(Code::TicketUsed, "this ticket is held by another agent")
                .fact("a ticket is good for one claim")
                .tip("power the machine off and on: its next boot brings a fresh ticket");
            refused(world, Some(machine.id), refusal, now, from)
        }
        None if !machine.is_armed(now) => {
            let refusal = Refusal::new(
                Code::WrongState,
                "the order to install is no longer in force",
            )
            .tip(format!("pxe-admin reimage {}", machine.title()));
            refused(world, Some(machine.id), refusal, now, from)
        }
        None => {
            let recipient = request.recipient.clone();
            let claim = Claim {
                recipient,
                session: session.clone(),
                at: now,
            };
            let claimed = Happening::Claimed {
                ticket: request.ticket.clone(),
                claim,
            };
            Verdict::yes(answer, vec![Draft::of(machine.id, claimed)])
        }
    }
}

fn with_attempt(machine: &Machine) -> Option<(&Machine, &Attempt)> {
    machine.attempt.as_ref().map(|attempt| (machine, attempt))
}

/// The attempt that a session holds.
fn held<'a>(world: &'a World, session: &Digest) -> Result<(&'a Machine, &'a Attempt), Refusal> {
    world
        .by_session(session)
        .and_then(with_attempt)
        .ok_or_else(|| {
            Refusal::new(
                Code::Unauthorized,
                "no install attempt is held by this session",
            )
            .fact("it was superseded, or never claimed")
        })
}

/// The attempt that a session holds, if it still runs.
fn running<'a>(world: &'a World, session: &Digest) -> Result<(&'a Machine, &'a Attempt), Refusal> {
    let (machine, attempt) = held(world, session)?;
    if machine.running().is_some() {
        return Ok((machine, attempt));
    }
    Err(
        Refusal::new(Code::InstallSuperseded, "this install attempt is over").fact(format!(
            "the machine is {} since {}",
            machine.state, machine.since
        )),
    )
}

/// `POST /node/v1/report`. Bytes of progress are not written down. A repeat changes nothing.
pub fn report(
    world: &World,
    session: &Digest,
    report: &Report,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Verdict<Mac> {
    let (machine, attempt) = match held(world, session) {
        Ok(held) => held,
        Err(refusal) => return refused(world, None, refusal, now, from),
    };
    if report.number <= attempt.progress.number {
        return Verdict::yes(machine.id, Vec::new());
    }
    if let Err(refusal) = running(world, session) {
        return Verdict::no(refusal);
    }
    let mut drafts = Vec::new();
    let failed = matches!(report.outcome, Outcome::Failed { .. });
    let kept = match report.outcome {
        Outcome::Progress { .. } | Outcome::Unknown => false,
        Outcome::Retry { .. } => attempt.tally.retries < journal_limits::RETRIES,
        Outcome::Started | Outcome::Done | Outcome::Warning { .. } | Outcome::Failed { .. } => true,
    };
    // The end of it is always news, and there is only one.
    if kept && !failed && attempt.tally.reports >= journal_limits::REPORTS {
        let message = format!("this attempt has made {} reports", journal_limits::REPORTS);
        let refusal = Refusal::new(Code::TooManyAttempts, message)
            .tip(format!("pxe-admin show {}", machine.title()));
        return refused(world, Some(machine.id), refusal, now, from);
    }
    if kept {
        let report = report.in_short();
        drafts.push(Draft::of(machine.id, Happening::Reported { report }));
    }
    if failed && attempt.number >= policy.attempts {
        let reason = format!("attempt {} of {} failed", attempt.number, policy.attempts);
        drafts.push(Draft::of(machine.id, Happening::GaveUp { reason }));
    }
    Verdict::yes(machine.id, drafts)
}

/// `POST /node/v1/installed`. A repeat is a success that changes nothing: a lost answer must not turn a
/// finished install into a failure.
pub fn installed(
    world: &World,
    session: &Digest,
    request: &InstalledRequest,
    now: Timestamp,
    from: &str,
) -> Verdict<()> {
    let (machine, attempt) = match held(world, session) {
        Ok(held) => held,
        Err(refusal) => return refused(world, None, refusal, now, from),
    };
    if matches!(
        machine.state,
        State::Installed | State::Running | State::Joined
    ) {
        return Verdict::yes((), Vec::new());
    }
    if let Err(refusal) = running(world, session) {
        return refused(world, Some(machine.id), refusal, now, from);
    }
    let ready = attempt.secrets == Secrets::Received && attempt.progress.finished(Step::Unmount);
    let Some(plan) = attempt.plan.as_ref().filter(|_| ready) else {
        let refusal = Refusal::new(
            Code::TooEarly,
            "this attempt has not reported its last step",
        );
        return refused(world, Some(machine.id), refusal, now, from);
    };
    if plan.release.toplevel != request.store_path {
        let refusal = Refusal::new(
            Code::WrongState,
            "what was installed is not what was planned",
        )
        .fact(format!("planned {}", plan.release.toplevel))
        .fact(format!("installed {}", request.store_path));
        return refused(world, Some(machine.id), refusal, now, from);
    }
    let generation = Generation {
        number: request.generation,
        store_path: request.store_path.clone(),
        label: request.label.clone(),
        kernel: String::new(),
        origin: Origin::Install,
        release: Some(plan.release.number),
        activated: now,
        booted: None,
        boot_id: String::new(),
    };
    let ssh_host_key = request.ssh_host_key.clone();
    let what = Happening::Installed {
        generation,
        ssh_host_key,
    };
    Verdict::yes((), vec![Draft::of(machine.id, what)])
}

#[cfg(test)]
pub(crate) mod tests;
