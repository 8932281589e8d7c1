//! The manifest of an upload: all that is sent to an appliance on another machine, measured. The appliance is asked about all
//! of it before the first byte is sent, so that no upload breaks off for want of space.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use netboot::api::types::{Missing, UploadBatch};
use netboot::base::store_path::StorePath;
use netboot::base::token::{Digest, UploadBatchId};
use netboot::publish::installer::{ImageFile, InstallerManifest};
use nix_publish::closure::closure;
use nix_publish::installer::InstallerFiles;
use nix_publish::publish_failed;
use nix_publish::run::Host;
use sha2::{Digest as _, Sha256};

use crate::client::AdminClient;
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct UploadManifest {
    /// Sent along with each part, so that the appliance knows which space was kept for it.
    id: UploadBatchId,
    batch: UploadBatch,
    installers: BTreeMap<StorePath, InstallerParts>,
}

/// An installer, and the files that its parts are in.
#[derive(Debug, Clone)]
pub(crate) struct InstallerParts {
    pub(crate) parts: InstallerManifest,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl InstallerParts {
    /// Each file: its name in messages, its size and hash, and its path.
    pub(crate) fn files(&self) -> [(&'static str, &ImageFile, &Path); 2] {
        [
            ("kernel", &self.parts.kernel, &self.kernel),
            ("initrd", &self.parts.initrd, &self.initrd),
        ]
    }
}

impl UploadManifest {
    /// # Errors
    /// The operating system gives no randomness.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).map_err(|error| {
            Failure::here(publish_failed(format!("no upload can be named: {error}")))
        })?;
        let id = UploadBatchId::new(octets);
        Ok(Self {
            batch: UploadBatch {
                id: Some(id.clone()),
                ..UploadBatch::default()
            },
            installers: BTreeMap::new(),
            id,
        })
    }

    pub(crate) fn id(&self) -> &UploadBatchId {
        &self.id
    }

    /// Adds the closure of a system that is in this machine's Nix store.
    pub(crate) async fn system(&mut self, toplevel: &StorePath) -> Result<(), Failure> {
        let closure = closure(toplevel, Host::Here).await.map_err(Failure::here)?;
        let paths = &mut self.batch.paths;
        paths.extend(closure);
        paths.sort_by(|one, other| one.path.cmp(&other.path));
        paths.dedup();
        Ok(())
    }

    /// Adds an installer: its files are read once for their sizes and hashes.
    pub(crate) async fn installer(
        &mut self,
        path: &StorePath,
        built: InstallerFiles,
    ) -> Result<(), Failure> {
        let unread = |why: String| {
            let refusal = publish_failed(format!("`{path}` cannot be read: {why}"));
            Failure::here(refusal.fact("nothing was changed"))
        };
        let pack = move || -> io::Result<InstallerParts> {
            Ok(InstallerParts {
                parts: InstallerManifest {
                    kernel: measured(&built.kernel)?,
                    initrd: measured(&built.initrd)?,
                    arch: built.arch,
                    cmdline: built.cmdline,
                },
                kernel: built.kernel,
                initrd: built.initrd,
            })
        };
        let installer = tokio::task::spawn_blocking(pack).await;
        let installer = installer.map_err(|error| unread(error.to_string()))?;
        let installer = installer.map_err(|error| unread(error.to_string()))?;
        for (_, part, _) in installer.files() {
            self.batch.parts.push(part.clone());
        }
        self.installers.insert(path.clone(), installer);
        Ok(())
    }

    /// Asks whether all of it fits. If so, the appliance keeps the space for it.
    ///
    /// # Errors
    /// The appliance refuses it; no file was sent.
    pub(crate) async fn ask(&self, client: &AdminClient) -> Result<Missing, Failure> {
        client.ask_about(&["publish", "room"], &self.batch).await
    }

    pub(crate) fn installer_parts(&self, path: &StorePath) -> Option<&InstallerParts> {
        self.installers.get(path)
    }
}

fn measured(file: &Path) -> io::Result<ImageFile> {
    let mut hasher = Sha256::new();
    let size = io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(ImageFile {
        sha256: Digest::new(hasher.finalize().into()),
        size,
    })
}
