//! What is sent to an appliance that is another machine: measured, and asked about as a whole before any of it goes out,
//! so that nothing is sent in vain.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use netboot::api::types::{Lacking, Shipment};
use netboot::base::refusal::{Code, Refusal};
use netboot::base::store_path::StorePath;
use netboot::base::token::{Digest, ShipmentId};
use netboot::publish::installer::{Part, Parts};
use sha2::{Digest as _, Sha256};

use crate::admin::client::Client;
use crate::admin::failure::Failure;
use crate::installers::Built;
use crate::{cache, clock};

#[derive(Debug)]
pub(super) struct Freight {
    /// What comes with it is known to be a part of what was asked about.
    id: ShipmentId,
    shipment: Shipment,
    installers: BTreeMap<StorePath, Packed>,
}

/// An installer, and the files that its parts are in.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) parts: Parts,
    kernel: PathBuf,
    initrd: PathBuf,
}

impl Packed {
    /// What it is called in a sentence, what it is, where it is.
    pub(super) fn files(&self) -> [(&'static str, &Part, &Path); 2] {
        [
            ("kernel", &self.parts.kernel, &self.kernel),
            ("initrd", &self.parts.initrd, &self.initrd),
        ]
    }
}

impl Freight {
    pub(super) fn new() -> Self {
        let id = ShipmentId::new(clock::random());
        Self {
            shipment: Shipment {
                id: Some(id.clone()),
                ..Shipment::default()
            },
            installers: BTreeMap::new(),
            id,
        }
    }

    pub(super) fn id(&self) -> &ShipmentId {
        &self.id
    }

    /// The closure of a system that is in the Nix store here.
    pub(super) async fn system(&mut self, toplevel: &StorePath) -> Result<(), Failure> {
        let closure = cache::in_store(toplevel).await.map_err(refused)?;
        let paths = &mut self.shipment.paths;
        paths.extend(closure);
        paths.sort_by(|one, other| one.path.cmp(&other.path));
        paths.dedup();
        Ok(())
    }

    /// Reads its files once, for what they must be when they arrive.
    pub(super) async fn installer(
        &mut self,
        path: &StorePath,
        built: Built,
    ) -> Result<(), Failure> {
        let unread = |why: String| {
            let message = format!("`{path}` cannot be read: {why}");
            refused(Refusal::new(Code::PublishFailed, message).fact("nothing was changed"))
        };
        let pack = move || -> io::Result<Packed> {
            Ok(Packed {
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
    pub(super) async fn ask(&self, client: &Client) -> Result<Lacking, Failure> {
        client.ask_about(&["publish", "room"], &self.shipment).await
    }

    pub(super) fn packed(&self, path: &StorePath) -> Option<&Packed> {
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

fn refused(refusal: Refusal) -> Failure {
    Failure::Refused {
        refusal,
        call: "none".to_owned(),
    }
}
