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
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::install::report::{InstallStep, Report, StepOutcome};
use crate::machine::decide::Policy;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::journal_limits;
use crate::machine::state::{ApplianceState, RefusalSubject};
use crate::machine::{Attempt, Claim, Generation, GenerationOrigin, Machine, Secrets, State};

pub use boot::{RequesterIdentity, observe, reached, serve};
pub use discover::discovered;
pub use disk_key::{KeyToSeal, disk_key, disk_key_made, unlock};
pub use leave::{came_back, left_to_disk};
pub use node::{awaited, booted, joined};
pub(crate) use plan::disks_to_confirm;
pub use plan::{PlanInputs, plan, plan_for};
pub use sealing::{ToSeal, received, sealed, secrets};

/// A refusal that goes on record with the machine it was about, as long as there are not too many this day.
fn refused<T>(
    state: &ApplianceState,
    machine: Option<Mac>,
    refusal: Refusal,
    now: Timestamp,
    from: &str,
) -> Decided<T> {
    let of = machine.map_or(RefusalSubject::Nobody, RefusalSubject::Machine);
    refused_to(state, of, refusal, now, from)
}

/// As [`refused`], to whoever it was.
pub(crate) fn refused_to<T>(
    state: &ApplianceState,
    of: RefusalSubject,
    refusal: Refusal,
    now: Timestamp,
    from: &str,
) -> Decided<T> {
    if !state.has_room(of, now) {
        return Decided::no(refusal);
    }
    let what = EventKind::Refused {
        code: code_text(refusal.code),
        reason: refusal.message.clone(),
        from: from.to_owned(),
        admin: of == RefusalSubject::Admin,
    };
    let machine = match of {
        RefusalSubject::Machine(id) => Some(id),
        RefusalSubject::Nobody | RefusalSubject::Admin => None,
    };
    Decided {
        answer: Err(refusal),
        events: vec![NewEvent { machine, what }],
    }
}

fn code_text(code: RefusalCode) -> String {
    serde_json::to_string(&code)
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}

/// `POST /node/v1/claim`. `session` is the hash of `request.session`; `from` is who asked, for the record.
/// The first claim holds; a repeat of it is the same claim; any other is refused and written down.
pub fn claim(
    state: &ApplianceState,
    request: &ClaimRequest,
    session: &Digest,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Decided<ClaimAnswer> {
    let Some((machine, attempt)) = state.by_ticket(&request.ticket).and_then(with_attempt) else {
        let refusal = Refusal::new(
            RefusalCode::UnknownInstall,
            "no install attempt has this ticket",
        )
        .tip("power the machine off and on: its next boot brings a fresh ticket");
        return refused(state, None, refusal, now, from);
    };
    let Some(name) = machine.name.clone() else {
        return Decided::no(Refusal::new(
            RefusalCode::WrongState,
            "the machine has no name",
        ));
    };
    let answer = ClaimAnswer {
        name,
        attempt: attempt.number,
        attempts: policy.attempts,
    };
    match &attempt.claim {
        Some(held) if held.session == *session && held.recipient == request.recipient => {
            Decided::yes(answer, Vec::new())
        }
        Some(_) => {
            let refusal = Refusal::new(
                RefusalCode::TicketUsed,
                "this ticket is held by another agent",
            )
            .fact("a ticket is good for one claim")
            .tip("power the machine off and on: its next boot brings a fresh ticket");
            refused(state, Some(machine.id), refusal, now, from)
        }
        None if !machine.is_armed(now) => {
            let refusal = Refusal::new(
                RefusalCode::WrongState,
                "the order to install is no longer in force",
            )
            .tip(format!("pxe-admin reimage {}", machine.title()));
            refused(state, Some(machine.id), refusal, now, from)
        }
        None => {
            let recipient = request.recipient.clone();
            let claim = Claim {
                recipient,
                session: session.clone(),
                at: now,
            };
            let claimed = EventKind::Claimed {
                ticket: request.ticket.clone(),
                claim,
            };
            Decided::yes(answer, vec![NewEvent::of(machine.id, claimed)])
        }
    }
}

fn with_attempt(machine: &Machine) -> Option<(&Machine, &Attempt)> {
    machine.attempt.as_ref().map(|attempt| (machine, attempt))
}

/// The attempt that a session holds.
fn held<'a>(
    state: &'a ApplianceState,
    session: &Digest,
) -> Result<(&'a Machine, &'a Attempt), Refusal> {
    state
        .by_session(session)
        .and_then(with_attempt)
        .ok_or_else(|| {
            Refusal::new(
                RefusalCode::Unauthorized,
                "no install attempt is held by this session",
            )
            .fact("it was superseded, or never claimed")
        })
}

