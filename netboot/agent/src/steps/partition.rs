//! Writes the partition tables, and waits until the kernel shows exactly the planned partitions.

use netboot::install::plan::Plan;
use netboot::install::report::InstallStep;

use crate::perform::{partitioned, perform};
use crate::run::InstallAttempt;
use crate::steps::tear_down::zero_ends;
use crate::target::Targets;

pub(crate) fn partition(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    plan: &Plan,
) -> anyhow::Result<()> {
    perform(install, targets, plan, InstallStep::Partition)?;
    super::settle(install.access);
    partitioned(install, targets)?;
    for target in targets.iter() {
        for (partition, size) in target.new_partitions(install.roots) {
            target.still_it(install.roots)?;
            // Partitions of an older table may have begun or ended here.
            zero_ends(install, &partition, size)?;
        }
    }
    Ok(())
}
