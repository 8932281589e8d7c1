//! The install, from top to bottom.

use netboot::install::report::Step;

use crate::cmdline::Orders;
use crate::outside::{Outside, Roots};
use crate::run::{Run, Stop};
use crate::steps::{self, claim::Keys};

/// Installs this machine as the appliance plans it. On return the disk is complete and the appliance knows it.
pub(crate) fn install(
    outside: &mut dyn Outside,
    roots: &Roots,
    orders: &Orders,
) -> Result<(), Stop> {
    let keys = Keys::make(outside).map_err(|error| steps::claim::without_keys(outside, &error))?;
    let mut run = Run::new(outside, roots, keys.session.clone());

    let claim = run.step(Step::Claim, |run| steps::claim::claim(run, orders, &keys))?;
    let plan = run.step(Step::Plan, |run| steps::plan::plan(run, &claim))?;
    let targets = run.step(Step::TearDown, |run| {
        steps::tear_down::tear_down(run, &plan)
    })?;
    if let Some(script) = &plan.script {
        run.step(Step::Format, |run| {
            steps::script::lay_out(run, &targets, script)
        })?;
        run.step(Step::Mount, |run| steps::script::mounted(run, &targets))?;
    } else {
        run.step(Step::Partition, |run| {
            steps::partition::partition(run, &targets, &plan)
        })?;
        run.step(Step::Format, |run| {
            steps::format::format(run, orders, &targets, &plan, &keys)
        })?;
        run.step(Step::Mount, |run| steps::mount::mount(run, &targets, &plan))?;
    }
    let system = run.step(Step::Copy, |run| steps::copy::copy(run, &plan))?;
    let host_key = run.step(Step::Configure, |run| {
        steps::configure::configure(run, orders, &plan, &keys)
    })?;
    run.step(Step::BootLoader, |run| {
        steps::boot_loader::boot_loader(run, &targets)?;
        steps::boot_order::boot_order(run, &targets, &plan);
        Ok(())
    })?;
    run.step(Step::Unmount, |run| {
        steps::unmount::unmount(run, &targets, &plan)
    })?;

    steps::unmount::installed(&mut run, &plan, system, host_key)
}
