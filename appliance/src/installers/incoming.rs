//! Kernels and initrds that a workstation sends, before they are an installer: each under its SHA-256, whole or not at
//! all, so that what was sent of an upload that broke off need not be sent again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::{Digest, UploadBatchId};
use netboot::publish::installer::ImageFile;
use netboot::publish::space_reservation::Item;

use crate::files::budget::DiskBudget;
use crate::files::durable;
use crate::files::receive::{ExpectedFile, FileReceiver};

/// Beside the folders of the architectures.
const NAME: &str = "incoming";

/// How long a file stays that did not become part of an installer.
const STAYS: Duration = Duration::from_secs(24 * 60 * 60);

/// The most bytes of a file. No larger initrd would fit into a machine's memory.
const MOST: u64 = 4 << 30;

#[derive(Debug)]
pub(super) struct ReceivedParts {
    dir: PathBuf,
}

impl ReceivedParts {
    /// Deletes what an appliance that was killed had received half of.
    pub(super) fn open(installers: &Path) -> io::Result<Self> {
        let dir = installers.join(NAME);
        durable::make_dir(&dir)?;
        let incoming = Self { dir };
        incoming.sweep(|name, _| name.parse::<Digest>().is_err());
        incoming.sweep_old();
        Ok(incoming)
    }

    /// Where a whole file is.
    pub(super) fn file(&self, part: &ImageFile) -> Option<PathBuf> {
        let file = self.dir.join(part.sha256.as_str());
        let whole = fs::metadata(&file).is_ok_and(|m| m.is_file() && m.len() == part.size);
        whole.then_some(file)
    }

    /// Begins to receive a file of so many bytes.
    pub(super) async fn receive(
        &self,
        name: &Digest,
        length: u64,
        batch: Option<UploadBatchId>,
        room: &DiskBudget,
    ) -> Result<FileReceiver, Refusal> {
        if length > MOST {
            let message = format!("an installer's file has at most {MOST} bytes");
            return Err(Refusal::new(RefusalCode::TooLarge, message).fact("nothing was changed"));
        }
        let expected = ExpectedFile {
            hash: octets(name),
            written: |hash| Digest::new(hash).to_string(),
            length: Some(length),
            batch,
            settles: Some(Item::Part(name.clone())),
            aside: self.dir.clone(),
            to: self.dir.join(name.as_str()),
        };
        FileReceiver::begin(expected, room).await
    }

    /// Deletes files that were not used within [`STAYS`].
    pub(super) fn sweep_old(&self) {
        self.sweep(|_, age| age > STAYS);
    }

    fn sweep(&self, goes: impl Fn(&str, Duration) -> bool) {
        let now = SystemTime::now();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let written = entry.metadata().and_then(|about| about.modified());
            let age = written.ok().and_then(|at| now.duration_since(at).ok());
            let name = entry.file_name();
            if !goes(&name.to_string_lossy(), age.unwrap_or_default()) {
                continue;
            }
            if let Err(error) = fs::remove_file(entry.path()) {
                let path = entry.path();
                tracing::warn!(path = %path.display(), %error, "half an upload stays");
            }
        }
    }
}

/// The hexadecimal digits as what they stand for.
fn octets(digest: &Digest) -> [u8; 32] {
    let mut octets = [0; 32];
    let digits = digest.as_str().as_bytes();
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).unwrap_or_default();
        *octet = u8::try_from(digit(0) * 16 + digit(1)).unwrap_or_default();
    }
    octets
}
