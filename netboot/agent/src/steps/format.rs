//! Makes the filesystems.

use anyhow::Context as _;

use crate::commands;
use crate::outside::run;
use crate::run::Run;
use crate::target::{Target, TargetPartition};

pub(crate) fn format(
    install: &mut Run<'_>,
    target: &Target,
    partitions: &[TargetPartition],
) -> anyhow::Result<()> {
    for partition in partitions {
        if let Some(command) = commands::format(partition) {
            target.still_it(install.roots)?;
            run(install.outside, &command)
                .with_context(|| format!("`{}` cannot be formatted", partition.planned.label))?;
        }
    }
    super::settle(install.outside);
    Ok(())
}
