//! Writes the partition table, and waits until the kernel shows exactly the planned partitions.

use std::time::Duration;

use anyhow::Context as _;
use netboot::plan::Plan;
use netboot::refusal::{Code, Refusal};

use crate::commands;
use crate::disk_facts::children;
use crate::outside::run;
use crate::run::Run;
use crate::steps::tear_down::zero_ends;
use crate::target::{Target, TargetPartition};

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn partition(
    install: &mut Run<'_>,
    target: &Target,
    plan: &Plan,
) -> anyhow::Result<Vec<TargetPartition>> {
    target.still_it(install.roots)?;
    run(install.outside, &commands::partition(target, plan))
        .context("the partition table cannot be written")?;
    super::settle(install.outside);
    let until = install.outside.elapsed() + LIMIT;
    loop {
        if let Some(partitions) = target.partitions(install.roots, plan) {
            for partition in &partitions {
                target.still_it(install.roots)?;
                // Partitions of a table that is long gone may have begun or ended here.
                zero_ends(install, partition.node(), partition.planned.size)?;
            }
            return Ok(partitions);
        }
        if install.outside.elapsed() >= until {
            break;
        }
        install.outside.sleep(Duration::from_millis(100));
    }
    let message = format!(
        "the kernel does not show the planned partitions after {} s",
        LIMIT.as_secs()
    );
    let refusal = Refusal::new(Code::PlanRefused, message);
    let shown = children(install.roots, target.name());
    Err(shown
        .iter()
        .fold(refusal, |refusal, c| {
            refusal.fact(format!(
                "it shows {}, {} bytes from {}",
                c.node, c.size, c.start
            ))
        })
        .into())
}
