//! A file that comes over the network: received aside, and under its name when it is whole, what it should be, and on
//! the disk.

use std::io;
use std::path::{Path, PathBuf};

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::UploadBatchId;
use netboot::publish::space_reservation::Item;
use nix_publish::publish_failed;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::base::clock;
use crate::files::budget::{DiskBudget, Reservation, no_space};
use crate::files::durable;

/// Whose disk it is, in a sentence.
const WHOSE: &str = "the state-dir's";

/// Bytes that are reserved at a time where the client does not say how many will come.
const AT_ONCE: u64 = 16 << 20;

/// What is to come, and where it goes.
#[derive(Debug)]
pub(crate) struct ExpectedFile {
    /// Its SHA-256.
    pub(crate) hash: [u8; 32],
    /// How that is written where the file has its name from.
    pub(crate) written: fn([u8; 32]) -> String,
    /// How many bytes will come, if that was said.
    pub(crate) length: Option<u64>,
    /// The upload that it is a part of.
    pub(crate) batch: Option<UploadBatchId>,
    /// The item that is complete once this file is in its place.
    pub(crate) settles: Option<Item>,
    /// The folder for incomplete files, on the filesystem of `to`.
    pub(crate) aside: PathBuf,
    pub(crate) to: PathBuf,
}

/// A file on its way in. If it is dropped before its end, no file is left.
#[derive(Debug)]
pub struct FileReceiver {
    file: File,
    aside: TempFile,
    expected: ExpectedFile,
    hash: Sha256,
    bytes: u64,
    /// How many bytes are reserved.
    granted: u64,
    room: DiskBudget,
    /// Given back after the file is gone.
    place: Reservation,
}

impl FileReceiver {
    /// # Errors
    /// There is no space for it.
    pub(crate) async fn begin(expected: ExpectedFile, room: &DiskBudget) -> Result<Self, Refusal> {
        let granted = expected.length.unwrap_or(AT_ONCE);
        let place = room.begin(&expected.aside, expected.batch.clone(), granted);
        let place = place.map_err(|no| no.refusal(WHOSE).fact("nothing was changed"))?;
        let name = u64::from_le_bytes(clock::random());
        let aside = TempFile(expected.aside.join(format!("{name:016x}.half")));
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
            granted,
            room: room.clone(),
            place,
        })
    }

    pub async fn take(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        self.bytes += octets.len() as u64;
        while self.expected.length.is_none() && self.bytes > self.granted {
            let more = self.place.more(AT_ONCE);
            more.map_err(|no| no.refusal(WHOSE).fact("nothing was changed"))?;
            self.granted += AT_ONCE;
        }
        self.hash.update(octets);
        let written = self.file.write_all(octets).await;
        written.map_err(|error| cannot_write(&error))?;
        self.place.reached(self.bytes);
        Ok(())
    }

    /// Durable under its name when this returns.
    pub async fn finish(mut self) -> Result<(), Refusal> {
        let got: [u8; 32] = self.hash.finalize_reset().into();
        if got != self.expected.hash {
            let written = self.expected.written;
            return Err(
                publish_failed("what arrived is not the file that its name says")
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
        written.await.map_err(|error| cannot_write(&error))?;
        self.place.arrived();
        if let Some(item) = &self.expected.settles {
            let batch = self.expected.batch.as_ref();
            self.room.settled(batch, item, self.bytes);
        }
        Ok(())
    }
}

/// A file that is deleted when this is dropped, unless it was renamed before.
#[derive(Debug)]
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %self.0.display(), %error, "half an upload stays");
            }
            _ => {}
        }
    }
}

pub(crate) fn cannot_write(error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_space(WHOSE),
        _ => Refusal::new(
            RefusalCode::Internal,
            format!("cannot write what arrives: {error}"),
        ),
    }
}
