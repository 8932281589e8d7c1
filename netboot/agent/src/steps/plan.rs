//! Tells the appliance what is in this machine, and gets the plan; refuses one that cannot be carried out.

use std::time::Duration;

use anyhow::Context as _;
use netboot::api::types::{ClaimAnswer, PlanRequest};
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::disk::hardware::Hardware;
use netboot::install::plan::Plan;
use netboot::install::report::{InstallStep, StepOutcome};

use super::tear_down::other_disks;
use crate::at_rest::at_rest;
use crate::check::check;
use crate::inventory::inventory;
use crate::run::InstallAttempt;
use crate::talk::CallError;
use crate::target::Targets;

/// The pause between two requests while an operator has to confirm first.
const AGAIN: Duration = Duration::from_secs(5);

/// How long the agent waits, after a refusal, for disks that show late and with which there may be a plan. USB and SAS
/// are searched long after udev has settled: a USB disk showed 8 s after the kernel had started, and many spin up
/// slower.
const LATE_DISKS: Duration = Duration::from_secs(20);

/// How often a plan is asked for because the disks changed, before that is an error.
const PLANS: u32 = 5;

/// A plan for the disks that are there once it is made.
pub(crate) fn plan(run: &mut InstallAttempt<'_>, claim: &ClaimAnswer) -> anyhow::Result<Plan> {
    let mut tries = 1;
    loop {
        let plan = sound(run, claim)?;
        super::settle(run.access);
        let hardware = inventory(run.access, run.roots);
        // If a planned disk is gone, it is broken or was pulled out: another one must not be taken in its place.
        Targets::identify(&plan, &hardware, run.roots)?;
        let Some(cause) = other_disks(&plan, &hardware) else {
            return Ok(plan);
        };
        anyhow::ensure!(
            tries < PLANS,
            "disks come and go: after {tries} plans, {cause}"
        );
        tries += 1;
        run.say(&format!("  {cause}; asking for another plan"));
        let again = StepOutcome::Retry {
            attempt: tries,
            cause,
        };
        run.report(InstallStep::Plan, again)?;
    }
}

/// A plan that was checked and shown on the console, and whose script, if it has one, is here.
fn sound(run: &mut InstallAttempt<'_>, claim: &ClaimAnswer) -> anyhow::Result<Plan> {
    let (plan, hardware) = granted(run)?;
    check(&plan, hardware.firmware).context("the plan cannot be carried out")?;
    anyhow::ensure!(
        plan.host_name == claim.name,
        "the plan is for `{}`, the ticket was for `{}`",
        plan.host_name,
        claim.name
    );
    let targets = Targets::identify(&plan, &hardware, run.roots)?;
    for target in targets.iter() {
        let disk = &target.planned().disk;
        run.say(&format!(
            "  {} release {} goes onto {} ({} bytes, model `{}`, serial `{}`)",
            plan.release.system,
            plan.release.number,
            target.name(),
            disk.size,
            disk.model,
            disk.serial
        ));
    }
    for gone in &plan.destroys {
        run.say(&format!("  will be gone: {gone}"));
    }
    for kept in &plan.keeps {
        run.say(&format!("  stays: {kept}"));
    }
    for warning in &plan.warnings {
        run.say(&format!("  warning: {warning}"));
    }
    if let Some(script) = &plan.script {
        super::script::bring(run, &plan, script)?;
    }
    Ok(plan)
}

/// Asks for the plan until an operator has confirmed what it wipes, each time with a new inventory: an operator
/// confirms what was on the disks at that moment.
fn granted(run: &mut InstallAttempt<'_>) -> anyhow::Result<(Plan, Hardware)> {
    let mut told = None;
    let mut until = None;
    super::settle(run.access);
    at_rest(run.access, run.roots);
    loop {
        super::settle(run.access);
        let hardware = inventory(run.access, run.roots);
        let request = PlanRequest { hardware };
        match run.ask("/node/v1/plan", &request) {
            Ok(plan) => return Ok((plan, request.hardware)),
            Err(CallError::Refused(refusal)) if refusal.code == RefusalCode::ConfirmFirst => {
                if told.as_ref() != Some(&refusal) {
                    wait_for_a_word(run, &refusal);
                    told = Some(refusal);
                }
                run.access.sleep(AGAIN);
            }
            Err(CallError::Refused(refusal))
                if refusal.code == RefusalCode::PlanRefused
                    && changes(run, &request.hardware, &mut until) => {}
            Err(error) => return Err(error).context("there is no plan for this machine"),
        }
    }
}

/// Whether the disks differ, before `until`, from those that the plan was refused for. The first refusal sets `until`.
fn changes(run: &mut InstallAttempt<'_>, before: &Hardware, until: &mut Option<Duration>) -> bool {
    let now = run.access.elapsed();
    let until = *until.get_or_insert_with(|| {
        run.say("  there is no plan for these disks; waiting a moment for slower ones");
        now + LATE_DISKS
    });
    while run.access.elapsed() < until {
        run.access.sleep(Duration::from_secs(1));
        if inventory(run.access, run.roots).disks != before.disks {
            at_rest(run.access, run.roots);
            return true;
        }
    }
    false
}

/// The message on the console while the machine waits for an operator.
fn wait_for_a_word(run: &mut InstallAttempt<'_>, refusal: &Refusal) {
    let bar = "#".repeat(72);
    run.say(&bar);
    run.say(&format!("### WAITING: {refusal}"));
    for line in refusal.facts.iter().chain(&refusal.tips) {
        run.say(&format!("###   {line}"));
    }
    run.say("### until then this machine may be switched off; it will ask again");
    run.say(&bar);
}
