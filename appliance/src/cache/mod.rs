//! The binary cache: a folder of signed narinfos and NARs, filled by `publish`, read by installs.
//!
//! What stands in the folder is whole and durable. A publication fills a folder of its own below it ([`incoming`]), and
//! moves over what is done: NARs first, then narinfos, each step durable before the next. A power cut at any moment
//! leaves what was there before as it was.

mod closure;
mod folder;
mod held;
mod incoming;
mod progress;
mod promises;
mod publish;
mod sweep;
mod unpack;
mod upload;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use netboot::api::types::{Copying, Lacking};
use netboot::base::refusal::{Code, Refusal};
use netboot::base::store_path::StorePath;
use netboot::base::token::ShipmentId;
use netboot::publish::closure::Member;
use netboot::publish::space_reservation::{Item, Items};
use nix_publish::system::System;
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::folder::Folder;
use self::progress::Progress;
use self::promises::Promises;
use crate::files::budget::DiskBudget;
use crate::files::durable;

pub use self::sweep::Swept;
pub use self::upload::Uploads;

/// What `nix copy` writes has `StoreDir` alone; the rest lets clients ask for many paths at once, and
/// prefers this cache to the one on the internet (40).
const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";

/// The letters of Nix's base 32: no e, o, u, t.
const BASE32: &str = "0123456789abcdfghijklmnpqrsvwxyz";

/// The cache's folder and what signs it.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    secret_key_file: PathBuf,
    turn: Arc<Mutex<()>>,
    copying: Progress,
    promises: Promises,
    room: DiskBudget,
}

/// What `publish` found out about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    pub system: System,
}

/// The right to change what is in the cache: one at a time has it, the next one waits. Whoever publishes keeps it until
/// the release is on record, or its paths would be nobody's when the cache is pruned.
#[derive(Debug)]
pub struct Turn {
    cache: Cache,
    /// Work that nobody waits for any more holds it too, until it is done.
    guard: Arc<OwnedMutexGuard<()>>,
}

impl Cache {
    /// Makes the folder and its `nix-cache-info` if absent.
    ///
    /// # Errors
    /// A path that cannot be part of a store URL; a folder that cannot be made.
    pub fn open(
        state_dir: &Path,
        secret_key_file: &Path,
        room: DiskBudget,
    ) -> anyhow::Result<Self> {
        let dir = std::path::absolute(state_dir.join("cache"))?;
        let secret_key_file = std::path::absolute(secret_key_file)?;
        for path in [&dir, &secret_key_file] {
            // Nix takes them as parts of a URL and does not decode all of it.
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
            if !path.to_str().is_some_and(|text| text.chars().all(plain)) {
                bail!(
                    "the path `{}` cannot be given to Nix: use a `state-dir` of letters, digits and / . _ - +",
                    path.display()
                );
            }
        }
        let info = dir.join("nix-cache-info");
        durable::make_dir(&dir)
            .with_context(|| format!("cannot make the folder `{}`", dir.display()))?;
        if std::fs::read(&info).ok().as_deref() != Some(INFO.as_bytes()) {
            durable::write(&info, 0o644, INFO.as_bytes())
                .with_context(|| format!("cannot write `{}`", info.display()))?;
        }
        Ok(Self {
            dir,
            secret_key_file,
            turn: Arc::default(),
            copying: Progress::default(),
            promises: Promises::default(),
            room,
        })
    }

    /// Waits until nobody else changes the cache.
    pub async fn turn(&self) -> Turn {
        Turn {
            cache: self.clone(),
            guard: Arc::new(self.turn.clone().lock_owned().await),
        }
    }

    /// What is copied into it at this moment, and how far that is.
    pub fn copying(&self) -> Option<Copying> {
        self.copying.now()
    }

    /// What it lacks of these paths. `more` is to come to its filesystem with them; `public` is `name:base64`. Space for
    /// all of it is promised to `shipment`.
    ///
    /// # Errors
    /// All of it together does not fit beside what others were promised.
    pub async fn lacks(
        &self,
        members: Vec<Member>,
        more: Items,
        shipment: Option<ShipmentId>,
        public: String,
    ) -> Result<Lacking, Refusal> {
        let cache = self.clone();
        let look = move || {
            let lacks = |member: &Member| cache.fault(&member.path, &public).is_some();
            let lacking: Vec<Member> = members.into_iter().filter(lacks).collect();
            let paths = lacking.iter();
            let paths = paths.map(|m| (Item::Path(m.path.clone()), publish::packed(m.size)));
            let items = paths.chain(more).collect();
            let promised = cache.room.promise(&cache.dir, shipment.as_ref(), items);
            promised.map_err(|no| publish::no_room(&no))?;
            Ok(Lacking {
                paths: lacking.len() as u64,
                bytes: netboot::publish::closure::size(&lacking),
                parts: Vec::new(),
            })
        };
        let looked = tokio::task::spawn_blocking(look).await;
        looked.map_err(|error| {
            let message = format!("the cache was not looked at: {error}");
            Refusal::new(Code::Internal, message)
        })?
    }

    /// The file behind `/cache/<path>`; nothing for a name that a cache does not have.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        Folder(&self.dir).file(path)
    }

    /// What is wrong with the entry of this path; nothing if it is whole. `public` is `name:base64`. The paths that it
    /// refers to are not looked at.
    pub fn fault(&self, path: &StorePath, public: &str) -> Option<String> {
        Folder(&self.dir).fault(path, public)
    }
}

impl Turn {
    /// Signs a system's closure into the cache, and mends what is torn of it. Refused if it is not a NixOS toplevel.
    /// Dropping the future ends Nix; what it has copied by then is taken over by the next publication.
    pub async fn publish(&self, toplevel: &StorePath) -> Result<Measured, Refusal> {
        publish::publish(self, toplevel).await
    }

    /// Deletes what neither `kept` nor a publication under way needs, by the rules of `netboot::publish::retention`; looks only,
    /// if it is dry.
    ///
    /// # Errors
    /// Files that cannot be listed or deleted. What is left then is found by the next sweep.
    pub async fn sweep(
        &self,
        kept: Vec<StorePath>,
        pruned: Vec<StorePath>,
        dry: bool,
    ) -> anyhow::Result<Swept> {
        self.aside(move |cache| {
            let promised = cache.promises.in_force();
            sweep::sweep(&cache.dir, &kept, &pruned, &promised, dry)
        })
        .await
        .map_err(|refusal| anyhow::anyhow!("{refusal}"))?
    }

    /// Work with many files, on a thread that may wait for them.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Cache) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (cache, guard) = (self.cache.clone(), self.guard.clone());
        let worked = tokio::task::spawn_blocking(move || {
            let _guard = guard;
            work(&cache)
        });
        worked.await.map_err(|error| {
            Refusal::new(
                Code::Internal,
                format!("the work in the cache ended early: {error}"),
            )
        })
    }
}
