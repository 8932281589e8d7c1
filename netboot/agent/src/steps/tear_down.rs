//! Finds the planned disk once more, makes everything let go of it, and removes every trace by which something could
//! take its old contents for live ones: old signatures make formatting skip, and old RAID or LVM comes back (disko#576, #63).

use std::time::Duration;

use anyhow::Context as _;
use netboot::plan::Plan;

use crate::commands;
use crate::inventory::inventory;
use crate::outside::run;
use crate::run::Run;
use crate::target::Target;

/// What holds a GPT at either end, and boot loaders before the first partition.
const SPAN: u64 = 1 << 20;
const REREADS: u32 = 10;

pub(crate) fn tear_down(install: &mut Run<'_>, plan: &Plan) -> anyhow::Result<Target> {
    super::settle(install.outside);
    let hardware = inventory(install.outside, install.roots);
    let target = Target::identify(plan, &hardware, install.roots)?;

    for command in crate::busy::release(install.roots, target.name())? {
        run(install.outside, &command)
            .context("the disk is in use, and what uses it does not let go")?;
    }
    // The last first: a logical partition lies inside an extended one.
    for partition in target.old_partitions(install.roots).iter().rev() {
        target.still_it(install.roots)?;
        run(install.outside, &commands::wipe(partition))
            .context("an old partition cannot be wiped")?;
    }
    target.still_it(install.roots)?;
    run(install.outside, &commands::wipe(target.node())).context("the disk cannot be wiped")?;
    install
        .outside
        .zero_ends(target.node(), target.size(), SPAN)
        .with_context(|| format!("cannot overwrite the ends of `{}`", target.node().display()))?;
    reread(install, &target)?;
    super::settle(install.outside);
    Ok(target)
}

/// The kernel will not forget partitions that udev is just looking at.
fn reread(install: &mut Run<'_>, target: &Target) -> anyhow::Result<()> {
    let mut tries = 1;
    loop {
        super::settle(install.outside);
        match run(install.outside, &commands::reread(target)) {
            Ok(_) => return Ok(()),
            Err(error) if tries == REREADS => {
                return Err(error).context("the kernel does not let go of the old partitions");
            }
            Err(_) => tries += 1,
        }
        install.outside.sleep(Duration::from_millis(500));
    }
}
