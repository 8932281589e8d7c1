//! What is on disk of the published installers of one architecture: the record, and a folder for each that it names.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use netboot::base::release::PublishedInstaller;
use netboot::base::store_path::StorePath;
use netboot::loader::script::BootImage;
use nix_publish::installer::{CMDLINE, INITRD, KERNEL};
use serde::{Deserialize, Serialize};

use crate::config::InstallerImage;
use crate::files::durable;

/// What `installers/<architecture>.json` says. It is written before the journal says that machines boot `current`: see
/// [`agree`](super::Installers::agree).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InstallerRecord {
    pub(super) current: PublishedInstaller,
    /// The installer before, and those that machines had begun with; newest first.
    #[serde(default)]
    pub(super) earlier: Vec<PublishedInstaller>,
}

#[derive(Debug, Clone)]
pub(super) struct CurrentInstaller {
    pub(super) record: InstallerRecord,
    pub(super) current: InstallerImage,
    pub(super) earlier: Vec<InstallerImage>,
}

impl InstallerRecord {
    pub(super) fn all(&self) -> impl Iterator<Item = &PublishedInstaller> {
        std::iter::once(&self.current).chain(&self.earlier)
    }

    /// The record with the installer at `path` as the current one; `None` if the record does not have it.
    pub(super) fn led_by(&self, path: &StorePath) -> Option<Self> {
        let (mut is, others): (Vec<_>, Vec<_>) = self.all().cloned().partition(|i| i.path == *path);
        Some(Self {
            current: is.pop()?,
            earlier: others,
        })
    }
}

/// The name in URLs: another build has another, so that no machine gets the kernel of one and the initrd of the next.
pub(super) fn name(path: &StorePath) -> String {
    format!("installer-{}", &path.hash()[..8])
}

pub(super) fn read(dir: &Path, arch: &str) -> anyhow::Result<Option<CurrentInstaller>> {
    let text = match fs::read(dir.join(format!("{arch}.json"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    load(dir, arch, serde_json::from_slice(&text)?).map(Some)
}

/// Writes the record durably; `None` removes it.
pub(super) fn write(
    dir: &Path,
    arch: &str,
    record: Option<&InstallerRecord>,
) -> anyhow::Result<()> {
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

pub(super) fn load(
    dir: &Path,
    arch: &str,
    record: InstallerRecord,
) -> anyhow::Result<CurrentInstaller> {
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
pub(super) fn sweep(folder: &Path, keep: Option<&CurrentInstaller>) {
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
