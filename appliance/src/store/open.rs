//! Opens a store: the lock, the journal folded into the world, the index in line with it, the writer.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use netboot::machine::state::ApplianceState;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use parking_lot::RwLock;
use tokio::sync::{broadcast, mpsc};

use super::committer::Committer;
use super::compare::JournalView;
use super::files::{Paths, StoreFiles};
use super::handle::Store;
use super::index::IndexError;
use super::job::Job;
use super::journal::Journal;
use super::recover::{self, AttachedIndex};
use super::sentinel::Sentinel;
use super::shared::{StoreState, StoreTrouble, chain};
use crate::base::clock::{self, Clock};
use crate::files::durable;

/// How long a store that is just being closed may hold its lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// Callers that may wait for the writer; more of them wait before they are in the queue.
const QUEUE: usize = 1024;

/// Lines a listener of `live` may fall behind before it is told that it has missed some.
const BEHIND: usize = 4096;

impl Store {
    /// Opens `state-dir/store`, rebuilding the index from the journal if it is missing, behind or damaged.
    ///
    /// # Errors
    /// Another process has it; the journal is damaged before its last line, gone, or from a newer version.
    pub fn open(state_dir: &Path, clock: Clock) -> anyhow::Result<Self> {
        let paths = Paths::new(state_dir);
        durable::make_dir(&paths.dir)
            .with_context(|| format!("cannot make the folder `{}`", paths.dir.display()))?;
        let lock = lock(&paths.lock)?;
        begin(&paths)?;

        let (mut journal, mut state) = replayed(&paths)?;
        let mut sentinel = Sentinel::open(&paths.sentinel, &journal.id)
            .with_context(|| format!("cannot open `{}`", paths.sentinel.display()))?;
        let mut journal_view = JournalView {
            journal: &mut journal,
            state: &mut state,
            sentinel: &mut sentinel,
            leases: None,
        };
        let (attached, trouble) = attached(&paths, &mut journal_view, clock)?;
        tracing::info!(
            events = state.seq,
            machines = state.machines.len(),
            releases = state.releases.len(),
            leases = attached.as_ref().map_or(0, |a| a.leases.len()),
            "the store is open"
        );

        let shared = Arc::new(StoreState {
            state: RwLock::new(Arc::new(state)),
            index: RwLock::new(None),
            trouble: RwLock::new(trouble),
            live: broadcast::Sender::new(BEHIND),
            journal: paths.journal.clone(),
        });
        let files = StoreFiles {
            paths,
            journal,
            sentinel,
            _lock: lock,
        };
        let committer = Committer::new(Arc::clone(&shared), files, attached, clock);
        let jobs = start(committer)?;
        Ok(Self { jobs, shared })
    }
}

/// The journal, and the state that its events make.
fn replayed(paths: &Paths) -> anyhow::Result<(Journal, ApplianceState)> {
    let mut state = ApplianceState::default();
    let opened = Journal::open(&paths.journal, |event| state.apply(event));
    let (journal, cut) = opened.context(
        "the store is not opened: restore its folder from a backup, or look at the journal",
    )?;
    if cut > 0 {
        tracing::warn!(
            octets = cut,
            after = journal.seq,
            "the journal's last line was torn by a crash, and is cut off"
        );
    }
    Ok((journal, state))
}

/// The index in line with the journal; `None`, and why, on a full filesystem.
fn attached(
    paths: &Paths,
    journal_view: &mut JournalView<'_>,
    clock: Clock,
) -> anyhow::Result<(Option<AttachedIndex>, StoreTrouble)> {
    match recover::attach(paths, journal_view, clock()) {
        Ok(attached) => Ok((Some(attached), StoreTrouble::default())),
        Err(IndexError::Full) => {
            // Machines that boot from their disks, and everybody who only reads, can go on.
            tracing::error!("the filesystem is full: the store is open for reading only");
            let text = chain(&IndexError::Full);
            let trouble = StoreTrouble {
                index: Some(format!("the index: {text}")),
                ..StoreTrouble::default()
            };
            Ok((None, trouble))
        }
        Err(error) => Err(anyhow::Error::new(error).context(format!(
            "cannot open the index in `{}`",
            paths.dir.display()
        ))),
    }
}

/// Runs the writer on a thread of its own, which ends with its queue.
fn start(committer: Committer) -> anyhow::Result<mpsc::Sender<Job>> {
    let (jobs, queue) = mpsc::channel(QUEUE);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start the store's timer")?;
    std::thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || runtime.block_on(committer.run(queue)))
        .context("cannot start the store's thread")?;
    Ok(jobs)
}

/// Only one process may write: two would tear the journal apart.
fn lock(path: &Path) -> anyhow::Result<Flock<File>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open `{}`", path.display()))?;
    let begun = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let _ = lock.set_len(0);
                let _ = writeln!(&mut *lock, "{}", std::process::id());
                return Ok(lock);
            }
            Err((back, Errno::EWOULDBLOCK)) if begun.elapsed() < PATIENCE => {
                file = back;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err((mut file, Errno::EWOULDBLOCK)) => {
                let mut owner = String::new();
                let _ = file.read_to_string(&mut owner);
                bail!(
                    "the store in `{}` is in use by another pxe-appliance (process {})",
                    path.parent().unwrap_or(path).display(),
                    owner.trim()
                );
            }
            Err((_, error)) => {
                return Err(io::Error::from(error))
                    .with_context(|| format!("cannot lock `{}`", path.display()));
            }
        }
    }
}

/// Makes the files of a new store. The journal comes first: its id names the store.
fn begin(paths: &Paths) -> anyhow::Result<()> {
    let (journal, sentinel) = (&paths.journal, &paths.sentinel);
    let empty = std::fs::metadata(journal).map_or(true, |m| m.len() == 0);
    if empty && sentinel.exists() {
        bail!(
            "the journal `{}` is gone, but what stands beside it was made from one: restore the journal \
             from a backup, or move the folder away to begin anew",
            journal.display()
        );
    }
    if empty {
        let id = hex::encode(clock::random::<16>());
        Journal::create(journal, &id)
            .with_context(|| format!("cannot make the journal `{}`", journal.display()))?;
    }
    if !sentinel.exists() {
        let (opened, _) = Journal::open(journal, |_| {})?;
        Sentinel::create(sentinel, &opened.id)
            .with_context(|| format!("cannot make `{}`", sentinel.display()))?;
    }
    Ok(())
}
