//! Finds the planned disks once more, makes everything let go of them, and removes every trace by which something could
//! take its old contents for live ones: old signatures make formatting skip, and old RAID or LVM comes back (disko#576, #63).

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use netboot::disk::hardware::{Disk, Hardware, SignatureKind};
use netboot::install::plan::{Plan, PlannedDisk};

use crate::access::{HostCommand, run};
use crate::busy::release;
use crate::commands;
use crate::inventory::inventory;
use crate::run::InstallAttempt;
use crate::target::{Target, Targets};

/// The bytes that are overwritten at either end of a disk: enough for the GPT, boot loaders before the first partition,
/// all four labels of ZFS (two in the first 512 KiB, two in the last whole ones), and the superblocks of mdraid
/// wherever its versions put them.
pub(crate) const SPAN: u64 = 1 << 20;
const REREADS: u32 = 10;
/// An array that was just stopped may be started again by udev before its superblocks are gone.
const ROUNDS: u32 = 5;

pub(crate) fn tear_down(install: &mut InstallAttempt<'_>, plan: &Plan) -> anyhow::Result<Targets> {
    super::settle(install.access);
    let hardware = inventory(install.access, install.roots);
    let targets = Targets::identify(plan, &hardware, install.roots)?;
    if let Some(cause) = other_disks(plan, &hardware) {
        anyhow::bail!("{cause}; nothing was written");
    }
    let names: Vec<&str> = targets.iter().map(Target::name).collect();
    netboot::install::plan::conflicts::shared_members(&hardware.disks, &names)?;
    install.targets = targets.iter().cloned().collect();
    leave_pools(install, &hardware, &names)?;
    let mut round = 1;
    while let Err(error) = clear(install, &targets, &names) {
        if round == ROUNDS || release(install.roots, &names)?.is_empty() {
            return Err(error);
        }
        install.say(&format!("  the disk is in use again, once more: {error:#}"));
        round += 1;
        install.access.sleep(Duration::from_secs(1));
    }
    drop(names);
    Ok(targets)
}

/// A disk that came or went since the plan was made. The choice of disks can depend on each disk that is there.
pub(super) fn other_disks(plan: &Plan, hardware: &Hardware) -> Option<String> {
    let mut gone: Vec<&Disk> = plan.seen.iter().map(|seen| &seen.disk).collect();
    for disk in &hardware.disks {
        let planned = PlannedDisk::from(disk);
        match gone.iter().position(|seen| planned.is(seen)) {
            Some(place) => {
                gone.remove(place);
            }
            None => return Some(format!("disk {} came after the plan", disk.description())),
        }
    }
    let gone = gone.first()?;
    Some(format!("disk {} went after the plan", gone.description()))
}

/// Stops everything on disks that were just laid out, without wiping it.
pub(super) fn let_go(install: &mut InstallAttempt<'_>, targets: &Targets) -> anyhow::Result<()> {
    super::settle(install.access);
    let names: Vec<&str> = targets.iter().map(Target::name).collect();
    let hardware = inventory(install.access, install.roots);
    leave_pools(install, &hardware, &names)?;
    let mut round = 1;
    loop {
        let mut stopped = Ok(());
        for command in crate::busy::let_go(install.roots, &names)? {
            targets.still_they(install.roots)?;
            stopped = stopped.and(run(install.access, &command).map(drop));
            super::settle(install.access);
        }
        if crate::busy::let_go(install.roots, &names)?.is_empty() {
            return Ok(());
        }
        if round == ROUNDS {
            stopped?;
            anyhow::bail!("what was stopped came back");
        }
        round += 1;
        install.access.sleep(Duration::from_secs(1));
    }
}

/// Exports pools, which hold their disks and do not show in sysfs.
fn leave_pools(
    install: &mut InstallAttempt<'_>,
    hardware: &Hardware,
    disks: &[&str],
) -> anyhow::Result<()> {
    let own = hardware.disks.iter();
    let own = own.filter(|d| disks.contains(&d.node.as_str()));
    let pools: Vec<&str> = own
        .flat_map(|disk| &disk.holds)
        .filter(|held| held.kind == SignatureKind::ZfsMember)
        .map(|held| held.label.as_str())
        .collect();
    if pools.is_empty() {
        return Ok(());
    }
    // Where there is no `zpool`, no pool is in use.
    let list = HostCommand::new("zpool").args(["list", "-H", "-o", "name"]);
    let imported = run(install.access, &list).unwrap_or_default();
    for pool in imported.lines().filter(|name| pools.contains(name)) {
        let export = HostCommand::new("zpool").args(["export", "-f", pool]);
        run(install.access, &export)
            .with_context(|| format!("the pool `{pool}` does not let go of the disk"))?;
    }
    Ok(())
}

/// One round: stops everything on the disks, wipes them, and has the kernel forget the old partitions.
fn clear(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    names: &[&str],
) -> anyhow::Result<()> {
    super::settle(install.access);
    for release in release(install.roots, names)? {
        targets.still_they(install.roots)?;
        match run(install.access, &release.command) {
            Ok(_) => {}
            Err(error) if release.optional => install.say(&format!("  warning: {error}")),
            Err(error) => {
                return Err(error).context("the disk is in use, and what uses it does not let go");
            }
        }
        // udev has to finish with the device that just changed before the next one is stopped.
        super::settle(install.access);
    }
    for target in targets.iter() {
        wipe(install, target)?;
    }
    super::settle(install.access);
    let back = release(install.roots, names)?;
    anyhow::ensure!(back.is_empty(), "what was stopped came back");
    Ok(())
}

/// Wipes a disk, without the partitions that are kept.
fn wipe(install: &mut InstallAttempt<'_>, target: &Target) -> anyhow::Result<()> {
    // The last first: a logical partition lies inside an extended one.
    for (partition, size) in target.old_partitions(install.roots).iter().rev() {
        target.still_it(install.roots)?;
        run(install.access, &commands::wipe(partition))
            .context("an old partition cannot be wiped")?;
        target.still_it(install.roots)?;
        zero_ends(install, partition, *size)?;
    }
    if target.planned().keeps() {
        // The old table stays until the new one takes its place: after a power cut in between, the place of the kept
        // partitions would be lost.
        return Ok(());
    }
    target.still_it(install.roots)?;
    run(install.access, &commands::wipe(target.node())).context("the disk cannot be wiped")?;
    target.still_it(install.roots)?;
    zero_ends(install, target.node(), target.planned().disk.size)?;
    reread(install, target)
}

/// Overwrites both ends of a device with zeros. `wipefs` erases only the magic of a signature, and some tools know a
/// signature by less.
pub(crate) fn zero_ends(
    install: &mut InstallAttempt<'_>,
    device: &Path,
    size: u64,
) -> anyhow::Result<()> {
    install
        .access
        .zero_ends(device, size, SPAN)
        .with_context(|| format!("cannot overwrite the ends of `{}`", device.display()))
}

/// Has the kernel read the partition table again; it fails while udev holds a partition open.
fn reread(install: &mut InstallAttempt<'_>, target: &Target) -> anyhow::Result<()> {
    let mut tries = 1;
    loop {
        super::settle(install.access);
        match run(install.access, &commands::reread(target)) {
            Ok(_) => return Ok(()),
            Err(error) if tries == REREADS => {
                return Err(error).context("the kernel does not let go of the old partitions");
            }
            Err(_) => tries += 1,
        }
        install.access.sleep(Duration::from_millis(500));
    }
}
