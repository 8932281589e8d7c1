//! How one installer comes to stand in the state directory: whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::Context;
use netboot::base::refusal::Refusal;
use nix_publish::installer::{CMDLINE, INITRD, InstallerFiles, KERNEL};

use crate::files::budget::{DiskBudget, Reservation};
use crate::files::durable;

/// How its kernel and initrd come into their folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// They stay where they are.
    Copy,
    /// They are on this filesystem, and durable.
    Move,
}

/// Puts a whole installer in place, or leaves no file of it.
pub(super) fn place(built: &InstallerFiles, way: Placement, to: &Path) -> anyhow::Result<()> {
    let aside = to.with_extension("new");
    for old in [&aside, &to.to_owned()] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    durable::make_dir(&aside)?;
    for (part, from) in [(KERNEL, &built.kernel), (INITRD, &built.initrd)] {
        let to = aside.join(part);
        match way {
            Placement::Move => fs::rename(from, to).context(part)?,
            Placement::Copy => {
                let mut file = File::create_new(to)?;
                io::copy(&mut File::open(from)?, &mut file).context(part)?;
                file.sync_all()?;
            }
        }
    }
    durable::write(&aside.join(CMDLINE), 0o600, built.cmdline.as_bytes())?;
    durable::sync_dir(&aside)?;
    fs::rename(&aside, to)?;
    if let Some(parent) = to.parent() {
        durable::sync_dir(parent)?;
    }
    Ok(())
}

/// Space for a copy of it.
///
/// # Errors
/// There is none.
pub(super) fn fits(
    dir: &Path,
    built: &InstallerFiles,
    room: &DiskBudget,
) -> Result<Reservation, Refusal> {
    let size = |file: &Path| fs::metadata(file).map_or(0, |m| m.len());
    let place = room.begin(dir, None, size(&built.kernel) + size(&built.initrd));
    place.map_err(|no| no.refusal("the state-dir's").fact("nothing was changed"))
}
