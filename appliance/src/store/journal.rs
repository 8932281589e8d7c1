//! The journal: an append-only file of events, fsynced before anything is acknowledged. It is the truth.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use netboot::machine::event::Event;

use super::line::{self, Chain, Header};
use crate::files::durable;

/// An open journal. `good` is where it ends as far as it was ever acknowledged.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    pub id: String,
    /// The number of the last event.
    pub seq: u64,
    pub chain: Chain,
    /// Where line `n` of the events begins, at `n - 1`.
    offsets: Vec<u64>,
    good: u64,
    /// Whether there may be octets after `good` that were never acknowledged.
    soiled: bool,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    #[error("line {line} of the journal `{path}` {what}; nothing was changed")]
    Damaged {
        path: PathBuf,
        line: u64,
        what: String,
    },
    #[error("line {line} of the journal `{path}` is whole, but this version cannot read its event")]
    Unreadable {
        path: PathBuf,
        line: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("the journal `{path}` cannot be read")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Journal {
    /// Begins a journal; it is on disk whole, with its header, or not at all.
    pub(super) fn create(path: &Path, id: &str) -> io::Result<()> {
        let header = Header {
            journal: Header::VERSION,
            id: id.to_owned(),
        };
        let mut text = serde_json::to_string(&header)?;
        text.push('\n');
        durable::write(path, 0o600, text.as_bytes())
    }

    /// Reads and checks all of it, giving each event to `each`. What a crash left of a last, never
    /// acknowledged line is cut off; the number of octets cut comes back.
    ///
    /// # Errors
    /// Damage before the last whole line, or an event that this version cannot read. The file is left as it is.
    pub(super) fn open(
        path: &Path,
        mut each: impl FnMut(&Event),
    ) -> Result<(Self, u64), JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io)?;
        let mut reader = BufReader::with_capacity(1 << 16, file.try_clone().map_err(io)?);
        let damaged = |line: u64, what: &str| JournalError::Damaged {
            path: path.to_owned(),
            line,
            what: what.to_owned(),
        };

        let mut text = Vec::new();
        let mut good = reader.read_until(b'\n', &mut text).map_err(io)? as u64;
        let first = text.strip_suffix(b"\n").unwrap_or_default();
        let header: Header = serde_json::from_slice(first)
            .map_err(|_| damaged(1, "is not the header of a journal"))?;
        if header.journal != Header::VERSION {
            let what = format!(
                "is of journal version {}, newer than this program",
                header.journal
            );
            return Err(damaged(1, &what));
        }
        let (mut seq, mut chain, mut offsets) = (0, Header::chain(first), Vec::new());
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text).map_err(io)?;
            let number = seq + 2;
            let whole = match text.strip_suffix(b"\n") {
                Some(whole) => line::read(whole),
                None if text.is_empty() => break,
                None => Err("is cut short"),
            };
            let whole = match whole {
                Ok(whole) => whole,
                Err(what) if a_whole_line_follows(&mut reader).map_err(io)? => {
                    return Err(damaged(number, what));
                }
                // A crash in the middle of a write leaves a torn end, which was never acknowledged.
                Err(_) => break,
            };
            chain = line::link(&chain, whole.payload.as_bytes());
            if whole.seq != seq + 1 || whole.chain != hex::encode(chain) {
                return Err(damaged(number, "does not follow from the lines before it"));
            }
            let event: Event =
                serde_json::from_str(whole.payload).map_err(|source| JournalError::Unreadable {
                    path: path.to_owned(),
                    line: number,
                    source,
                })?;
            each(&event);
            seq += 1;
            offsets.push(good);
            good += read as u64;
        }
        let cut = file.metadata().map_err(io)?.len() - good;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            id: header.id,
            seq,
            chain,
            offsets,
            good,
            soiled: cut > 0,
        };
        // A full or read-only disk may keep us from cutting now; `append` tries again before it writes.
        if let Err(error) = journal.clean() {
            tracing::warn!(%error, "the torn end of the journal cannot be cut off yet");
        }
        Ok((journal, cut))
    }

    /// Appends events (as JSON, in the order of their numbers from `seq + 1`) in one write, fsynced.
    ///
    /// # Errors
    /// The journal is as it was before.
    pub(super) fn append<'a>(&mut self, payloads: impl Iterator<Item = &'a str>) -> io::Result<()> {
        self.clean()?;
        let (mut seq, mut chain, mut offsets) = (self.seq, self.chain, Vec::new());
        let mut text = String::new();
        for payload in payloads {
            seq += 1;
            chain = line::link(&chain, payload.as_bytes());
            offsets.push(self.good + text.len() as u64);
            text.push_str(&line::render(seq, &chain, payload));
        }
        self.soiled = true;
        let written = self.file.write_all_at(text.as_bytes(), self.good);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // The first error is the one to tell of; `soiled` remembers the second.
            let _ = self.clean();
            return Err(error);
        }
        self.soiled = false;
        self.good += text.len() as u64;
        (self.seq, self.chain) = (seq, chain);
        self.offsets.append(&mut offsets);
        Ok(())
    }

    /// Cuts off what was never acknowledged.
    fn clean(&mut self) -> io::Result<()> {
        if self.soiled {
            self.file.set_len(self.good)?;
            self.file.sync_all()?;
            self.soiled = false;
        }
        Ok(())
    }

    /// The chain up to and with event `seq`, as hexadecimal digits; `None` beyond the end.
    pub(super) fn chain_at(&self, seq: u64) -> io::Result<Option<String>> {
        if seq == self.seq {
            return Ok(Some(hex::encode(self.chain)));
        }
        let mut found = None;
        if seq == 0 {
            let mut header = Vec::new();
            self.reader(0)?.read_until(b'\n', &mut header)?;
            found = header
                .strip_suffix(b"\n")
                .map(|line| hex::encode(Header::chain(line)));
        } else if seq < self.seq {
            self.replay(seq - 1, seq, |line| found = Some(line.chain.clone()))?;
        }
        Ok(found)
    }

    /// Gives the lines after event `after` up to and with event `to`, oldest first.
    pub(super) fn replay(
        &self,
        after: u64,
        to: u64,
        mut each: impl FnMut(&line::JournalLine<'_>),
    ) -> io::Result<()> {
        let Some(offset) = usize::try_from(after)
            .ok()
            .and_then(|n| self.offsets.get(n))
        else {
            return Ok(());
        };
        let mut reader = self.reader(*offset)?;
        let mut text = Vec::new();
        for _ in after..to.min(self.seq) {
            text.clear();
            reader.read_until(b'\n', &mut text)?;
            let line = line::read(text.strip_suffix(b"\n").unwrap_or_default())
                .map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
            each(&line);
        }
        Ok(())
    }

    fn reader(&self, offset: u64) -> io::Result<BufReader<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    }
}

/// Events after number `after` up to and with `to`, straight from the file: slow, and right while the
/// index is not. `wanted` picks; at most `limit` are given.
pub(super) fn scan(
    path: &Path,
    after: u64,
    to: u64,
    limit: usize,
    wanted: impl Fn(&Event) -> bool,
) -> io::Result<Vec<Event>> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut text = Vec::new();
    reader.read_until(b'\n', &mut text)?;
    let mut found = Vec::new();
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    for _ in 0..to {
        text.clear();
        if found.len() >= limit || reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let line = line::read(text.strip_suffix(b"\n").unwrap_or_default())
            .map_err(|what| invalid(what.to_owned()))?;
        if line.seq > after {
            let event = serde_json::from_str(line.payload).map_err(|e| invalid(e.to_string()))?;
            found.extend(Some(event).filter(&wanted));
        }
    }
    Ok(found)
}

fn a_whole_line_follows(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut text = Vec::new();
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text)? == 0 {
            return Ok(false);
        }
        if text
            .strip_suffix(b"\n")
            .is_some_and(|l| line::read(l).is_ok())
        {
            return Ok(true);
        }
    }
}
