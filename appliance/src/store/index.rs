//! The index: what the journal says, laid out for look-up, and the leases. The one file that knows sled.
//!
//! sled 0.34 panics on damage, cannot be opened while the disk is full, keeps failing after it was full
//! once, and its `flush` does not outlive a power cut; what is done about each stands where it happens.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use netboot::base::mac::Mac;
use netboot::dhcp::lease::Lease;
use netboot::machine::event::Event;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::record;
use crate::files::durable;

/// The timeout of opening the index. A whole one usually opens in well under a second; a damaged one may never.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

/// How long an index that was just closed may hold its lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// The parts of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    Machines,
    Releases,
    Events,
    EventsByMachine,
    Leases,
    Meta,
}

impl Tree {
    const NAMES: [&str; 6] = [
        "machines",
        "releases",
        "events",
        "events-by-machine",
        "leases",
        "meta",
    ];
}

/// How far the index has come. Written with every batch, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    /// The id of the journal it was made from.
    pub store: String,
    pub seq: u64,
    /// The journal's chain at `seq`, hexadecimal.
    pub chain: String,
    /// How many times leases were written; the sentinel knows it too.
    pub turn: u64,
    /// How many leases there are.
    pub leases: usize,
}

/// Why the index did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("the filesystem is full")]
    Full,
    #[error("another process or an earlier run holds its lock")]
    Locked,
    #[error("its file cannot be used")]
    Io(#[source] io::Error),
    #[error("is damaged: {0}")]
    Damaged(String),
}

/// Puts (`Some`) and removals (`None`), done together or not at all.
#[derive(Default)]
pub(super) struct Batch {
    changes: Vec<(Tree, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    pub(super) fn put(&mut self, tree: Tree, key: &[u8], payload: &[u8]) {
        self.changes
            .push((tree, key.to_owned(), Some(record::seal(key, payload))));
    }

    pub(super) fn drop(&mut self, tree: Tree, key: &[u8]) {
        self.changes.push((tree, key.to_owned(), None));
    }

    /// An event (and its JSON) with what finds it by machine.
    pub(super) fn event(&mut self, event: &Event, payload: &str) {
        let seq = event.seq.to_be_bytes();
        self.put(Tree::Events, &seq, payload.as_bytes());
        if let Some(machine) = event.machine {
            self.put(Tree::EventsByMachine, &by_machine(machine, event.seq), b"");
        }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }
}

fn by_machine(machine: Mac, seq: u64) -> [u8; 14] {
    let mut key = [0; 14];
    key[..6].copy_from_slice(&machine.octets());
    key[6..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// An open index.
pub(super) struct Index {
    dir: PathBuf,
    db: SledGuard<sled::Db>,
    trees: SledGuard<Vec<sled::Tree>>,
    /// What is fsynced after each flush.
    file: File,
    blobs: Mutex<BTreeSet<OsString>>,
}

/// What sled keeps open. Dropping the last handle syncs its file and panics if that fails, in the thread of whichever
/// reader came last.
struct SledGuard<T>(Option<T>);

impl<T> Deref for SledGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("is there until it is dropped")
    }
}

impl<T> Drop for SledGuard<T> {
    fn drop(&mut self) {
        let engine = self.0.take();
        if catch_unwind(AssertUnwindSafe(|| drop(engine))).is_err() {
            tracing::error!("the index was not closed well; the journal has all that is in it");
        }
    }
}

impl Index {
    /// Opens or makes the index in `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self, IndexError> {
        let begun = Instant::now();
        loop {
            match Self::open_aside(dir) {
                // sled's threads may still hold the file for a moment after the last handle is gone.
                Err(IndexError::Locked) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => return opened,
            }
        }
    }

    /// In a thread of its own, since sled may panic or not come back.
    fn open_aside(dir: &Path) -> Result<Self, IndexError> {
        let (answer, answered) = mpsc::channel();
        let owned = dir.to_owned();
        std::thread::Builder::new()
            .name("index-open".to_owned())
            .spawn(move || {
                let _ = answer.send(guarded(|| Self::open_here(owned)));
            })
            .map_err(IndexError::Io)?;
        answered
            .recv_timeout(OPEN_LIMIT)
            .unwrap_or_else(|_| Err(IndexError::Damaged("opening it did not end".to_owned())))
    }

