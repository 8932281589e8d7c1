//! What is built elsewhere and put into the cache over the network: NARs as they come, under the name that is their hash;
//! a narinfo only once all that it says was found true, and then with this appliance's signature.
//!
//! Incomplete files are not visible: a file is received aside, and gets its name when it is whole and on the disk.

use std::io;
use std::sync::Arc;

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::store_path::StorePath;
use netboot::base::token::UploadBatchId;
use netboot::publish::narinfo::{NarFile, NarInfo};
use netboot::publish::nix_hash::NixHash;
use netboot::publish::space_reservation::Item;
use nix_publish::publish_failed;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::binary_cache::Cache;
use super::unpack::{self, Unpacked};
use crate::files::durable;
use crate::files::receive::{ExpectedFile, FileReceiver, cannot_write};

/// Below the cache's folder, so on the same filesystem; no client can name it.
const NAME: &str = "uploads";

/// The most NARs that are unpacked at once: that takes the processor, which DHCP needs as well.
const UNPACKED_AT_ONCE: usize = 2;

/// The most references that a refusal names.
const NAMED: usize = 5;

/// The way into the cache for what was built elsewhere. One for each cache.
#[derive(Debug)]
pub struct Uploads {
    cache: Cache,
    unpacking: Arc<Semaphore>,
    /// The lock that is held while a narinfo gets its name.
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
            unpacking: Arc::new(Semaphore::new(UNPACKED_AT_ONCE)),
            placing: Arc::default(),
        })
    }

    /// Whether an install could copy the path with this hash. If so, the path is pinned for an hour. `public` is
    /// `name:base64`.
    pub async fn has(&self, hash: &str, public: &str) -> bool {
        let (cache, hash, public) = (self.cache.clone(), hash.to_owned(), public.to_owned());
        let look = move || {
            let text = cache.file(&format!("{hash}.narinfo"));
            let text = text.and_then(|file| std::fs::read_to_string(file).ok());
            let info = text.and_then(|text| text.parse::<NarInfo>().ok());
            let Some(info) = info.filter(|info| info.path.hash() == hash) else {
                return false;
            };
            cache.pinned.path(&info.path);
            cache.fault(&info.path, &public).is_none()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    /// The same for a NAR, whose narinfo may still be to come.
    pub async fn has_nar(&self, nar: NarFile) -> bool {
        let cache = self.cache.clone();
        let look = move || {
            cache.pinned.nar(&nar);
            cache.file(&nar.to_string()).is_some()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }

    /// A sign of life of the client that sends this shipment.
    pub fn heard(&self, batch: Option<&UploadBatchId>) {
        self.cache.room.heard(batch);
    }

    /// Begins to receive a NAR; `length` is in bytes, if the client said it.
    ///
    /// # Errors
    /// There is no space for it beside what is reserved for others.
    pub async fn receive(
        &self,
        name: NarFile,
        length: Option<u64>,
        batch: Option<UploadBatchId>,
    ) -> Result<FileReceiver, Refusal> {
        let expected = ExpectedFile {
            hash: name.hash.0,
            written: |hash| NixHash(hash).to_string(),
            length,
            batch,
            // With its narinfo.
            settles: None,
            aside: self.cache.dir.join(NAME),
            to: self.cache.dir.join(name.to_string()),
        };
        FileReceiver::begin(expected, &self.cache.room).await
    }

    /// Signs a narinfo into the cache. False: the path was there already, whole.
    ///
    /// # Errors
    /// A field of the narinfo is wrong, or a path that it refers to is absent.
    pub async fn admit(
        &self,
        mut info: NarInfo,
        batch: Option<UploadBatchId>,
        public: String,
        sign: impl FnOnce(&str) -> String + Send + 'static,
    ) -> Result<bool, Refusal> {
        let ended = |error: &dyn std::fmt::Display| {
            Refusal::new(
                RefusalCode::Internal,
                format!("an upload was not looked at: {error}"),
            )
        };
        let permit = self.unpacking.clone().acquire_owned().await;
        let permit = permit.map_err(|error| ended(&error))?;
        let (cache, placing) = (self.cache.clone(), self.placing.clone());
        let work = move || {
            // The work itself holds the permit, since it goes on when the client has hung up.
            let _permit = permit;
            for path in std::iter::once(&info.path).chain(&info.references) {
                cache.pinned.path(path);
            }
            cache.pinned.nar(&info.file);
            let item = Item::Path(info.path.clone());
            let settled = |came| cache.room.settled(batch.as_ref(), &item, came);
            if cache.fault(&info.path, &public).is_none() {
                settled(0);
                return Ok(false);
            }
            references_are_there(&cache, &info, &public)?;
            is_true(&cache, &info)?;
            info.sign(sign(&info.fingerprint()));
            let file = cache.dir.join(format!("{}.narinfo", info.path.hash()));
            let _placing = placing.lock();
            durable::write(&file, 0o644, info.to_string().as_bytes())
                .map_err(|error| cannot_write(&error))?;
            settled(info.file_size);
            Ok(true)
        };
        let worked = tokio::task::spawn_blocking(work).await;
        worked.map_err(|error| ended(&error))?
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
    let refusal = publish_failed(format!(
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

/// Compares the NAR with what the narinfo says of it, to the last octet.
fn is_true(cache: &Cache, info: &NarInfo) -> Result<(), Refusal> {
    let name = info.file.to_string();
    let Some(file) = cache.file(&name) else {
        return Err(
            publish_failed(format!("the NAR of `{}` is not here", info.path))
                .fact(format!("it should be {name}"))
                .tip("send the NAR first, then its narinfo"),
        );
    };
    let not_so = |what: &str, said: &dyn std::fmt::Display, is: &dyn std::fmt::Display| {
        Err(publish_failed(format!(
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
            RefusalCode::Internal,
            format!("cannot read `{}`: {error}", file.display()),
        )
    })?;
    if file_hash != info.file.hash {
        // Torn by a power cut or by the disk: it is deleted, so that it can be sent again.
        tracing::warn!(file = name, "a NAR in the cache is damaged; it goes");
        if let Err(error) = std::fs::remove_file(&file) {
            tracing::warn!(file = name, %error, "it stays");
        }
        return Err(
            publish_failed(format!("the NAR of `{}` was damaged here", info.path))
                .fact(format!("{name} is gone now"))
                .tip("send it again"),
        );
    }
    if file_size != info.file_size {
        return not_so("FileSize", &info.file_size, &file_size);
    }
    match nar {
        Err(unpack::BadContent::TooLong) => not_so("NarSize", &info.nar_size, &"more"),
        Err(unpack::BadContent::Broken(why)) => Err(publish_failed(format!(
            "the NAR of `{}` cannot be unpacked: {why}",
            info.path
        ))),
        Ok((_, size)) if size != info.nar_size => not_so("NarSize", &info.nar_size, &size),
        Ok((hash, _)) if hash != info.nar_hash => not_so("NarHash", &info.nar_hash, &hash),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
