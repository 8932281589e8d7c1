//! What is built elsewhere and put into the cache over the network: NARs as they come, under the name that is their hash;
//! a narinfo only once all that it says was found true, and then with this appliance's signature.
//!
//! Nothing half-way is visible: a file is received aside, and gets its name when it is whole and on the disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use netboot::narinfo::{NarFile, NarInfo, NixHash};
use netboot::refusal::{Code, Refusal};
use netboot::store_path::StorePath;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::Cache;
use super::command::refused;
use super::unpack::{self, Unpacked};
use crate::{clock, durable};

/// Below the cache's folder, so on the same filesystem; no client can name it.
const NAME: &str = "uploads";

/// Left free for the journal and the index, which share the filesystem.
const RESERVE: u64 = 64 << 20;

/// Bytes between two looks at the space that is left, where nobody says how many will come.
const LOOK_EVERY: u64 = 16 << 20;

/// NARs unpacked at once: it is all work for the processor, and DHCP wants some of it.
const UNPACKED_AT_ONCE: usize = 2;

/// References that a refusal names.
const NAMED: usize = 5;

/// The way into the cache for what was built elsewhere. One for each cache.
#[derive(Debug)]
pub struct Uploads {
    cache: Cache,
    unpacking: Semaphore,
    /// Held while a narinfo gets its name.
    placing: Arc<Mutex<()>>,
}

impl Uploads {
    /// Deletes what an appliance that was killed had received half of.
    ///
    /// # Errors
    /// The folder for what is received cannot be emptied or made.
    pub fn open(cache: Cache) -> io::Result<Self> {
        let folder = cache.dir.join(NAME);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        durable::make_dir(&folder)?;
        durable::make_dir(&cache.dir.join("nar"))?;
        Ok(Self {
            cache,
            unpacking: Semaphore::new(UNPACKED_AT_ONCE),
            placing: Arc::default(),
        })
    }

    /// Whether an install could copy the path with this hash. `public` is `name:base64`.
    pub fn has(&self, hash: &str, public: &str) -> bool {
        let text = self.cache.file(&format!("{hash}.narinfo"));
        let text = text.and_then(|file| std::fs::read_to_string(file).ok());
        let info = text.and_then(|text| text.parse::<NarInfo>().ok());
        info.is_some_and(|info| {
            info.path.hash() == hash && self.cache.fault(&info.path, public).is_none()
        })
    }

    /// Begins to receive a NAR, of so many bytes if that was said.
    pub async fn receive(&self, name: NarFile, length: Option<u64>) -> Result<Receiving, Refusal> {
        fits(&self.cache.dir, length.unwrap_or(0))?;
        let aside = u64::from_le_bytes(clock::random());
        let aside = Aside(self.cache.dir.join(NAME).join(format!("{aside:016x}")));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&aside.0)
            .await;
        Ok(Receiving {
            file: opened.map_err(|error| cannot_write(&error))?,
            aside,
            dir: self.cache.dir.clone(),
            name,
            hash: Sha256::new(),
            bytes: 0,
            told: length.is_some(),
        })
    }

    /// Signs a narinfo into the cache. False: the path was there already, whole.
    ///
    /// # Errors
    /// Something that it says is not so, or what it refers to is not there.
    pub async fn admit(
        &self,
        mut info: NarInfo,
        public: String,
        sign: impl FnOnce(&str) -> String + Send + 'static,
    ) -> Result<bool, Refusal> {
        let ended = |error: &dyn std::fmt::Display| {
            Refusal::new(
                Code::Internal,
                format!("an upload was not looked at: {error}"),
            )
        };
        let seat = self.unpacking.acquire().await;
        let _seat = seat.map_err(|error| ended(&error))?;
        let (cache, placing) = (self.cache.clone(), self.placing.clone());
        let work = move || {
            if cache.fault(&info.path, &public).is_none() {
                return Ok(false);
            }
            references_are_there(&cache, &info, &public)?;
            is_true(&cache, &info)?;
            info.sign(sign(&info.fingerprint()));
            let file = cache.dir.join(format!("{}.narinfo", info.path.hash()));
            let _placing = placing.lock().unwrap_or_else(PoisonError::into_inner);
            durable::write(&file, 0o644, info.to_string().as_bytes())
                .map_err(|error| cannot_write(&error))?;
            Ok(true)
        };
        let worked = tokio::task::spawn_blocking(work).await;
        worked.map_err(|error| ended(&error))?
    }
}

/// A NAR on its way in. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Receiving {
    file: File,
    aside: Aside,
    dir: PathBuf,
    name: NarFile,
    hash: Sha256,
    bytes: u64,
    /// The client said how many bytes will come, and there was space for them.
    told: bool,
}

