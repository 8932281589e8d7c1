//! Brings the index in line with the journal: catches it up, or moves it aside and builds it again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::Lease;

use super::compare::{Discrepancy, JournalView, compare};
use super::files::Paths;
use super::index::{Batch, Index, IndexError, Meta, Tree};
use super::index_records::{machine_records, release_records};
use crate::files::durable;

/// The most events of a batch while the index catches up: bounds memory, and the time of one flush.
const STRIDE: usize = 4096;
/// sled takes its file in steps of half a megabyte and cannot open without room for some.
const ROOM: u64 = 8 << 20;
/// The most damaged indexes that are kept for a later look.
const KEPT_ASIDE: usize = 3;

/// An index in line with the journal, and the leases in it.
pub(super) struct AttachedIndex {
    pub index: Index,
    pub leases: BTreeMap<Ipv4Addr, Lease>,
    pub turn: u64,
}

/// Opens the index and brings it in line.
///
/// # Errors
/// Only what may pass: no space, no permission, a lock. A damaged index is moved aside and built again.
pub(super) fn attach(
    paths: &Paths,
    journal_view: &mut JournalView<'_>,
    now: Timestamp,
) -> Result<AttachedIndex, IndexError> {
    let first = !paths.index.exists()
        && journal_view.journal.seq == 0
        && journal_view.sentinel.turn == Some(0);
    let opened = match paths.index.exists() || first {
        true => Index::open(&paths.index),
        false => Err(IndexError::Damaged("it is missing".to_owned())),
    };
    let (reason, salvaged) = match opened {
        Ok(index) => {
            let (mut leases, mut lost) = index.leases();
            match compare(&index, journal_view, leases.len(), lost, first) {
                Ok(turn) => return settle(index, journal_view, leases, turn),
                Err(Discrepancy::Transient(error)) => return Err(error),
                Err(Discrepancy::Mismatch(reason)) => {
                    let expected = index.meta().ok().flatten().map_or(0, |meta| meta.leases);
                    lost = lost.max(expected.saturating_sub(leases.len()));
                    if journal_view.leases.is_none() && lost > 0 {
                        tracing::warn!(
                            lost,
                            kept = leases.len(),
                            "leases in the index cannot be read"
                        );
                    }
                    leases.retain(|_| journal_view.leases.is_none());
                    (reason, leases)
                }
            }
        }
        Err(IndexError::Damaged(what)) => (what, Vec::new()),
        Err(passing) => return Err(passing),
    };
    // Without free space the index can be neither checked nor rebuilt.
    if durable::free_space(&paths.dir).map_err(IndexError::Io)? < ROOM {
        return Err(IndexError::Full);
    }
    let leases = match journal_view.leases {
        Some(known) => known.values().cloned().collect(),
        None => salvaged,
    };
    tracing::warn!(
        %reason,
        events = journal_view.journal.seq,
        leases = leases.len(),
        "the index is rebuilt from the journal"
    );
    rebuild(paths, journal_view, leases, now)
}

/// Catches up an index that is right as far as it goes.
fn settle(
    index: Index,
    journal_view: &mut JournalView<'_>,
    mut leases: Vec<Lease>,
    mut turn: u64,
) -> Result<AttachedIndex, IndexError> {
    let have = index.meta()?;
    let mut batch = Batch::default();
    if let Some(known) = journal_view.leases {
        // The leases that this process has acknowledged, without those that it has refused.
        for lease in &leases {
            batch.drop(Tree::Leases, &lease.address.octets());
        }
        leases = known.values().cloned().collect();
        put_leases(&mut batch, &leases);
        turn += 1;
    }
    let seq = have.as_ref().map_or(0, |meta| meta.seq);
    if have.is_none() || seq < journal_view.journal.seq || batch.len() > 0 {
        catch_up(&index, journal_view, batch, seq, leases.len(), turn)?;
    }
    if journal_view.sentinel.turn != Some(turn) {
        journal_view.sentinel.set(turn).map_err(IndexError::Io)?;
    }
    Ok(AttachedIndex {
        index,
        leases: leases.into_iter().map(|l| (l.address, l)).collect(),
        turn,
    })
}

