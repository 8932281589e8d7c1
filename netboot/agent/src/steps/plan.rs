//! Tells the appliance what is in this machine, and gets the plan; refuses one that cannot be carried out.

use anyhow::Context as _;
use netboot::plan::Plan;
use netboot::wire::{ClaimAnswer, PlanRequest};

use crate::check::check;
use crate::inventory::inventory;
use crate::run::Run;
use crate::target::Target;

pub(crate) fn plan(run: &mut Run<'_>, claim: &ClaimAnswer) -> anyhow::Result<Plan> {
    let hardware = inventory(run.outside, run.roots);
    let request = PlanRequest { hardware };
    let plan: Plan = run
        .ask("/node/v1/plan", &request)
        .context("there is no plan for this machine")?;
    let hardware = request.hardware;
    check(&plan, hardware.firmware).context("the plan cannot be carried out")?;
    anyhow::ensure!(
        plan.host_name == claim.name,
        "the plan is for `{}`, the ticket was for `{}`",
        plan.host_name,
        claim.name
    );
    let target = Target::identify(&plan, &hardware, run.roots)?;
    run.say(&format!(
        "  {} release {} goes onto {} ({} bytes, model `{}`, serial `{}`)",
        plan.release.system,
        plan.release.number,
        target.name(),
        plan.disk.size,
        plan.disk.model,
        plan.disk.serial
    ));
    for gone in &plan.destroys {
        run.say(&format!("  will be gone: {gone}"));
    }
    Ok(plan)
}
