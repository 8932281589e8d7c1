//! The agent's hardware → the plan that it carries out, or what keeps it from getting one.

use super::{refused, running};
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::disk::hardware::Hardware;
use crate::install::plan::{Plan, PlanOrder, Substituter};
use crate::install::report::InstallStep;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::journal_limits;
use crate::machine::state::ApplianceState;
use crate::machine::wipe_confirmation;
use crate::machine::{Attempt, AttemptWait, Machine};
use crate::profile::Profiles;
use crate::profile::Wipe;

/// What a plan needs besides the machine.
#[derive(Debug, Clone, Copy)]
pub struct PlanInputs<'a> {
    pub profiles: &'a Profiles,
    pub cache: &'a Substituter,
    pub k3s_server: Option<&'a str>,
}

/// `POST /node/v1/plan`. All calls below name the machine by the hash of the session that it brought.
/// The hardware is kept also when the plan is refused: a person will want to see the disks.
pub fn plan(
    state: &ApplianceState,
    session: &Digest,
    hardware: &Hardware,
    inputs: &PlanInputs<'_>,
    now: Timestamp,
    from: &str,
) -> Decided<Plan> {
    let (machine, attempt) = match running(state, session) {
        Ok(held) => held,
        Err(refusal) => return refused(state, None, refusal, now, from),
    };
    if attempt
        .progress
        .step
        .is_some_and(|step| step > InstallStep::Plan)
    {
        let refusal = Refusal::new(
            RefusalCode::WrongState,
            "this attempt has carried out its plan already",
        );
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let mut events = Vec::new();
    // A network cable that comes and goes does not make it another machine.
    let known = machine.hardware.as_ref();
    if !known.is_some_and(|known| known.is_but_for_links(hardware)) {
        if let Err(refusal) = takes_inventory(attempt, hardware) {
            return refused(state, Some(machine.id), refusal, now, from);
        }
        let hardware = hardware.clone();
        events.push(NewEvent::of(
            machine.id,
            EventKind::Inventoried { hardware },
        ));
    }
    let plan = match plan_for(state, machine, hardware, inputs) {
        Ok(plan) => plan,
        Err(refusal) => {
            return Decided {
                answer: Err(refusal),
                events,
            };
        }
    };
    let disks = disks_to_confirm(machine, &plan, hardware, inputs.profiles);
    if !disks.is_empty() {
        let refusal = wipe_confirmation::refusal(&machine.title(), &disks);
        let waits = AttemptWait::Wipe { disks };
        if attempt.waits.as_ref() != Some(&waits) || attempt.plan.is_some() {
            events.push(NewEvent::of(machine.id, EventKind::Waits { waits }));
        }
        return Decided {
            answer: Err(refusal),
            events,
        };
    }
    if attempt.plan.as_ref() != Some(&plan) {
        let plan = Box::new(plan.clone());
        events.push(NewEvent::of(machine.id, EventKind::Planned { plan }));
    }
    Decided::yes(plan, events)
}

/// Whether an inventory goes on record: whether it is within the limits of length and number.
fn takes_inventory(attempt: &Attempt, hardware: &Hardware) -> Result<(), Refusal> {
    let length = serde_json::to_string(hardware).map_or(usize::MAX, |json| json.len());
    if length > journal_limits::INVENTORY {
        let refusal = Refusal::new(
            RefusalCode::TooLarge,
            "the inventory of the machine is too large",
        );
        return Err(refusal.fact(format!("it has {length} bytes")));
    }
    if attempt.tally.inventories >= journal_limits::INVENTORIES {
        let times = journal_limits::INVENTORIES;
        let message = format!("this attempt has told {times} different inventories");
        return Err(Refusal::new(RefusalCode::TooManyAttempts, message)
            .fact("disks come and go, or their order changes")
            .tip("power the machine off and on"));
    }
    Ok(())
}

/// What an operator must say yes to before this plan is given out.
pub(crate) fn disks_to_confirm(
    machine: &Machine,
    plan: &Plan,
    hardware: &Hardware,
    profiles: &Profiles,
) -> Vec<wipe_confirmation::DiskContents> {
    let profile = machine.profile.as_ref();
    let profile = profile.and_then(|name| profiles.by_name.get(name));
    // A plan is made from a profile; without one there is no `wipe` to go by, so it asks.
    let wipe = profile.map_or(Wipe::Ask, |profile| {
        wipe_confirmation::wipe_rule(profile, machine, plan)
    });
    wipe_confirmation::question(wipe, machine, plan, hardware)
}

/// The plan that a machine would get on this hardware: what `pxe-admin plan` shows, too.
pub fn plan_for(
    state: &ApplianceState,
    machine: &Machine,
    hardware: &Hardware,
    inputs: &PlanInputs<'_>,
) -> Result<Plan, Refusal> {
    let (Some(host_name), Some(name)) = (&machine.name, &machine.profile) else {
        return Err(Refusal::new(
            RefusalCode::WrongState,
            format!("{} is not enrolled", machine.title()),
        )
        .tip(format!("pxe-admin enroll {} --profile NAME", machine.id)));
    };
    let Some(profile) = inputs.profiles.by_name.get(name) else {
        return Err(Refusal::new(
            RefusalCode::PlanRefused,
            format!("profile `{name}` is not in hosts-dir any more"),
        ));
    };
    let wanted = machine.armed.as_ref().and_then(|armed| armed.release);
    let system = profile.system_of(Some(host_name));
    let release = match wanted {
        Some(number) => state.release(system, number).filter(|r| r.pruned.is_none()),
        None => state.newest(system),
    };
    let Some(release) = release else {
        return Err(Refusal::new(
            RefusalCode::PlanRefused,
            format!("system `{system}` has no release"),
        )
        .tip(format!("pxe-admin publish {system}")));
    };
    let PlanInputs {
        cache, k3s_server, ..
    } = *inputs;
    crate::install::plan::plan(
        hardware,
        &PlanOrder {
            host_name,
            profile,
            release,
            cache,
            k3s_server,
        },
    )
}
