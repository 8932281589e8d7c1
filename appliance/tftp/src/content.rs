//! The bytes of a file that is sent: in memory, or on disk and read as they are needed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that are read from disk at a time: a few hundred blocks, so that a transfer seldom waits for the disk.
const PAGE: u64 = 256 * 1024;

/// What a transfer sends. Its size is settled when it begins.
#[derive(Debug, Clone)]
pub enum FileContent {
    Memory(Bytes),
    Disk { file: Arc<File>, size: u64 },
}

impl FileContent {
    /// Opens a file, which may be far larger than memory.
    ///
    /// # Errors
    /// It cannot be opened, or is no plain file.
    pub fn on_disk(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("not a plain file"));
        }
        let (file, size) = (Arc::new(file), about.len());
        Ok(Self::Disk { file, size })
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk { size, .. } => *size,
        }
    }
}

/// Content that is read a piece at a time, mostly forwards.
pub(crate) struct Pages {
    content: FileContent,
    page: Vec<u8>,
    /// Where in the file the page begins.
    at: u64,
}

impl Pages {
    pub(crate) fn of(content: FileContent) -> Self {
        Self {
            content,
            page: Vec::new(),
            at: 0,
        }
    }

    /// These bytes, which must lie within the size.
    ///
    /// # Errors
    /// The disk failed, or the file has become shorter since it was opened.
    pub(crate) fn read(&mut self, range: Range<u64>) -> io::Result<&[u8]> {
        let (file, size) = match &self.content {
            FileContent::Memory(bytes) => {
                let piece = bytes.get(index(range.start)..index(range.end));
                return piece.ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
            }
            FileContent::Disk { file, size } => (file, *size),
        };
        let page = self.at..self.at + self.page.len() as u64;
        if range.start < page.start || range.end > page.end {
            let start = range.start;
            let length = size.saturating_sub(start).min(PAGE).max(range.end - start);
            self.page.resize(index(length), 0);
            if let Err(error) = file.read_exact_at(&mut self.page, start) {
                self.page.clear();
                return Err(error);
            }
            self.at = start;
        }
        let from = index(range.start - self.at);
        Ok(&self.page[from..from + index(range.end - range.start)])
    }
}

/// A place that is within memory.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 600_001;

    fn bytes() -> Vec<u8> {
        (0..SIZE).map(|n| (n * 7 % 251) as u8).collect()
    }

    #[test]
    fn memory_and_disk_read_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kernel");
        std::fs::write(&path, bytes()).expect("writes");
        let disk = FileContent::on_disk(&path).expect("opens");
        let memory = FileContent::Memory(Bytes::from(bytes()));
        for (name, content) in [("disk", disk), ("memory", memory)] {
            assert_eq!(content.size(), SIZE as u64, "{name}");
            let mut pages = Pages::of(content);
            for (what, range) in [
                ("the begin", 0..1468),
                ("the middle of a page", 100_000..123_488),
                ("over the end of a page", 262_000..285_488),
                ("back again", 262_000..263_468),
                ("far back", 1..2),
                ("the end", 599_000..600_001),
                ("nothing, behind the end", 600_001..600_001),
                ("all of it", 0..600_001),
            ] {
                let want = &bytes()[index(range.start)..index(range.end)];
                let got = pages
                    .read(range)
                    .unwrap_or_else(|e| panic!("{name}, {what}: {e}"));
                assert!(got == want, "{name}, {what}");
            }
        }
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kernel");
        std::fs::write(&path, bytes()).expect("writes");
        let mut pages = Pages::of(FileContent::on_disk(&path).expect("opens"));
        assert!(pages.read(0..1468).is_ok());
        std::fs::write(&path, "cut").expect("writes");
        let error = pages
            .read(300_000..301_468)
            .expect_err("the bytes are gone");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(
            FileContent::on_disk(folder.path()).is_err(),
            "a folder is no file"
        );
    }
}