/// The attempt that a session holds, if it still runs.
fn running<'a>(
    state: &'a ApplianceState,
    session: &Digest,
) -> Result<(&'a Machine, &'a Attempt), Refusal> {
    let (machine, attempt) = held(state, session)?;
    if machine.running().is_some() {
        return Ok((machine, attempt));
    }
    Err(Refusal::new(
        RefusalCode::InstallSuperseded,
        "this install attempt is over",
    )
    .fact(format!(
        "the machine is {} since {}",
        machine.state, machine.since
    )))
}

/// `POST /node/v1/report`. Bytes of progress are not written down. A repeat changes nothing.
pub fn report(
    state: &ApplianceState,
    session: &Digest,
    report: &Report,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Decided<Mac> {
    let (machine, attempt) = match held(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    if report.number <= attempt.progress.number {
        return Decided::yes(machine.id, Vec::new());
    }
    if let Err(refusal) = running(state, session) {
        return Decided::no(refusal);
    }
    let mut events = Vec::new();
    let failed = matches!(report.outcome, StepOutcome::Failed { .. });
    let kept = match report.outcome {
        StepOutcome::Progress { .. } | StepOutcome::Unknown => false,
        StepOutcome::Retry { .. } => attempt.tally.retries < journal_limits::RETRIES,
        StepOutcome::Started
        | StepOutcome::Done
        | StepOutcome::Warning { .. }
        | StepOutcome::Failed { .. } => true,
    };
    // The end of an attempt is always written down, and there is only one.
    if kept && !failed && attempt.tally.reports >= journal_limits::REPORTS {
        let message = format!("this attempt has made {} reports", journal_limits::REPORTS);
        let refusal = Refusal::new(RefusalCode::TooManyAttempts, message)
            .tip(format!("pxe-admin show {}", machine.title()));
        return refused(state, Some(machine.id), refusal, now, from);
    }
    if kept {
        let report = report.in_short();
        events.push(NewEvent::of(machine.id, EventKind::Reported { report }));
    }
    if failed && attempt.number >= policy.attempts {
        let reason = format!("attempt {} of {} failed", attempt.number, policy.attempts);
        events.push(NewEvent::of(machine.id, EventKind::GaveUp { reason }));
    }
    Decided::yes(machine.id, events)
}

/// `POST /node/v1/installed`. A repeat is a success that changes nothing: a lost answer must not turn a
/// finished install into a failure.
pub fn installed(
    state: &ApplianceState,
    session: &Digest,
    request: &InstalledRequest,
    now: Timestamp,
    from: &str,
) -> Decided<()> {
    let (machine, attempt) = match held(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    if matches!(
        machine.state,
        State::Installed | State::Running | State::Joined
    ) {
        return Decided::yes((), Vec::new());
    }
    if let Err(refusal) = running(state, session) {
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let ready =
        attempt.secrets == Secrets::Received && attempt.progress.finished(InstallStep::Unmount);
    let Some(plan) = attempt.plan.as_ref().filter(|_| ready) else {
        let refusal = Refusal::new(
            RefusalCode::TooEarly,
            "this attempt has not reported its last step",
        );
        return refused(state, Some(machine.id), refusal, now, from);
    };
    if plan.release.toplevel != request.store_path {
        let refusal = Refusal::new(
            RefusalCode::WrongState,
            "what was installed is not what was planned",
        )
        .fact(format!("planned {}", plan.release.toplevel))
        .fact(format!("installed {}", request.store_path));
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let generation = Generation {
        number: request.generation,
        store_path: request.store_path.clone(),
        label: request.label.clone(),
        kernel: String::new(),
        origin: GenerationOrigin::Install,
        release: Some(plan.release.number),
        activated: now,
        booted: None,
        boot_id: String::new(),
    };
    let ssh_host_key = request.ssh_host_key.clone();
    let what = EventKind::Installed {
        generation,
        ssh_host_key,
    };
    Decided::yes((), vec![NewEvent::of(machine.id, what)])
}

#[cfg(test)]
pub(crate) mod tests;
