//! Lets the new system install its own boot loader, with its own `switch-to-configuration`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context as _;

use crate::access::start;
use crate::commands;
use crate::run::InstallAttempt;
use crate::target::Targets;

pub(crate) fn boot_loader(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
) -> anyhow::Result<()> {
    targets.still_they(install.roots)?;
    name_disks(install, targets)?;

    let mut switch = start(install.access, &commands::boot_loader(install.roots))
        .context("the new system cannot be entered")?;
    while let Some(line) = switch.line() {
        install.say(&format!("  {line}"));
    }
    switch
        .end()
        .context("the new system does not install its boot loader")?;
    Ok(())
}

/// A system that was built for any machine names its disks by these links: GRUB for BIOS and disko's script need them.
pub(super) fn name_disks(install: &InstallAttempt<'_>, targets: &Targets) -> anyhow::Result<()> {
    for target in targets.iter() {
        let folder = install.roots.dev.join("disk/netboot");
        let link = folder.join(&target.planned().name);
        point(&link, target.node()).with_context(|| format!("cannot make `{}`", link.display()))?;
    }
    Ok(())
}

fn point(link: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link)?;
    }
    symlink(to, link)
}
