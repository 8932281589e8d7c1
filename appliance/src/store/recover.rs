//! Brings the index in line with the journal: catches it up, or moves it aside and builds it again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::Lease;

use super::compare::{Odd, Truth, compare};
use super::files::Paths;
use super::folds::{machine_records, release_records};
use super::index::{Batch, Index, IndexError, Meta, Tree};
use crate::files::durable;

/// The most events of a batch while the index catches up: bounds memory, and the time of one flush.
const STRIDE: usize = 4096;
/// sled takes its file in steps of half a megabyte and cannot open without room for some.
const ROOM: u64 = 8 << 20;
/// The most damaged indexes that are kept for a later look.
const KEPT_ASIDE: usize = 3;

/// An index in line with the journal, and the leases in it.
pub(super) struct Attached {
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
    truth: &mut Truth<'_>,
    now: Timestamp,
) -> Result<Attached, IndexError> {
    let first = !paths.index.exists() && truth.journal.seq == 0 && truth.sentinel.turn == Some(0);
    let opened = match paths.index.exists() || first {
        true => Index::open(&paths.index),
        false => Err(IndexError::Damaged("it is missing".to_owned())),
    };
    let (reason, salvaged) = match opened {
        Ok(index) => {
            let (mut leases, mut lost) = index.leases();
            match compare(&index, truth, leases.len(), lost, first) {
                Ok(turn) => return settle(index, truth, leases, turn),
                Err(Odd::Passing(error)) => return Err(error),
                Err(Odd::Wrong(reason)) => {
                    let expected = index.meta().ok().flatten().map_or(0, |meta| meta.leases);
                    lost = lost.max(expected.saturating_sub(leases.len()));
                    if truth.leases.is_none() && lost > 0 {
                        tracing::warn!(
                            lost,
                            kept = leases.len(),
                            "leases in the index cannot be read"
                        );
                    }
                    leases.retain(|_| truth.leases.is_none());
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
    let leases = match truth.leases {
        Some(known) => known.values().cloned().collect(),
        None => salvaged,
    };
    tracing::warn!(
        %reason,
        events = truth.journal.seq,
        leases = leases.len(),
        "the index is rebuilt from the journal"
    );
    rebuild(paths, truth, leases, now)
}

/// Catches up an index that is right as far as it goes.
fn settle(
    index: Index,
    truth: &mut Truth<'_>,
    mut leases: Vec<Lease>,
    mut turn: u64,
) -> Result<Attached, IndexError> {
    let have = index.meta()?;
    let mut batch = Batch::default();
    if let Some(known) = truth.leases {
        // The leases that this process has acknowledged, without those that it has refused.
        for lease in &leases {
            batch.drop(Tree::Leases, &lease.address.octets());
        }
        leases = known.values().cloned().collect();
        put_leases(&mut batch, &leases);
        turn += 1;
    }
    let seq = have.as_ref().map_or(0, |meta| meta.seq);
    if have.is_none() || seq < truth.journal.seq || batch.len() > 0 {
        catch_up(&index, truth, batch, seq, leases.len(), turn)?;
    }
    if truth.sentinel.turn != Some(turn) {
        truth.sentinel.set(turn).map_err(IndexError::Io)?;
    }
    Ok(Attached {
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
    truth: &Truth<'_>,
    mut batch: Batch,
    mut seq: u64,
    leases: usize,
    turn: u64,
) -> Result<(), IndexError> {
    let meta = |seq, chain| Meta {
        store: truth.journal.id.clone(),
        seq,
        chain,
        turn,
        leases,
    };
    let mut odd = None;
    while seq < truth.journal.seq {
        let to = truth.journal.seq.min(seq + STRIDE as u64);
        let mut chain = String::new();
        truth
            .journal
            .replay(seq, to, |line| {
                match serde_json::from_str(line.payload) {
                    Ok(event) => batch.event(&event, line.payload),
                    Err(error) => odd = Some(error),
                }
                chain.clone_from(&line.chain);
            })
            .map_err(IndexError::Io)?;
        if let Some(error) = odd {
            return Err(IndexError::Io(error.into()));
        }
        seq = to;
        if seq < truth.journal.seq {
            index.commit(&batch, &meta(seq, chain))?;
            batch = Batch::default();
        }
    }
    // The world stands at the end of the journal, so its records go in with the last events.
    for (tree, records) in [
        (Tree::Machines, machine_records(truth.world)),
        (Tree::Releases, release_records(truth.world)),
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
    index.commit(&batch, &meta(seq, hex::encode(truth.journal.chain)))
}

/// Builds a whole index beside the old one, then changes their places.
fn rebuild(
    paths: &Paths,
    truth: &mut Truth<'_>,
    leases: Vec<Lease>,
    now: Timestamp,
) -> Result<Attached, IndexError> {
    let io = IndexError::Io;
    if paths.fresh.exists() {
        std::fs::remove_dir_all(&paths.fresh).map_err(io)?;
    }
    let turn = truth.sentinel.turn.unwrap_or(0) + 1;
    let fresh = Index::open(&paths.fresh)?;
    let mut batch = Batch::default();
    put_leases(&mut batch, &leases);
    catch_up(&fresh, truth, batch, 0, leases.len(), turn)?;
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
    truth.sentinel.set(turn).map_err(io)?;
    Ok(Attached {
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
