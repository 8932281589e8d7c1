//! Disks: blank, or full of data that must not change.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::drive::Bus;
use super::enclose::run;

const PIECE: u64 = 8 << 20;

/// A raw image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub file: PathBuf,
    /// What the machine sees: at most 20 characters with virtio.
    pub serial: String,
    pub bus: Bus,
    /// The machine cannot write to it.
    pub read_only: bool,
    /// Which writes fail: a configuration of QEMU's blkdebug.
    pub faults: Option<PathBuf>,
}

impl Disk {
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

    /// Compares every byte with the copy that was kept.
    ///
    /// # Errors
    /// The first byte that differs.
    pub fn check_unchanged(&self) -> anyhow::Result<()> {
        let cmp = Command::new("cmp")
            .arg(&self.file)
            .arg(self.copy())
            .output()
            .context("cannot run `cmp`")?;
        if !cmp.status.success() {
            let said = [cmp.stdout, cmp.stderr].concat();
            bail!(
                "the disk `{}` was written to: {}",
                self.serial,
                String::from_utf8_lossy(&said).trim()
            );
        }
        Ok(())
    }

    fn copy(&self) -> PathBuf {
        self.file.with_extension("before")
    }

    /// Everything that lies on the host for it.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.file.clone(), self.copy()]
    }
}

/// Bytes that look random and are the same each time.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        for at in [0, 17 << 20, (64 << 20) - 1] {
            let disk = Disk::with_data(dir.path().join("disk"), "data", 64).unwrap();
            disk.check_unchanged().unwrap();
            let mut image = File::options().write(true).open(&disk.file).unwrap();
            image.seek(SeekFrom::Start(at)).unwrap();
            image.write_all(b"x").unwrap();
            let said = disk.check_unchanged().unwrap_err().to_string();
            assert!(said.contains("`data` was written to"), "{said}");
        }
    }
}