impl Receiving {
    pub async fn take(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let before = self.bytes;
        self.bytes += octets.len() as u64;
        if !self.told && before / LOOK_EVERY != self.bytes / LOOK_EVERY {
            fits(&self.dir, 0)?;
        }
        self.hash.update(octets);
        let written = self.file.write_all(octets).await;
        written.map_err(|error| cannot_write(&error))
    }

    /// Durable under its name when this returns.
    pub async fn finish(mut self) -> Result<(), Refusal> {
        let got = NixHash(self.hash.finalize_reset().into());
        if got != self.name.hash {
            return Err(refused("what arrived is not the file that its name says")
                .fact(format!("it is named {}, and is {got}", self.name.hash))
                .fact("nothing was changed")
                .tip("send it again"));
        }
        let written = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            let (from, to) = (self.aside.0.clone(), self.dir.join(self.name.to_string()));
            let place = move || {
                std::fs::rename(from, &to)?;
                durable::sync_dir(to.parent().unwrap_or(Path::new(".")))
            };
            tokio::task::spawn_blocking(place).await?
        };
        written.await.map_err(|error| cannot_write(&error))
    }
}

/// A file that goes when nobody wants it any more; nothing happens if it got another name meanwhile.
#[derive(Debug)]
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.0.display(), %error, "half an upload stays");
            }
            _ => {}
        }
    }
}

/// Nix sends each path after what it needs, so all of it must be here.
fn references_are_there(cache: &Cache, info: &NarInfo, public: &str) -> Result<(), Refusal> {
    let others = info.references.iter().filter(|path| **path != info.path);
    let absent: Vec<&StorePath> = others
        .filter(|path| cache.fault(path, public).is_some())
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    let refusal = refused(&format!(
        "`{}` needs {} paths that the cache does not have",
        info.path,
        absent.len()
    ));
    let refusal = absent
        .iter()
        .take(NAMED)
        .fold(refusal, |refusal, path| refusal.fact(path.to_string()));
    Err(refusal.tip("copy the whole closure, as `pxe-admin publish` does"))
}

/// Holds the file against what is said of it, to the last octet.
fn is_true(cache: &Cache, info: &NarInfo) -> Result<(), Refusal> {
    let name = info.file.to_string();
    let Some(file) = cache.file(&name) else {
        return Err(refused(&format!("the NAR of `{}` is not here", info.path))
            .fact(format!("it should be {name}"))
            .tip("send the NAR first, then its narinfo"));
    };
    let not_so = |what: &str, said: &dyn std::fmt::Display, is: &dyn std::fmt::Display| {
        Err(refused(&format!(
            "the narinfo of `{}` says what is not so",
            info.path
        ))
        .fact(format!("{what}: it says {said}, and it is {is}"))
        .fact("nothing was changed"))
    };
    let unpacked = unpack::look(&file, info.file.packed, info.nar_size);
    let Unpacked {
        file_hash,
        file_size,
        nar,
    } = unpacked.map_err(|error| {
        Refusal::new(
            Code::Internal,
            format!("cannot read `{}`: {error}", file.display()),
        )
    })?;
    if file_hash != info.file.hash {
        // Torn by a power cut, or by the disk: of no use to anybody under this name.
        tracing::warn!(file = name, "a NAR in the cache is damaged; it goes");
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(file = name, %error, "it stays");
        }
        return Err(
            refused(&format!("the NAR of `{}` was damaged here", info.path))
                .fact(format!("{name} is gone now"))
                .tip("send it again"),
        );
    }
    if file_size != info.file_size {
        return not_so("FileSize", &info.file_size, &file_size);
    }
    match nar {
        Err(unpack::Unfit::TooLong) => not_so("NarSize", &info.nar_size, &"more"),
        Err(unpack::Unfit::Broken(why)) => Err(refused(&format!(
            "the NAR of `{}` cannot be unpacked: {why}",
            info.path
        ))),
        Ok((_, size)) if size != info.nar_size => not_so("NarSize", &info.nar_size, &size),
        Ok((hash, _)) if hash != info.nar_hash => not_so("NarHash", &info.nar_hash, &hash),
        Ok(_) => Ok(()),
    }
}

fn fits(dir: &Path, bytes: u64) -> Result<(), Refusal> {
    let free = durable::free_space(dir)
        .map_err(|error| refused(&format!("the cache's filesystem cannot be asked: {error}")))?;
    if free >= bytes.saturating_add(RESERVE) {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(no_space().fact(format!(
        "{} MiB are to be taken in, {} MiB must stay free, {} MiB are free",
        mib(bytes),
        mib(RESERVE),
        mib(free)
    )))
}

fn no_space() -> Refusal {
    refused("the cache's filesystem has too little space")
        .tip("free some space in the appliance's `state-dir`, or move it to a larger disk")
}

fn cannot_write(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_space(),
        _ => Refusal::new(
            Code::Internal,
            format!("cannot write into the cache: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests;