    fn open_here(dir: PathBuf) -> Result<Self, IndexError> {
        durable::make_dir(&dir).map_err(io_error)?;
        // Everything is flushed before it is acknowledged; a flusher beside that would only add wear.
        let db = sled::Config::new()
            .path(&dir)
            .flush_every_ms(None)
            .open()
            .map_err(engine)?;
        let trees = Tree::NAMES
            .iter()
            .map(|name| db.open_tree(name))
            .collect::<Result<_, _>>()
            .map_err(engine)?;
        let file = File::open(dir.join("db")).map_err(io_error)?;
        let index = Self {
            dir,
            db: SledGuard(Some(db)),
            trees: SledGuard(Some(trees)),
            file,
            blobs: Mutex::default(),
        };
        index.sync()?;
        // sled makes its files without making their names durable.
        durable::sync_dir(&index.dir).map_err(io_error)?;
        Ok(index)
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        &self.trees[tree as usize]
    }

    /// Writes a batch; durable when it returns.
    pub(super) fn commit(&self, batch: &Batch, meta: &Meta) -> Result<(), IndexError> {
        let payload = serde_json::to_vec(meta).map_err(|e| IndexError::Damaged(e.to_string()))?;
        let mut batches = vec![sled::Batch::default(); self.trees.len()];
        for (tree, key, value) in &batch.changes {
            match value {
                Some(value) => batches[*tree as usize].insert(&key[..], &value[..]),
                None => batches[*tree as usize].remove(&key[..]),
            }
        }
        batches[Tree::Meta as usize].insert(b"meta", record::seal(b"meta", &payload));
        guarded(|| {
            self.trees
                .as_slice()
                .transaction(|views| {
                    for (view, batch) in views.iter().zip(&batches) {
                        view.apply_batch(batch)?;
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                })
                .map_err(|error| match error {
                    TransactionError::Storage(error) => engine(error),
                    TransactionError::Abort(()) => IndexError::Damaged("aborted".to_owned()),
                })?;
            self.sync()
        })
    }

    /// sled's flush ends in `sync_file_range`, which leaves both the file's size and the drive's cache to
    /// chance; large values go to files of their own, which it does not sync at all.
    fn sync(&self) -> Result<(), IndexError> {
        self.db.flush().map_err(engine)?;
        let mut known = self.blobs.lock();
        let blobs = self.dir.join("blobs");
        let mut present = BTreeSet::new();
        if blobs.is_dir() {
            for entry in std::fs::read_dir(&blobs).map_err(io_error)? {
                let name = entry.map_err(io_error)?.file_name();
                if !known.contains(&name) {
                    match File::open(blobs.join(&name)).and_then(|f| f.sync_all()) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(io_error(error));
                        }
                        _ => {}
                    }
                }
                present.insert(name);
            }
            if present != *known {
                durable::sync_dir(&blobs).map_err(io_error)?;
            }
        }
        *known = present;
        self.file.sync_data().map_err(io_error)
    }

    /// How far the index has come; `None` if it is empty.
    pub(super) fn meta(&self) -> Result<Option<Meta>, IndexError> {
        let Some(payload) = self.get(Tree::Meta, b"meta")? else {
            return Ok(None);
        };
        let meta = serde_json::from_slice(&payload).map_err(|e| damaged(Tree::Meta, e))?;
        Ok(Some(meta))
    }

    /// One payload.
    pub(super) fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = guarded(|| self.tree(tree).get(key).map_err(engine))?;
        value
            .map(|value| {
                record::open(key, &value)
                    .map(<[u8]>::to_owned)
                    .map_err(|damage| damaged(tree, damage))
            })
            .transpose()
    }

    /// All keys and payloads of a tree, in order. `each` says whether to go on.
    pub(super) fn each(
        &self,
        tree: Tree,
        mut each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), IndexError> {
        guarded(|| {
            for entry in self.tree(tree) {
                let (key, value) = entry.map_err(engine)?;
                let payload = record::open(&key, &value).map_err(|d| damaged(tree, d))?;
                if !each(&key, payload) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Events after number `after`, oldest first, at most `limit`.
    pub(super) fn events(
        &self,
        machine: Option<Mac>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Event>, IndexError> {
        let numbers = match machine {
            None => self.keys(Tree::Events, &after.to_be_bytes(), &[0xff; 8], limit)?,
            Some(mac) => {
                let (from, to) = (by_machine(mac, after), by_machine(mac, u64::MAX));
                self.keys(Tree::EventsByMachine, &from, &to, limit)?
            }
        };
        let mut events = Vec::with_capacity(numbers.len());
        for key in numbers {
            let seq = &key[key.len().saturating_sub(8)..];
            let payload = self
                .get(Tree::Events, seq)?
                .ok_or_else(|| damaged(Tree::Events, "an event is missing"))?;
            let event = serde_json::from_slice(&payload).map_err(|e| damaged(Tree::Events, e))?;
            events.push(event);
        }
        Ok(events)
    }

    fn keys(
        &self,
        tree: Tree,
        after: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<sled::IVec>, IndexError> {
        guarded(|| {
            self.tree(tree)
                .range::<&[u8], _>((Bound::Excluded(after), Bound::Included(to)))
                .keys()
                .take(limit)
                .collect::<Result<_, _>>()
                .map_err(engine)
        })
    }

    /// The leases that can still be read, and how many records cannot.
    pub(super) fn leases(&self) -> (Vec<Lease>, usize) {
        let (mut leases, mut lost) = (Vec::new(), 0);
        let read = guarded(|| {
            for entry in self.tree(Tree::Leases) {
                let (key, value) = entry.map_err(engine)?;
                let lease = record::open(&key, &value)
                    .ok()
                    .and_then(|payload| serde_json::from_slice(payload).ok());
                match lease {
                    Some(lease) => leases.push(lease),
                    None => lost += 1,
                }
            }
            Ok(())
        });
        (leases, lost + usize::from(read.is_err()))
    }
}

/// Runs calls into sled; its panics become errors.
fn guarded<T>(calls: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(calls)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("without a word");
        Err(IndexError::Damaged(format!("the engine gave up: {text}")))
    })
}

fn engine(error: sled::Error) -> IndexError {
    match error {
        sled::Error::Io(error) => io_error(error),
        other => IndexError::Damaged(other.to_string()),
    }
}

/// sled passes errors on as their `Debug` text, so the kind is all there is to go by, and for the lock
/// not even that.
fn io_error(error: io::Error) -> IndexError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => IndexError::Full,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::InvalidData
        | io::ErrorKind::NotADirectory => IndexError::Damaged(error.to_string()),
        _ if error.to_string().starts_with("could not acquire lock") => IndexError::Locked,
        _ => IndexError::Io(error),
    }
}

fn damaged(tree: Tree, what: impl std::fmt::Display) -> IndexError {
    IndexError::Damaged(format!("`{}`: {what}", Tree::NAMES[tree as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_when_it_is_closed_takes_nobody_with_it() {
        struct Sour;
        impl Drop for Sour {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let engine = SledGuard(Some(vec![Sour]));
        assert_eq!(engine.len(), 1);
        drop(engine);
    }

    /// An index of an older version is opened by a newer one.
    #[test]
    fn names_and_keys_are_as_they_always_were() {
        for (tree, name) in [
            (Tree::Machines, "machines"),
            (Tree::Releases, "releases"),
            (Tree::Events, "events"),
            (Tree::EventsByMachine, "events-by-machine"),
            (Tree::Leases, "leases"),
            (Tree::Meta, "meta"),
        ] {
            assert_eq!(Tree::NAMES[tree as usize], name);
        }
        let machine = "52:54:00:12:34:56".parse().expect("a MAC");
        let key = [0x52, 0x54, 0, 0x12, 0x34, 0x56, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(by_machine(machine, 258), key);

        let meta = Meta {
            store: "0123".to_owned(),
            seq: 7,
            chain: "abcd".to_owned(),
            turn: 3,
            leases: 2,
        };
        let stored = r#"{"store":"0123","seq":7,"chain":"abcd","turn":3,"leases":2}"#;
        assert_eq!(serde_json::to_string(&meta).expect("writes"), stored);
        let again: Meta = serde_json::from_str(stored).expect("reads");
        assert_eq!(again, meta);
    }
}
