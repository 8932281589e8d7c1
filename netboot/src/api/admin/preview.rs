//! `plan`: what an installation does, or would do, to a machine's disks; also for one that nobody enrolled yet.

use super::enroll::{default_name, profile_for};
use crate::api::agent::{PlanInputs, disks_to_confirm, plan_for};
use crate::api::types::{EnrollRequest, Preview};
use crate::base::name::ProfileName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::machine::Machine;
use crate::machine::state::ApplianceState;

/// The plan that the running attempt was given, or the one that the next attempt would be given on the hardware that the
/// machine told last, under its own profile or `wanted`.
///
/// # Errors
/// The hardware is not known, no profile is for the machine, or there is no plan for it.
pub fn preview(
    state: &ApplianceState,
    machine: &Machine,
    wanted: Option<&ProfileName>,
    inputs: &PlanInputs<'_>,
) -> Result<Preview, Refusal> {
    let other = wanted.filter(|name| machine.profile.as_ref() != Some(name));
    let given = machine.running().and_then(|a| a.plan.clone());
    if let (Some(plan), None) = (given, other) {
        let asks = Vec::new();
        return Ok(Preview { plan, asks });
    }
    let Some(hardware) = &machine.hardware else {
        return Err(unknown_hardware(machine));
    };
    let machine = as_enrolled(machine, wanted, inputs)?;
    let plan = plan_for(state, &machine, hardware, inputs)?;
    let asks = disks_to_confirm(&machine, &plan, hardware, inputs.profiles);
    Ok(Preview { plan, asks })
}

fn unknown_hardware(machine: &Machine) -> Refusal {
    let title = machine.title();
    let refusal = Refusal::new(
        RefusalCode::WrongState,
        format!("the hardware of {title} is not known yet, so there is no plan for it"),
    )
    .fact("it is known after the machine booted the installer once");
    if machine.profile.is_some() {
        let tip = format!("network-boot the machine, then `pxe-admin watch {title}`");
        return refusal.tip(tip);
    }
    refusal
        .fact("a machine that nobody enrolled boots it to tell its hardware, writing nothing, with `unknown = \"discover\"`")
        .tip("in appliance.toml: [boot] unknown = \"discover\", then network-boot the machine")
}

/// The machine with the profile and the name that `pxe-admin enroll` would give it.
fn as_enrolled(
    machine: &Machine,
    wanted: Option<&ProfileName>,
    inputs: &PlanInputs<'_>,
) -> Result<Machine, Refusal> {
    let request = EnrollRequest {
        mac: machine.id,
        profile: wanted.cloned(),
        name: None,
    };
    let profile = profile_for(inputs.profiles, &request, Some(machine)).map_err(|refusal| {
        let tips = vec![format!("pxe-admin plan {} --profile NAME", machine.title())];
        match wanted {
            None => Refusal { tips, ..refusal },
            Some(_) => refusal,
        }
    })?;
    let listed = profile
        .machines
        .iter()
        .find(|m| m.macs.contains(&machine.id));
    let name = machine
        .name
        .clone()
        .or_else(|| listed.map(|listed| listed.name.clone()))
        .or_else(|| default_name(&profile.name, machine.id));
    Ok(Machine {
        profile: Some(profile.name.clone()),
        name,
        ..machine.clone()
    })
}
