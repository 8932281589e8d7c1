//! The installers that machines boot: those of the configuration, and those that were published, which are kept below the
//! state directory and survive a restart.
//!
//! A published installer is a folder named after its store path: kernel, initrd and command line of one build. Boot
//! scripts name it, and it stays for the machines that have begun with it, whatever is published meanwhile.

mod folder;
mod incoming;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use netboot::api::types::{InstallerFor, InstallerPublished, InstallerRequest};
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::release::PublishedInstaller;
use netboot::base::store_path::StorePath;
use netboot::base::timestamp::Timestamp;
use netboot::base::token::{Digest, UploadBatchId};
use netboot::loader::script::BootImage;
use netboot::publish::installer::{ImageFile, InstallerManifest, bootable};
use nix_publish::installer::{CMDLINE, INITRD, InstallerFiles, KERNEL, inspect};
use nix_publish::publish_failed;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::folder::{Placement, fits, place};
use self::incoming::ReceivedParts;
use crate::config::InstallerImage;
use crate::files::budget::DiskBudget;
use crate::files::durable;
use crate::files::receive::FileReceiver;

/// The installers of the configuration and those that were published.
#[derive(Debug)]
pub struct Installers {
    dir: PathBuf,
    configured: Vec<InstallerImage>,
    /// By architecture.
    published: Mutex<BTreeMap<String, CurrentInstaller>>,
    /// The name of the installer that each machine was last told to boot. Empty after a restart; every installer that
    /// was kept then stays until the next publication.
    begun: Mutex<BTreeMap<Mac, String>>,
    /// The lock of publications: one at a time.
    turn: Mutex<()>,
    incoming: ReceivedParts,
    room: DiskBudget,
}

/// What `installers/<architecture>.json` says. It is written before the journal says that machines boot `current`: see
/// [`Installers::agree`].
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InstallerRecord {
    current: PublishedInstaller,
    /// The installer before, and those that machines had begun with; newest first.
    #[serde(default)]
    earlier: Vec<PublishedInstaller>,
}

#[derive(Debug, Clone)]
struct CurrentInstaller {
    record: InstallerRecord,
    current: InstallerImage,
    earlier: Vec<InstallerImage>,
}

impl InstallerRecord {
    fn all(&self) -> impl Iterator<Item = &PublishedInstaller> {
        std::iter::once(&self.current).chain(&self.earlier)
    }

    /// The record with the installer at `path` as the current one; `None` if the record does not have it.
    fn led_by(&self, path: &StorePath) -> Option<Self> {
        let (mut is, others): (Vec<_>, Vec<_>) = self.all().cloned().partition(|i| i.path == *path);
        Some(Self {
            current: is.pop()?,
            earlier: others,
        })
    }
}

