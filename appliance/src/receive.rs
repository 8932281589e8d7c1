//! A file that comes over the network: received aside, and under its name when it is whole, what it should be, and on
//! the disk.

use std::io;
use std::path::{Path, PathBuf};

use netboot::refusal::{Code, Refusal};
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::{clock, durable};

/// Left free for the journal and the index, which share the filesystem.
pub(crate) const RESERVE: u64 = 64 << 20;

/// Bytes between two looks at the space that is left, where nobody says how many will come.
const LOOK_EVERY: u64 = 16 << 20;

/// What is to come, and where it goes.
#[derive(Debug)]
pub(crate) struct Expected {
    /// Its SHA-256.
    pub(crate) hash: [u8; 32],
    /// How that is written where the file has its name from.
    pub(crate) written: fn([u8; 32]) -> String,
    /// How many bytes will come, if that was said.
    pub(crate) length: Option<u64>,
    /// The folder for what is half, on the filesystem of `to`.
    pub(crate) aside: PathBuf,
    pub(crate) to: PathBuf,
}

/// A file on its way in. Dropped before its end, it leaves nothing.
#[derive(Debug)]
pub struct Receiving {
    file: File,
    aside: Aside,
    expected: Expected,
    hash: Sha256,
    bytes: u64,
}

impl Receiving {
    /// # Errors
    /// There is no space for it.
    pub(crate) async fn begin(expected: Expected) -> Result<Self, Refusal> {
        fits(&expected.aside, expected.length.unwrap_or(0))?;
        let name = u64::from_le_bytes(clock::random());
        let aside = Aside(expected.aside.join(format!("{name:016x}.half")));
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&aside.0)
            .await;
        Ok(Self {
            file: opened.map_err(|error| cannot_write(&error))?,
            aside,
            expected,
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    pub async fn take(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let before = self.bytes;
        self.bytes += octets.len() as u64;
        let untold = self.expected.length.is_none();
        if untold && before / LOOK_EVERY != self.bytes / LOOK_EVERY {
            fits(&self.expected.aside, 0)?;
        }
        self.hash.update(octets);
        let written = self.file.write_all(octets).await;
        written.map_err(|error| cannot_write(&error))
    }

    /// Durable under its name when this returns.
    pub async fn finish(mut self) -> Result<(), Refusal> {
        let got: [u8; 32] = self.hash.finalize_reset().into();
        if got != self.expected.hash {
            let written = self.expected.written;
            return Err(
                failed("what arrived is not the file that its name says".to_owned())
                    .fact(format!(
                        "it is named {}, and is {}",
                        written(self.expected.hash),
                        written(got)
                    ))
                    .fact("nothing was changed")
                    .tip("send it again"),
            );
        }
        let written = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            let (from, to) = (self.aside.0.clone(), self.expected.to.clone());
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

/// # Errors
/// So many bytes more would leave too little.
fn fits(dir: &Path, bytes: u64) -> Result<(), Refusal> {
    let free = durable::free_space(dir).map_err(|error| {
        failed(format!(
            "the state-dir's filesystem cannot be asked: {error}"
        ))
    })?;
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

pub(crate) fn no_space() -> Refusal {
    failed("the state-dir's filesystem has too little space".to_owned())
        .tip("free some space in the appliance's `state-dir`, or move it to a larger disk")
}

pub(crate) fn cannot_write(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_space(),
        _ => Refusal::new(
            Code::Internal,
            format!("cannot write what arrives: {error}"),
        ),
    }
}

fn failed(message: String) -> Refusal {
    Refusal::new(Code::PublishFailed, message)
}
