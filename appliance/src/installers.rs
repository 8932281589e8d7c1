//! The installers that machines boot: those of the configuration, and those that were published, which are kept below the
//! state directory and survive a restart.
//!
//! A published installer is a folder named after its store path: kernel, initrd and command line of one build. The one
//! before it stays, for machines that have begun with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use netboot::refusal::{Code, Refusal};
use netboot::script::{Image, sayable};
use netboot::store_path::StorePath;
use netboot::timestamp::Timestamp;
use netboot::wire::{Installer, InstallerFor, InstallerPublished, InstallerRequest};
use serde::{Deserialize, Serialize};

use crate::config::InstallerImage;
use crate::durable;

const KERNEL: &str = "kernel";
const INITRD: &str = "initrd";
const CMDLINE: &str = "cmdline";
const ARCH: &str = "arch";

/// Left free for the journal and the index, which share the filesystem.
const RESERVE: u64 = 64 << 20;

/// Bytes of the longest command line that a kernel takes (x86: 2048), and then some.
const LONGEST: u64 = 8192;

/// All of them.
#[derive(Debug)]
pub struct Installers {
    dir: PathBuf,
    configured: Vec<InstallerImage>,
    /// By architecture.
    published: Mutex<BTreeMap<String, Published>>,
    /// One publication at a time.
    turn: Mutex<()>,
}

/// What `installers/<architecture>.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    current: Installer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Installer>,
}

#[derive(Debug, Clone)]
struct Published {
    record: Record,
    current: InstallerImage,
    before: Option<InstallerImage>,
}