impl Installers {
    /// Reads what was published. Files that an interrupted publication left are removed.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(
        state_dir: &Path,
        configured: &[InstallerImage],
        room: DiskBudget,
    ) -> anyhow::Result<Self> {
        let dir = state_dir.join("installers");
        durable::make_dir(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let mut published = BTreeMap::new();
        for arch in ["x86_64", "aarch64"] {
            match read(&dir, arch) {
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
        let incoming = ReceivedParts::open(&dir);
        Ok(Self {
            incoming: incoming.context("cannot make the folder for installers that are sent")?,
            dir,
            configured: configured.to_vec(),
            published: Mutex::new(published),
            begun: Mutex::default(),
            turn: Mutex::default(),
            room,
        })
    }

    /// Has machines boot what the journal has `on_record` for their architecture. A service that ended between the two
    /// writes left a newer one here, which no machine was told of.
    pub fn agree(&self, on_record: impl Fn(&str) -> Option<StorePath>) {
        for (arch, published) in self.published.lock().iter_mut() {
            let Some(path) = on_record(arch) else {
                continue;
            };
            let led = published.record.led_by(&path);
            let loaded = led.and_then(|record| load(&self.dir, arch, record).ok());
            if let Some(loaded) = loaded {
                *published = loaded;
            }
        }
    }

    /// The installer for machines of this architecture (`x86_64`). One of the configuration goes first.
    pub fn for_arch(&self, arch: &str) -> Option<InstallerImage> {
        let configured = self.configured.iter().find(|i| i.image.arch == arch);
        let published = || Some(self.published.lock().get(arch)?.current.clone());
        configured.cloned().or_else(published)
    }

    /// The one that a boot script named, which may not be the newest any more.
    pub fn named(&self, name: &str, arch: &str) -> Option<InstallerImage> {
        let is = |i: &&InstallerImage| i.image.name == name && i.image.arch == arch;
        if let Some(image) = self.configured.iter().find(is) {
            return Some(image.clone());
        }
        let published = self.published.lock();
        let published = published.get(arch)?;
        let all = std::iter::once(&published.current).chain(&published.earlier);
        all.into_iter().find(is).cloned()
    }

    /// Those that machines boot now.
    pub fn all(&self) -> Vec<InstallerImage> {
        let published = self.published.lock();
        let shadowed = |arch: &str| self.configured.iter().any(|i| i.image.arch == arch);
        let published = published.values().map(|p| &p.current);
        let published = published.filter(|i| !shadowed(&i.image.arch));
        self.configured.iter().chain(published).cloned().collect()
    }

    /// Those that were published last, whether machines boot them or not.
    pub fn published(&self) -> Vec<PublishedInstaller> {
        let published = self.published.lock();
        published
            .values()
            .map(|p| p.record.current.clone())
            .collect()
    }

    /// What machines of this architecture boot, for whoever publishes.
    pub fn about(&self, arch: &str) -> InstallerFor {
        let configured = self.configured.iter().find(|i| i.image.arch == arch);
        InstallerFor {
            arch: arch.to_owned(),
            configured: configured.map(|i| i.image.name.clone()),
            published: self
                .published
                .lock()
                .get(arch)
                .map(|p| p.record.current.clone()),
        }
    }

    /// A machine is told to boot the installer of this name.
    pub fn begin(&self, mac: Mac, name: &str) {
        self.begun.lock().insert(mac, name.to_owned());
    }

    /// What this machine was last told to boot.
    pub fn begun_by(&self, mac: Mac) -> Option<String> {
        self.begun.lock().get(&mac).cloned()
    }

    /// The installers of machines that are not done with them, as `is_open` says. The other machines are forgotten.
    pub fn begun(&self, is_open: impl Fn(Mac) -> bool) -> BTreeSet<String> {
        let mut begun = self.begun.lock();
        begun.retain(|mac, _| is_open(*mac));
        begun.values().cloned().collect()
    }

    /// Whether this file was sent, and is whole.
    pub fn has(&self, part: &ImageFile) -> bool {
        self.incoming.file(part).is_some()
    }

    /// Begins to receive a file of so many bytes, for an installer that is published later.
    ///
    /// # Errors
    /// It is too large, or there is no space for it.
    pub async fn receive(
        &self,
        name: &Digest,
        length: u64,
        batch: Option<UploadBatchId>,
    ) -> Result<FileReceiver, Refusal> {
        let room = &self.room;
        self.incoming.receive(name, length, batch, room).await
    }

    /// Puts an installer in place and has machines boot it from now on; durable when this returns. It is taken out of
    /// the Nix store, or of what was sent. `begun` names those that boots under way need; `record` writes down for good
    /// that machines boot it, and it is the last that can fail: what is on record and what machines boot is the same.
    ///
    /// # Errors
    /// It is no installer, does not fit, the configuration has one for its architecture, or it cannot be written down.
    /// Machines boot what they booted before.
    pub fn publish(
        &self,
        request: InstallerRequest,
        begun: impl FnOnce() -> BTreeSet<String>,
        now: Timestamp,
        record: impl FnOnce(&PublishedInstaller) -> Result<(), Refusal>,
    ) -> Result<InstallerPublished, Refusal> {
        let _turn = self.turn.lock();
        let (built, way) = match &request.parts {
            Some(parts) => (self.sent(parts, &request.path)?, Placement::Move),
            None => (inspect(&request.path)?, Placement::Copy),
        };
        let arch = built.arch.clone();
        if let Some(own) = self.configured.iter().find(|i| i.image.arch == arch) {
            return Err(shadowed(own));
        }
        let before = self.published.lock().get(&arch).cloned();
        if let Some(published) = &before
            && published.record.current.path == request.path
        {
            let installer = published.record.current.clone();
            record(&installer)?;
            return Ok(InstallerPublished {
                installer,
                changed: false,
            });
        }
        let broken = |error: anyhow::Error| {
            publish_failed(format!("the installer cannot be put in place: {error:#}"))
                .fact("machines boot the one from before")
        };
        let to = self.dir.join(&arch).join(request.path.hash());
        let known = |p: &CurrentInstaller| p.earlier.iter().any(|i| i.kernel.parent() == Some(&to));
        if !before.as_ref().is_some_and(known) {
            let space = match way {
                Placement::Copy => Some(fits(&self.dir, &built, &self.room)?),
                Placement::Move => {
                    self.are_there(request.parts.as_ref())?;
                    None
                }
            };
            place(&built, way, &to).map_err(broken)?;
            drop(space);
        }
        let begun = begun();
        let earlier: Vec<PublishedInstaller> = before.as_ref().map_or_else(Vec::new, |before| {
            let InstallerRecord { current, earlier } = before.record.clone();
            let wanted =
                |i: &PublishedInstaller| begun.contains(&name(&i.path)) && i.path != request.path;
            let wanted = earlier.into_iter().filter(wanted);
            std::iter::once(current).chain(wanted).collect()
        });
        let installer = PublishedInstaller {
            arch: arch.clone(),
            path: request.path,
            published: now,
            source: request.source,
        };
        let after = InstallerRecord {
            current: installer.clone(),
            earlier,
        };
        // What cannot be loaded is not written, and what cannot be written is not recorded.
        let published = load(&self.dir, &arch, after).map_err(broken)?;
        let written = write(&self.dir, &arch, Some(&published.record));
        let recorded = written.map_err(broken).and_then(|()| record(&installer));
        if let Err(refusal) = recorded {
            match write(
                &self.dir,
                &arch,
                before.as_ref().map(|before| &before.record),
            ) {
                Ok(()) => sweep(&self.dir.join(&arch), before.as_ref()),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(arch, error, "an installer that nobody boots stays for now");
                }
            }
            return Err(refusal);
        }
        self.published
            .lock()
            .insert(arch.clone(), published.clone());
        sweep(&self.dir.join(&arch), Some(&published));
        self.incoming.sweep_old();
        Ok(InstallerPublished {
            installer,
            changed: true,
        })
    }

    /// The files of an installer that a workstation has sent, by their sizes and hashes.
    fn sent(&self, parts: &InstallerManifest, path: &StorePath) -> Result<InstallerFiles, Refusal> {
        bootable(&parts.arch, &parts.cmdline).map_err(|why| {
            publish_failed(format!("`{path}` is not an installer"))
                .fact(format!("its {why}"))
                .fact("nothing was changed")
        })?;
        let file = |part: &ImageFile| self.incoming.file(part).unwrap_or_default();
        Ok(InstallerFiles {
            arch: parts.arch.clone(),
            cmdline: parts.cmdline.clone(),
            kernel: file(&parts.kernel),
            initrd: file(&parts.initrd),
        })
    }

    fn are_there(&self, parts: Option<&InstallerManifest>) -> Result<(), Refusal> {
        let named = parts
            .into_iter()
            .flat_map(|p| [(KERNEL, &p.kernel), (INITRD, &p.initrd)]);
        for (what, part) in named {
            if !self.has(part) {
                return Err(
                    publish_failed(format!("the installer's {what} is not here"))
                        .fact(format!("its SHA-256 is {}", part.sha256))
                        .fact("nothing was changed")
                        .tip("publish it again: what is missing is sent again"),
                );
            }
        }
        Ok(())
    }
}

fn shadowed(own: &InstallerImage) -> Refusal {
    let BootImage { name, arch, .. } = &own.image;
    Refusal::new(
        RefusalCode::WrongState,
        format!("appliance.toml has an installer for {arch} of its own"),
    )
    .fact(format!("[images.{name}]: `{}`", own.kernel.display()))
    .fact("nothing was changed")
    .tip(format!(
        "to boot the flake's, take [images.{name}] out, then systemctl restart pxe-appliance"
    ))
}

/// The name in URLs: another build has another, so that no machine gets the kernel of one and the initrd of the next.
fn name(path: &StorePath) -> String {
    format!("installer-{}", &path.hash()[..8])
}

fn read(dir: &Path, arch: &str) -> anyhow::Result<Option<CurrentInstaller>> {
    let text = match fs::read(dir.join(format!("{arch}.json"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    load(dir, arch, serde_json::from_slice(&text)?).map(Some)
}

/// Nothing where there is none.
fn write(dir: &Path, arch: &str, record: Option<&InstallerRecord>) -> anyhow::Result<()> {
    let file = dir.join(format!("{arch}.json"));
    let Some(record) = record else {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(durable::sync_dir(dir)?),
        };
    };
    let text = serde_json::to_vec_pretty(record)?;
    Ok(durable::write(&file, 0o600, &text)?)
}

fn load(dir: &Path, arch: &str, record: InstallerRecord) -> anyhow::Result<CurrentInstaller> {
    let image = |installer: &PublishedInstaller| -> anyhow::Result<InstallerImage> {
        let folder = dir.join(arch).join(installer.path.hash());
        let cmdline = fs::read_to_string(folder.join(CMDLINE))?;
        for part in [KERNEL, INITRD] {
            fs::metadata(folder.join(part)).with_context(|| format!("its {part} is gone"))?;
        }
        Ok(InstallerImage {
            kernel: folder.join(KERNEL),
            initrd: folder.join(INITRD),
            image: BootImage {
                name: name(&installer.path),
                arch: arch.to_owned(),
                cmdline,
            },
        })
    };
    let current = image(&record.current)?;
    let earlier = record.earlier.iter().filter_map(|old| image(old).ok());
    Ok(CurrentInstaller {
        earlier: earlier.collect(),
        current,
        record,
    })
}

/// Removes every installer that the record does not have. A machine in the middle of a file reads it to its end.
fn sweep(folder: &Path, keep: Option<&CurrentInstaller>) {
    let kept: BTreeSet<&str> = keep
        .into_iter()
        .flat_map(|published| published.record.all())
        .map(|installer| installer.path.hash())
        .collect();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| kept.contains(name)) {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            let path = entry.path();
            tracing::warn!(path = %path.display(), %error, "an old installer cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests;
