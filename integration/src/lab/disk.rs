//! Disks: blank, or full of data that must not change.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::bus::Bus;
use super::command::run;

const PIECE: u64 = 8 << 20;

/// A raw image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualDisk {
    pub file: PathBuf,
    /// What the machine sees: at most 20 characters with virtio.
    pub serial: String,
    pub bus: Bus,
    /// The machine cannot write to it.
    pub read_only: bool,
    /// Which writes fail: a configuration of QEMU's blkdebug.
    pub faults: Option<PathBuf>,
}

impl VirtualDisk {
    /// A blank disk; it takes no room until it is written to.
    pub fn blank(file: PathBuf, serial: &str, mib: u64) -> anyhow::Result<Self> {
        let image =
            File::create(&file).with_context(|| format!("cannot make `{}`", file.display()))?;
        image.set_len(mib << 20)?;
        Ok(Self {
            file,
            serial: serial.to_owned(),
            bus: Bus::default(),
            read_only: false,
            faults: None,
        })
    }

    #[must_use]
    pub fn on(mut self, bus: Bus) -> Self {
        self.bus = bus;
        self
    }

    /// Writes that touch one of these sectors of 512 octets fail, each time.
    pub fn with_bad_sectors(
        mut self,
        sectors: impl IntoIterator<Item = u64>,
    ) -> anyhow::Result<Self> {
        let rules = sectors.into_iter().map(|sector| {
            format!(
                "[inject-error]\nevent = \"none\"\niotype = \"write\"\nsector = \"{sector}\"\nerrno = \"5\"\n"
            )
        });
        let file = self.file.with_extension("faults");
        std::fs::write(&file, rules.collect::<String>())?;
        self.faults = Some(file);
        Ok(self)
    }

    /// A disk with data at its beginning, in its middle and at its end: where partition tables and signatures
    /// of other systems live, and where a slip would write. A copy is kept beside it.
    pub fn with_data(file: PathBuf, serial: &str, mib: u64) -> anyhow::Result<Self> {
        let disk = Self::blank(file, serial, mib)?;
        let mut image = File::options().write(true).open(&disk.file)?;
        for (number, at) in [0, mib << 19, (mib << 20) - PIECE].into_iter().enumerate() {
            image.seek(SeekFrom::Start(at))?;
            image.write_all(&noise(number, usize::try_from(PIECE)?))?;
        }
        drop(image);
        disk.keep_copy()?;
        Ok(disk)
    }

    /// A disk that is one ext4 file system, without a partition table. A copy is kept beside it.
    pub fn with_filesystem(
        file: PathBuf,
        serial: &str,
        mib: u64,
        label: &str,
    ) -> anyhow::Result<Self> {
        let disk = Self::blank(file, serial, mib)?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", label])
            .arg(&disk.file))?;
        disk.keep_copy()?;
        Ok(disk)
    }

    /// Remembers what is on it now.
    pub fn keep_copy(&self) -> anyhow::Result<()> {
        run(Command::new("cp")
            .arg("--sparse=always")
            .arg(&self.file)
            .arg(self.copy()))
    }

    /// Compares every octet with the copy that was kept.
    ///
    /// # Errors
    /// The first byte that differs.
    pub fn check_unchanged(&self) -> anyhow::Result<()> {
        let open = |file: &Path| {
            File::open(file).with_context(|| format!("cannot read `{}`", file.display()))
        };
        let (now, before) = (open(&self.file)?, open(&self.copy())?);
        let (length, was) = (now.metadata()?.len(), before.metadata()?.len());
        if length != was {
            bail!(
                "the disk `{}` has {length} octets, and had {was}",
                self.serial
            );
        }
        let mut first = None;
        for file in [&now, &before] {
            let found = first_difference(&now, &before, &written(file)?)?;
            first = found.into_iter().chain(first).min();
        }
        match first {
            Some(at) => bail!("the disk `{}` was written to at octet {at}", self.serial),
            None => Ok(()),
        }
    }

    fn copy(&self) -> PathBuf {
        self.file.with_extension("before")
    }

    /// Everything that lies on the host for it.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.file.clone(), self.copy()]
    }
}

/// Where a file may hold anything but zeroes: all of it but its holes (lseek(2), SEEK_DATA). Gigabytes of a disk were never
/// written to.
fn written(file: &File) -> anyhow::Result<Vec<Range<u64>>> {
    let seek = |at: u64, whence| match lseek(file, i64::try_from(at)?, whence) {
        Ok(at) => anyhow::Ok(Some(u64::try_from(at)?)),
        // Only a hole follows.
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    };
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(start) = seek(at, Whence::SeekData)? {
        at = seek(start, Whence::SeekHole)?.context("data without an end")?;
        all.push(start..at);
    }
    Ok(all)
}

/// The first octet in these places that two files do not have in common.
fn first_difference(
    one: &File,
    other: &File,
    places: &[Range<u64>],
) -> anyhow::Result<Option<u64>> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for place in places {
        let mut at = place.start;
        while at < place.end {
            let length = usize::try_from(PIECE.min(place.end - at))?;
            left.resize(length, 0);
            right.resize(length, 0);
            one.read_exact_at(&mut left, at)?;
            other.read_exact_at(&mut right, at)?;
            if left != right {
                let same = left.iter().zip(&right).take_while(|(l, r)| l == r);
                return Ok(Some(at + u64::try_from(same.count())?));
            }
            at += u64::try_from(length)?;
        }
    }
    Ok(None)
}

/// Bytes that look random and are the same each time. `length` is a multiple of eight.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
    let mut bytes = vec![0; length];
    for word in bytes.chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for at in [0, 17 << 20, (64 << 20) - 1] {
            let disk = VirtualDisk::with_data(dir.path().join("disk"), "data", 64).unwrap();
            disk.check_unchanged().unwrap();
            let mut image = File::options().write(true).open(&disk.file).unwrap();
            image.seek(SeekFrom::Start(at)).unwrap();
            image.write_all(b"x").unwrap();
            let said = disk.check_unchanged().unwrap_err().to_string();
            assert!(
                said.contains(&format!("`data` was written to at octet {at}")),
                "{said}"
            );
        }
    }

    #[test]
    fn data_that_is_gone_is_noticed_and_a_disk_that_became_shorter() {
        let dir = tempfile::tempdir().unwrap();
        let disk = VirtualDisk::blank(dir.path().join("disk"), "data", 64).unwrap();
        let image = File::options().write(true).open(&disk.file).unwrap();
        image.write_all_at(b"x", 9 << 20).unwrap();
        disk.keep_copy().unwrap();
        disk.check_unchanged().unwrap();
        let hole = VirtualDisk::blank(dir.path().join("hole"), "data", 64).unwrap();
        std::fs::rename(&hole.file, &disk.file).unwrap();
        let said = disk.check_unchanged().unwrap_err().to_string();
        assert_eq!(said, "the disk `data` was written to at octet 9437184");
        let image = File::options().write(true).open(&disk.file).unwrap();
        image.set_len(1).unwrap();
        let said = disk.check_unchanged().unwrap_err().to_string();
        assert_eq!(said, "the disk `data` has 1 octets, and had 67108864");
    }
}