fn put_leases(batch: &mut Batch, leases: &[Lease]) {
    for lease in leases {
        let json = serde_json::to_vec(lease).unwrap_or_default();
        batch.put(Tree::Leases, &lease.address.octets(), &json);
    }
}

/// Writes the journal's events after `seq` into the index, with the world as it is now at the end.
fn catch_up(
    index: &Index,
    journal_view: &JournalView<'_>,
    mut batch: Batch,
    mut seq: u64,
    leases: usize,
    turn: u64,
) -> Result<(), IndexError> {
    let meta = |seq, chain| Meta {
        store: journal_view.journal.id.clone(),
        seq,
        chain,
        turn,
        leases,
    };
    let mut discrepancy = None;
    while seq < journal_view.journal.seq {
        let to = journal_view.journal.seq.min(seq + STRIDE as u64);
        let mut chain = String::new();
        journal_view
            .journal
            .replay(seq, to, |line| {
                match serde_json::from_str(line.payload) {
                    Ok(event) => batch.event(&event, line.payload),
                    Err(error) => discrepancy = Some(error),
                }
                chain.clone_from(&line.chain);
            })
            .map_err(IndexError::Io)?;
        if let Some(error) = discrepancy {
            return Err(IndexError::Io(error.into()));
        }
        seq = to;
        if seq < journal_view.journal.seq {
            index.commit(&batch, &meta(seq, chain))?;
            batch = Batch::default();
        }
    }
    // The world stands at the end of the journal, so its records go in with the last events.
    for (tree, records) in [
        (Tree::Machines, machine_records(journal_view.state)),
        (Tree::Releases, release_records(journal_view.state)),
    ] {
        let records: BTreeMap<_, _> = records.into_iter().collect();
        index.each(tree, |key, _| {
            if !records.contains_key(key) {
                batch.drop(tree, key);
            }
            true
        })?;
        for (key, json) in &records {
            batch.put(tree, key, json);
        }
    }
    index.commit(&batch, &meta(seq, hex::encode(journal_view.journal.chain)))
}

/// Builds a whole index beside the old one, then changes their places.
fn rebuild(
    paths: &Paths,
    journal_view: &mut JournalView<'_>,
    leases: Vec<Lease>,
    now: Timestamp,
) -> Result<AttachedIndex, IndexError> {
    let io = IndexError::Io;
    if paths.fresh.exists() {
        std::fs::remove_dir_all(&paths.fresh).map_err(io)?;
    }
    let turn = journal_view.sentinel.turn.unwrap_or(0) + 1;
    let fresh = Index::open(&paths.fresh)?;
    let mut batch = Batch::default();
    put_leases(&mut batch, &leases);
    catch_up(&fresh, journal_view, batch, 0, leases.len(), turn)?;
    // sled finds its blobs by path, so it must not be open while its folder moves.
    drop(fresh);
    if paths.index.exists() {
        let aside = paths.dir.join(format!("index.corrupt-{}", now.millis()));
        std::fs::rename(&paths.index, &aside).map_err(io)?;
        tracing::warn!(aside = %aside.display(), "the old index is kept aside");
    }
    std::fs::rename(&paths.fresh, &paths.index).map_err(io)?;
    durable::sync_dir(&paths.dir).map_err(io)?;
    prune(&paths.dir);
    journal_view.sentinel.set(turn).map_err(io)?;
    Ok(AttachedIndex {
        index: Index::open(&paths.index)?,
        leases: leases.into_iter().map(|l| (l.address, l)).collect(),
        turn,
    })
}

fn prune(dir: &Path) {
    let mut aside: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("index.corrupt-"))
        })
        .collect();
    aside.sort();
    for old in aside.iter().rev().skip(KEPT_ASIDE) {
        if let Err(error) = std::fs::remove_dir_all(old) {
            tracing::warn!(%error, path = %old.display(), "an old damaged index cannot be removed");
        }
    }
}
