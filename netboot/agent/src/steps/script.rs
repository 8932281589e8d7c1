//! Disko's own script in place of our commands: brought here before anything is wiped, run with every other disk
//! read-only, and checked afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::store_path::StorePath;
use netboot::disk::layout::DiskoScript;
use netboot::install::plan::Plan;
use netboot::install::report::InstallStep;

use super::boot_loader::name_disks;
use super::copy::{CopySource, fetch};
use crate::access::{Roots, run, start};
use crate::commands;
use crate::files::folder;
use crate::inventory::inventory;
use crate::mounted::{below, on_planned_disks};
use crate::run::InstallAttempt;
use crate::shield::Shield;
use crate::target::Targets;

/// Paths that a filesystem does not have when it was just made: where one exists, the script left an old filesystem in
/// place.
const OF_A_SYSTEM: [&str; 2] = ["nix/store", "etc/NIXOS"];

/// Copies the script, with all that it needs, from the cache into the installer's own store: into RAM.
pub(super) fn bring(
    install: &mut InstallAttempt<'_>,
    plan: &Plan,
    script: &StorePath,
) -> anyhow::Result<()> {
    install.say(&format!("  disko's script is {script}"));
    let fetched = CopySource {
        step: InstallStep::Plan,
        command: commands::realise(script, &plan.cache),
        public_key: &plan.cache.public_key,
        what: "disko's script",
        onto: "this machine's memory",
        total: None,
    };
    fetch(install, &fetched)?;
    let program = own_store(install.roots, &DiskoScript::program(script));
    anyhow::ensure!(
        program.exists(),
        "`{script}` is not a script of disko's: it has no `{}`",
        program.display()
    );
    Ok(())
}

/// `/nix/store/…` where the installer has it.
fn own_store(roots: &Roots, path: &str) -> PathBuf {
    roots.nix.join(path.trim_start_matches("/nix/"))
}

/// Runs it. What it says is shown.
pub(crate) fn lay_out(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    script: &StorePath,
) -> anyhow::Result<()> {
    targets.still_they(install.roots)?;
    name_disks(install, targets)?;
    let shield = Shield::raise(install, targets)?;
    let lvm = shield.hide_from_lvm(install.roots);
    let ran = lvm.and_then(|lvm| carry_out(install, targets, script, &lvm));
    let lowered = shield.lower(install);
    if let (Err(_), Err(error)) = (&ran, &lowered) {
        install.say(&format!("  warning: {error:#}"));
    }
    ran?;
    lowered?;
    super::settle(install.access);
    Ok(())
}

fn carry_out(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    script: &StorePath,
    lvm: &Path,
) -> anyhow::Result<()> {
    let program = own_store(install.roots, &DiskoScript::program(script));
    let mut running = start(install.access, &commands::script(&program, lvm))
        .context("disko's script cannot be run")?;
    while let Some(line) = running.line() {
        install.say(&format!("  {line}"));
    }
    let Err(error) = running.end() else {
        return Ok(());
    };
    let late = if error.status == Some(commands::TIMED_OUT) {
        format!(" within {} minutes", commands::SCRIPT_LIMIT / 60)
    } else {
        String::new()
    };
    let on: Vec<String> = targets
        .iter()
        .map(|target| {
            let serial = &target.planned().disk.serial;
            format!("{} (serial `{serial}`)", target.name())
        })
        .collect();
    let on = on.join(", ");
    Err(error).with_context(|| format!("laying out {on} by disko's script does not succeed{late}"))
}

/// Looks at what the script mounted.
pub(crate) fn mounted(install: &mut InstallAttempt<'_>, targets: &Targets) -> anyhow::Result<()> {
    targets.still_they(install.roots)?;
    let hardware = inventory(install.access, install.roots);
    on_planned_disks(install.roots, targets, &hardware)?;
    let root = install.roots.target.clone();
    if let Some(old) = OF_A_SYSTEM
        .into_iter()
        .find(|name| root.join(name).exists())
    {
        let message = format!("disko's script made no new filesystem: `/{old}` is there already");
        let refusal = Refusal::new(RefusalCode::PlanRefused, message)
            .fact("the script makes filesystems only where it finds none, and found one of a time before the last table")
            .tip("have the disk emptied, then reimage this machine: blkdiscard --force, or dd if=/dev/zero, on that machine");
        return Err(refusal.into());
    }
    for mounted in below(install.roots) {
        let at = mounted.at.strip_prefix(&root).unwrap_or(&mounted.at);
        install.say(&format!("  /{} is mounted", at.display()));
    }
    // Nix refuses a store whose parents others may write to; sshd, a home.
    folder(&root, 0o755)
}

/// Writes everything out, unmounts it, and stops what the script built.
pub(crate) fn leave(
    install: &mut InstallAttempt<'_>,
    targets: &Targets,
    unmount: impl FnOnce(&mut InstallAttempt<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for mounted in below(install.roots) {
        // `sync -f` on one filesystem fails if anything could not be written since it was mounted (syncfs(2)).
        if fs::metadata(&mounted.at).is_ok() {
            run(install.access, &commands::write_out(&mounted.at))
                .context("the disk does not take what was written")?;
        }
    }
    unmount(install)?;
    super::tear_down::let_go(install, targets)?;
    for target in targets.iter() {
        run(install.access, &commands::flush(target))?;
    }
    Ok(())
}
