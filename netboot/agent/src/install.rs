//! The install, from top to bottom.

use netboot::install::report::InstallStep;

use crate::access::{Roots, WriteAccess};
use crate::cmdline::Orders;
use crate::run::{AttemptEnd, InstallAttempt};
use crate::steps::{self, claim::ClaimKeys};

/// Installs this machine as the appliance plans it. On return the disk is complete and the appliance knows it.
pub(crate) fn install(
    access: &mut dyn WriteAccess,
    roots: &Roots,
    orders: &Orders,
) -> Result<(), AttemptEnd> {
    let keys =
        ClaimKeys::make(access).map_err(|error| steps::claim::without_keys(access, &error))?;
    let mut run = InstallAttempt::new(access, roots, keys.session.clone());

    let claim = run.step(InstallStep::Claim, |run| {
        steps::claim::claim(run, orders, &keys)
    })?;
    let plan = run.step(InstallStep::Plan, |run| steps::plan::plan(run, &claim))?;
    let targets = run.step(InstallStep::TearDown, |run| {
        steps::tear_down::tear_down(run, &plan)
    })?;
    if let Some(script) = &plan.script {
        run.step(InstallStep::Format, |run| {
            steps::script::lay_out(run, &targets, script)
        })?;
        run.step(InstallStep::Mount, |run| {
            steps::script::mounted(run, &targets)
        })?;
    } else {
        run.step(InstallStep::Partition, |run| {
            steps::partition::partition(run, &targets, &plan)
        })?;
        run.step(InstallStep::Format, |run| {
            steps::format::format(run, orders, &targets, &plan, &keys)
        })?;
        run.step(InstallStep::Mount, |run| {
            steps::mount::mount(run, &targets, &plan)
        })?;
    }
    let system = run.step(InstallStep::Copy, |run| steps::copy::copy(run, &plan))?;
    let host_key = run.step(InstallStep::Configure, |run| {
        steps::configure::configure(run, orders, &plan, &keys)
    })?;
    run.step(InstallStep::BootLoader, |run| {
        steps::boot_loader::boot_loader(run, &targets)?;
        steps::boot_order::boot_order(run, &targets, &plan);
        Ok(())
    })?;
    run.step(InstallStep::Unmount, |run| {
        steps::unmount::unmount(run, &targets, &plan)
    })?;

    steps::unmount::installed(&mut run, &plan, system, host_key)
}
