//! What is sent to an appliance that is another machine: measured, and asked about as a whole before any of it goes out,
//! so that nothing is sent in vain.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use netboot::api::types::{Lacking, Shipment};
use netboot::base::store_path::StorePath;
use netboot::base::token::{Digest, ShipmentId};
use netboot::publish::installer::{Part, Parts};
use nix_publish::closure::closure;
use nix_publish::installer::InstallerFiles;
use nix_publish::publish_failed;
use nix_publish::run::Host;
use sha2::{Digest as _, Sha256};

use crate::client::Client;
use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct UploadManifest {
    /// What comes with it is known to be a part of what was asked about.
    id: ShipmentId,
    shipment: Shipment,
    installers: BTreeMap<StorePath, InstallerParts>,
}

/// An installer, and the files that its parts are in.
#[derive(Debug, Clone)]
pub(crate) struct InstallerParts {
    pub(crate) parts: Parts,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl InstallerParts {
    /// What it is called in a sentence, what it is, where it is.
    pub(crate) fn files(&self) -> [(&'static str, &Part, &Path); 2] {
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
        let id = ShipmentId::new(octets);
        Ok(Self {
            shipment: Shipment {
                id: Some(id.clone()),
                ..Shipment::default()
            },
            installers: BTreeMap::new(),
            id,
        })
    }

    pub(crate) fn id(&self) -> &ShipmentId {
        &self.id
    }

    /// The closure of a system that is in the Nix store here.
    pub(crate) async fn system(&mut self, toplevel: &StorePath) -> Result<(), Failure> {
        let closure = closure(toplevel, Host::Here).await.map_err(Failure::here)?;
        let paths = &mut self.shipment.paths;
        paths.extend(closure);
        paths.sort_by(|one, other| one.path.cmp(&other.path));
        paths.dedup();
        Ok(())
    }

    /// Reads its files once, for what they must be when they arrive.
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
                parts: Parts {
                    kernel: measured(&built.kernel)?,
                    initrd: measured(&built.initrd)?,
                    arch: built.arch,
                    cmdline: built.cmdline,
                },
                kernel: built.kernel,
                initrd: built.initrd,
            })
        };
        let packed = tokio::task::spawn_blocking(pack).await;
        let packed = packed.map_err(|error| unread(error.to_string()))?;
        let packed = packed.map_err(|error| unread(error.to_string()))?;
        for (_, part, _) in packed.files() {
            self.shipment.parts.push(part.clone());
        }
        self.installers.insert(path.clone(), packed);
        Ok(())
    }

    /// Whether all of it fits; then the appliance keeps the space for it. Refused in the appliance's words if not, and
    /// nothing was sent.
    pub(crate) async fn ask(&self, client: &Client) -> Result<Lacking, Failure> {
        client.ask_about(&["publish", "room"], &self.shipment).await
    }

    pub(crate) fn packed(&self, path: &StorePath) -> Option<&InstallerParts> {
        self.installers.get(path)
    }
}

fn measured(file: &Path) -> io::Result<Part> {
    let mut hasher = Sha256::new();
    let size = io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(Part {
        sha256: Digest::new(hasher.finalize().into()),
        size,
    })
}
