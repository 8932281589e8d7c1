//! The binary cache: a folder of signed narinfos and NARs, filled by `publish`, read by installs.

mod closure;
mod command;
mod fault;
mod held;
mod publish;
mod unpack;
mod upload;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use netboot::closure::Member;
use netboot::refusal::Refusal;
use netboot::store_path::StorePath;
use tokio::sync::Mutex;

use crate::durable;

pub use self::upload::{Receiving, Uploads};

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
    /// One publication at a time; the next one waits.
    turn: Arc<Mutex<()>>,
}

/// What `publish` found out about a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of all NARs of the closure, unpacked.
    pub closure_size: u64,
    /// Its `nixos-version`.
    pub label: String,
}

/// The label of a built system (`nixos-version`).
///
/// # Errors
/// It is not in this machine's Nix store, or not a NixOS toplevel.
pub fn look_at(toplevel: &StorePath) -> Result<String, Refusal> {
    publish::look_at(toplevel)
}

/// The closure of a path of this machine's Nix store, sorted.
///
/// # Errors
/// Nix does not know it, in its own words.
pub async fn in_store(path: &StorePath) -> Result<Vec<Member>, Refusal> {
    publish::closure(path).await
}

impl Cache {
    /// Makes the folder and its `nix-cache-info` if absent.
    ///
    /// # Errors
    /// A path that cannot be part of a store URL; a folder that cannot be made.
    pub fn open(state_dir: &Path, secret_key_file: &Path) -> anyhow::Result<Self> {
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
        })
    }

    /// Signs a system's closure into the cache. Refused if it is not a NixOS toplevel. Dropping the future
    /// ends Nix; what it has copied by then is whole and stays.
    pub async fn publish(&self, toplevel: &StorePath) -> Result<Measured, Refusal> {
        let _turn = self.turn.lock().await;
        publish::publish(self, toplevel).await
    }

    /// The file behind `/cache/<path>`; nothing for a name that a cache does not have.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        let name =
            |text: &str, length| text.len() == length && text.chars().all(|c| BASE32.contains(c));
        let known = match path.strip_prefix("nar/") {
            Some(nar) => [".nar", ".nar.zst", ".nar.xz"]
                .iter()
                .any(|end| nar.strip_suffix(end).is_some_and(|hash| name(hash, 52))),
            None => {
                path == "nix-cache-info"
                    || path
                        .strip_suffix(".narinfo")
                        .is_some_and(|hash| name(hash, 32))
            }
        };
        let file = self.dir.join(path);
        let is_file = |file: &Path| file.symlink_metadata().is_ok_and(|m| m.is_file());
        let is_dir = |dir: &Path| dir.symlink_metadata().is_ok_and(|m| m.is_dir());
        (known && is_file(&file) && file.parent().is_some_and(is_dir)).then_some(file)
    }
}
