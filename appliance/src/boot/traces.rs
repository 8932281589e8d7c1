//! What each card was seen doing, in memory and, a second behind, in `state-dir/boots/`.
//!
//! # Design
//! Marks are made while a packet waits for its answer, so to note one touches memory only; a task writes what changed,
//! off that path and without fsync. A file that a power cut broke is ignored: what must not be lost is in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::doctor::boot_trace::{BootEvent, BootTrace, TraceEntry};
use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::base::clock::Clock;
use crate::files::durable;

/// The most cards that are remembered. The one that was quiet longest is dropped first.
const CARDS: usize = 1024;

/// The rate limit of writes, in files each time: a flood of strangers must not keep the disk busy.
const FILES: usize = 32;

/// Bytes of the longest file that is read back; what is written is a fraction of it.
const LONGEST: u64 = 256 * 1024;

/// How far the files may be behind.
const EVERY: Duration = Duration::from_secs(1);

pub struct BootTraces {
    dir: PathBuf,
    clock: Clock,
    cards: Mutex<TracesByCard>,
}

#[derive(Default)]
struct TracesByCard {
    logs: BTreeMap<Mac, CardTrace>,
    /// The cards whose files are not up to date.
    changed: BTreeSet<Mac>,
}

struct CardTrace {
    log: BootTrace,
    /// Whether an operator enrolled the machine: its log is not dropped for a stranger's.
    enrolled: bool,
}

/// A card whose file is to be brought up to date with these bytes; `None` if the file is to be removed.
type TraceFile = (Mac, Option<Vec<u8>>);

impl BootTraces {
    /// Reads what is there. A file that cannot be read is reported in the log, and the service starts without it.
    pub fn open(state_dir: &Path, clock: Clock) -> Self {
        let dir = state_dir.join("boots");
        let mut cards = TracesByCard::default();
        match read_all(&dir) {
            Ok(logs) => {
                for (card, log) in logs {
                    let enrolled = false;
                    cards.logs.insert(card, CardTrace { log, enrolled });
                    cards.make_room();
                }
            }
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "earlier boots cannot be read");
            }
        }
        Self {
            dir,
            clock,
            cards: Mutex::new(cards),
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Notes a mark; true if it is not a repeat of the last one. `since` is when the machine came into its state.
    pub fn note(
        &self,
        card: Mac,
        enrolled: bool,
        since: Timestamp,
        at: Timestamp,
        mark: BootEvent,
    ) -> bool {
        let mut cards = self.cards();
        let kept = cards.logs.entry(card).or_insert_with(|| CardTrace {
            log: BootTrace::default(),
            enrolled,
        });
        kept.enrolled = enrolled;
        let is_new = kept.log.note(at, since, mark);
        cards.changed.insert(card);
        cards.make_room();
        is_new
    }

    /// All that these cards were seen doing.
    pub fn of(&self, cards: &[Mac]) -> Vec<TraceEntry> {
        let known = self.cards();
        let logs = cards.iter().filter_map(|card| known.logs.get(card));
        logs.flat_map(|kept| kept.log.notes.clone()).collect()
    }

    /// Keeps the files up to date until `stop`, and once more then.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut complained = false;
        loop {
            let last = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = stop.cancelled() => true,
            };
            let due = self.due();
            if !due.is_empty() {
                let dir = self.dir.clone();
                let cards: Vec<Mac> = due.iter().map(|(card, _)| *card).collect();
                let written = tokio::task::spawn_blocking(move || write(&dir, due)).await;
                let (behind, error) = written.unwrap_or_else(|ended| (cards, Some(ended.into())));
                self.cards().changed.extend(behind);
                match error {
                    None => complained = false,
                    Some(error) if !complained => {
                        tracing::warn!(%error, "boots cannot be kept for after a restart");
                        complained = true;
                    }
                    Some(_) => {}
                }
            }
            if last {
                return;
            }
        }
    }

    fn due(&self) -> Vec<TraceFile> {
        let mut cards = self.cards();
        let mut due = Vec::new();
        while due.len() < FILES
            && let Some(card) = cards.changed.pop_first()
        {
            let json = cards.logs.get(&card).map(|kept| &kept.log);
            let json = json.map(|log| serde_json::to_vec(log).unwrap_or_default());
            due.push((card, json));
        }
        due
    }

    fn cards(&self) -> MutexGuard<'_, TracesByCard> {
        self.cards.lock()
    }
}

impl TracesByCard {
    fn make_room(&mut self) {
        while self.logs.len() > CARDS {
            let quietest = self
                .logs
                .iter()
                .min_by_key(|(_, kept)| (kept.enrolled, kept.log.last()));
            let Some(card) = quietest.map(|(card, _)| *card) else {
                return;
            };
            self.logs.remove(&card);
            self.changed.insert(card);
        }
    }
}

fn file(dir: &Path, card: Mac) -> PathBuf {
    dir.join(card.dashed()).with_extension("json")
}

/// Writes each file, even if another fails; returns the cards whose files are still not up to date, and the last error.
fn write(dir: &Path, due: Vec<TraceFile>) -> (Vec<Mac>, Option<io::Error>) {
    if let Err(error) = durable::make_dir(dir) {
        return (due.into_iter().map(|(card, _)| card).collect(), Some(error));
    }
    let (mut behind, mut why) = (Vec::new(), None);
    for (card, json) in due {
        if let Err(error) = write_one(&file(dir, card), json.as_deref()) {
            behind.push(card);
            why = Some(error);
        }
    }
    (behind, why)
}

/// By temporary file and rename, so that a crash leaves the old one or the new one.
fn write_one(file: &Path, json: Option<&[u8]>) -> io::Result<()> {
    let Some(json) = json else {
        return match std::fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let new = file.with_extension("new");
    std::fs::write(&new, json)?;
    std::fs::rename(&new, file)
}

fn read_all(dir: &Path) -> io::Result<Vec<(Mac, BootTrace)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut logs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let card = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        let (Some(card), true) = (card, path.extension().is_some_and(|e| e == "json")) else {
            continue;
        };
        match read(&path) {
            Ok(log) => logs.push((card, log)),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a machine's earlier boots are lost");
            }
        }
    }
    Ok(logs)
}

fn read(path: &Path) -> io::Result<BootTrace> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other("the file is too long to be one of ours"));
    }
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[cfg(test)]
mod tests;
