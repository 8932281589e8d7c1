//! One installer as a folder: what makes a folder of the Nix store one, and how it comes to stand in the state directory,
//! whole or not at all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::store_path::StorePath;
use netboot::publish::installer::{LONGEST_CMDLINE, bootable};

use crate::durable;
use crate::room::{Place, Room};

pub(super) const KERNEL: &str = "kernel";
pub(super) const INITRD: &str = "initrd";
pub(super) const CMDLINE: &str = "cmdline";
pub(super) const ARCH: &str = "arch";

/// An installer as the Nix store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// As `uname -m` says it.
    pub arch: String,
    pub cmdline: String,
    pub kernel: PathBuf,
    pub initrd: PathBuf,
}

/// What is at a path of this machine's Nix store.
///
/// # Errors
/// It is not there, or no installer.
pub fn look_at(path: &StorePath) -> Result<Built, Refusal> {
    look_into(Path::new(path.as_str()), path)
}

pub(super) fn look_into(folder: &Path, path: &StorePath) -> Result<Built, Refusal> {
    if !folder.exists() {
        return Err(
            refused(&format!("`{path}` is not in this machine's Nix store"))
                .fact("nothing was changed")
                .tip("build it here, or copy it here with `nix copy --to ssh://…`"),
        );
    }
    let no = |why: &str| {
        refused(&format!("`{path}` is not an installer"))
            .fact(why)
            .fact("nothing was changed")
            .tip("`packages.<system>.installer` is a folder with kernel, initrd, cmdline and arch")
    };
    let parts = [KERNEL, INITRD, CMDLINE, ARCH];
    let full = |part: &&&str| fs::metadata(folder.join(part)).is_ok_and(|m| m.is_file());
    let absent: Vec<&str> = parts.iter().filter(|p| !full(p)).copied().collect();
    if !absent.is_empty() {
        return Err(no(&format!("it has no {}", absent.join(", "))));
    }
    for part in [KERNEL, INITRD] {
        if fs::metadata(folder.join(part)).is_ok_and(|m| m.len() == 0) {
            return Err(no(&format!("its {part} is empty")));
        }
    }
    let text = |part: &str| -> Result<String, Refusal> {
        let file = folder.join(part);
        // A newline at the end is none of it.
        let long = fs::metadata(&file).is_ok_and(|m| m.len() > LONGEST_CMDLINE as u64 + 1);
        if long {
            return Err(no(&format!("its {part} is too long")));
        }
        let text = fs::read_to_string(file).map_err(|error| no(&format!("its {part}: {error}")))?;
        Ok(text.trim().to_owned())
    };
    let (arch, cmdline) = (text(ARCH)?, text(CMDLINE)?);
    bootable(&arch, &cmdline).map_err(|why| no(&format!("its {why}")))?;
    Ok(Built {
        arch,
        cmdline,
        kernel: folder.join(KERNEL),
        initrd: folder.join(INITRD),
    })
}

/// How its kernel and initrd come into their folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// They stay where they are.
    Copy,
    /// They are on this filesystem, and durable.
    Move,
}

/// Puts a whole installer in place, or nothing.
pub(super) fn place(built: &Built, way: Way, to: &Path) -> anyhow::Result<()> {
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
            Way::Move => fs::rename(from, to).context(part)?,
            Way::Copy => {
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
pub(super) fn fits(dir: &Path, built: &Built, room: &Room) -> Result<Place, Refusal> {
    let size = |file: &Path| fs::metadata(file).map_or(0, |m| m.len());
    let place = room.begin(dir, None, size(&built.kernel) + size(&built.initrd));
    place.map_err(|no| no.refusal("the state-dir's").fact("nothing was changed"))
}

pub(super) fn refused(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}
