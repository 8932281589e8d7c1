//! Lets the new system install its own boot loader, with its own `switch-to-configuration`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context as _;

use crate::commands;
use crate::outside::start;
use crate::run::Run;
use crate::target::Target;

pub(crate) fn boot_loader(install: &mut Run<'_>, target: &Target) -> anyhow::Result<()> {
    target.still_it(install.roots)?;
    // A system built without knowing the machine names its disk by this link: GRUB for BIOS needs one.
    let link = install.roots.dev.join("disk/netboot/system");
    point(&link, target.node()).with_context(|| format!("cannot make `{}`", link.display()))?;

    let mut switch = start(install.outside, &commands::boot_loader(install.roots))
        .context("the new system cannot be entered")?;
    while let Some(line) = switch.line() {
        install.say(&format!("  {line}"));
    }
    switch
        .end()
        .context("the new system does not install its boot loader")?;
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