impl Installers {
    /// Reads what was published. Files that an interrupted publication left are removed.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(state_dir: &Path, configured: &[InstallerImage]) -> anyhow::Result<Self> {
        let dir = state_dir.join("installers");
        durable::make_dir(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let mut published = BTreeMap::new();
        for arch in ["x86_64", "aarch64"] {
            match load(&dir, arch) {
                Ok(Some(found)) => {
                    published.insert(arch.to_owned(), found);
                }
                Ok(None) => {}
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(arch, error, "the published installer cannot be used");
                    continue;
                }
            }
            sweep(&dir.join(arch), published.get(arch));
        }
        Ok(Self {
            dir,
            configured: configured.to_vec(),
            published: Mutex::new(published),
            turn: Mutex::default(),
        })
    }

    /// The installer for machines of this architecture (`x86_64`). One of the configuration goes first.
    pub fn for_arch(&self, arch: &str) -> Option<InstallerImage> {
        let configured = self.configured.iter().find(|i| i.image.arch == arch);
        let published = || Some(self.published().get(arch)?.current.clone());
        configured.cloned().or_else(published)
    }

    /// The one that a boot script named: also the one before the current one.
    pub fn named(&self, name: &str, arch: &str) -> Option<InstallerImage> {
        let is = |i: &&InstallerImage| i.image.name == name && i.image.arch == arch;
        if let Some(image) = self.configured.iter().find(is) {
            return Some(image.clone());
        }
        let published = self.published();
        let published = published.get(arch)?;
        let both = std::iter::once(&published.current).chain(&published.before);
        both.into_iter().find(is).cloned()
    }

    /// Those that machines boot now.
    pub fn all(&self) -> Vec<InstallerImage> {
        let published = self.published();
        let shadowed = |arch: &str| self.configured.iter().any(|i| i.image.arch == arch);
        let published = published.values().map(|p| &p.current);
        let published = published.filter(|i| !shadowed(&i.image.arch));
        self.configured.iter().chain(published).cloned().collect()
    }

    /// What machines of this architecture boot, for whoever publishes.
    pub fn about(&self, arch: &str) -> InstallerFor {
        let configured = self.configured.iter().find(|i| i.image.arch == arch);
        InstallerFor {
            arch: arch.to_owned(),
            configured: configured.map(|i| i.image.name.clone()),
            published: self.published().get(arch).map(|p| p.record.current.clone()),
        }
    }

    /// Copies an installer out of the Nix store and has machines boot it from now on; durable when this returns.
    ///
    /// # Errors
    /// It is no installer, does not fit, or the configuration has one for its architecture.
    pub fn publish(
        &self,
        request: InstallerRequest,
        now: Timestamp,
    ) -> Result<InstallerPublished, Refusal> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let from = Path::new(request.path.as_str());
        let arch = look_at(from, &request.path)?;
        if let Some(own) = self.configured.iter().find(|i| i.image.arch == arch) {
            let name = &own.image.name;
            return Err(Refusal::new(
                Code::WrongState,
                format!("appliance.toml has an installer for {arch} of its own"),
            )
            .fact(format!("[images.{name}]: `{}`", own.kernel.display()))
            .fact("nothing was changed")
            .tip(format!(
                "to boot the flake's, take [images.{name}] out, then systemctl restart pxe-appliance"
            )));
        }
        let before = self.published().get(&arch).map(|p| p.record.clone());
        if let Some(record) = &before
            && record.current.path == request.path
        {
            return Ok(InstallerPublished {
                installer: record.current.clone(),
                changed: false,
            });
        }
        let broken = |error: anyhow::Error| {
            refused(&format!("the installer cannot be copied: {error:#}"))
                .fact("machines boot the one from before")
        };
        let kept = before.as_ref().and_then(|record| record.before.as_ref());
        if kept.is_none_or(|kept| kept.path != request.path) {
            fits(&self.dir, from)?;
            copy(from, &self.dir.join(&arch).join(request.path.hash())).map_err(broken)?;
        }
        let record = Record {
            current: Installer {
                arch: arch.clone(),
                path: request.path,
                published: now,
                source: request.source,
            },
            before: before.map(|record| record.current),
        };
        let write = || -> anyhow::Result<Published> {
            let text = serde_json::to_vec_pretty(&record)?;
            durable::write(&self.dir.join(format!("{arch}.json")), 0o600, &text)?;
            load(&self.dir, &arch)?.context("it is not there")
        };
        let published = write().map_err(broken)?;
        sweep(&self.dir.join(&arch), Some(&published));
        self.published().insert(arch, published);
        Ok(InstallerPublished {
            installer: record.current,
            changed: true,
        })
    }

    fn published(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Published>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name in URLs: another build has another, so that no machine gets the kernel of one and the initrd of the next.
fn name(path: &StorePath) -> String {
    format!("installer-{}", &path.hash()[..8])
}

fn load(dir: &Path, arch: &str) -> anyhow::Result<Option<Published>> {
    let text = match fs::read(dir.join(format!("{arch}.json"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let record: Record = serde_json::from_slice(&text)?;
    let image = |installer: &Installer| -> anyhow::Result<InstallerImage> {
        let folder = dir.join(arch).join(installer.path.hash());
        let cmdline = fs::read_to_string(folder.join(CMDLINE))?;
        for part in [KERNEL, INITRD] {
            fs::metadata(folder.join(part)).with_context(|| format!("its {part} is gone"))?;
        }
        Ok(InstallerImage {
            kernel: folder.join(KERNEL),
            initrd: folder.join(INITRD),
            image: Image {
                name: name(&installer.path),
                arch: arch.to_owned(),
                cmdline,
            },
        })
    };
    let current = image(&record.current)?;
    let before = record.before.as_ref().and_then(|before| image(before).ok());
    Ok(Some(Published {
        record,
        current,
        before,
    }))
}

/// The architecture of what is an installer.
fn look_at(folder: &Path, path: &StorePath) -> Result<String, Refusal> {
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
        let long = fs::metadata(&file).is_ok_and(|m| m.len() > LONGEST);
        let text = fs::read_to_string(file).map_err(|error| no(&format!("its {part}: {error}")))?;
        match sayable(text.trim()) {
            Ok(()) if !long => Ok(text.trim().to_owned()),
            Ok(()) => Err(no(&format!("its {part} is too long"))),
            Err(why) => Err(no(&format!("its {part} {why}"))),
        }
    };
    text(CMDLINE)?;
    match text(ARCH)?.as_str() {
        arch @ ("x86_64" | "aarch64") => Ok(arch.to_owned()),
        other => Err(no(&format!("its arch is `{other}`, not x86_64 or aarch64"))),
    }
}

fn fits(dir: &Path, from: &Path) -> Result<(), Refusal> {
    let size = |part: &str| fs::metadata(from.join(part)).map_or(0, |m| m.len());
    let needed = size(KERNEL) + size(INITRD) + RESERVE;
    let free = durable::free_space(dir)
        .map_err(|error| refused(&format!("the filesystem cannot be asked: {error}")))?;
    if free >= needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(refused("the state-dir's filesystem has too little space")
        .fact(format!(
            "about {} MiB must be free, {} MiB are",
            mib(needed),
            mib(free)
        ))
        .fact("nothing was changed")
        .tip("free some space in the appliance's `state-dir`, or move it to a larger disk"))
}

/// Puts a whole installer in place, or nothing.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let aside = to.with_extension("new");
    for old in [&aside, &to.to_owned()] {
        if old.exists() {
            fs::remove_dir_all(old)?;
        }
    }
    durable::make_dir(&aside)?;
    for part in [KERNEL, INITRD] {
        let mut file = File::create_new(aside.join(part))?;
        io::copy(&mut File::open(from.join(part))?, &mut file).context(part)?;
        file.sync_all()?;
    }
    let cmdline = fs::read_to_string(from.join(CMDLINE))?;
    durable::write(&aside.join(CMDLINE), 0o600, cmdline.trim().as_bytes())?;
    durable::sync_dir(&aside)?;
    fs::rename(&aside, to)?;
    if let Some(parent) = to.parent() {
        durable::sync_dir(parent)?;
    }
    Ok(())
}

/// Removes what is neither the current one nor the one before. A machine in the middle of a file reads it to its end.
fn sweep(folder: &Path, keep: Option<&Published>) {
    let keep = keep.map(|p| &p.record);
    let kept = |name: &str| {
        let both = keep
            .into_iter()
            .flat_map(|r| std::iter::once(&r.current).chain(&r.before));
        both.into_iter()
            .any(|installer| installer.path.hash() == name)
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_str().is_some_and(kept) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            let path = entry.path();
            tracing::warn!(path = %path.display(), %error, "an old installer cannot be removed");
        }
    }
}

fn refused(message: &str) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}

#[cfg(test)]
mod tests;
