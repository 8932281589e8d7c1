//! The installers that machines boot: those of the configuration, and those that were published, which are kept below the
//! state directory and survive a restart.
//!
//! A published installer is a folder named after its store path: kernel, initrd and command line of one build. Boot
//! scripts name it, and it stays for the machines that have begun with it, whatever is published meanwhile.

mod folder;
mod incoming;
mod publication;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use netboot::api::types::InstallerFor;
use netboot::base::mac::Mac;
use netboot::base::refusal::Refusal;
use netboot::base::release::PublishedInstaller;
use netboot::base::store_path::StorePath;
use netboot::base::token::{Digest, UploadBatchId};
use netboot::publish::installer::ImageFile;
use parking_lot::Mutex;

use self::incoming::ReceivedParts;
use self::record::{CurrentInstaller, load, read, sweep};
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
}

#[cfg(test)]
mod tests;
