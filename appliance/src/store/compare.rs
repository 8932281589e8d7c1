//! Does the index say what the journal says? Everything in it is compared, since an engine that lost a
//! page may still open.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use netboot::dhcp::lease::Lease;
use netboot::machine::event::Event;
use netboot::machine::state::ApplianceState;

use super::index::{Index, IndexError, Meta, Tree};
use super::index_records::{machine_records, release_records};
use super::journal::Journal;
use super::line;
use super::sentinel::Sentinel;

/// What the index is compared with, and where its tail may go.
pub(super) struct JournalView<'a> {
    pub journal: &'a mut Journal,
    pub state: &'a mut ApplianceState,
    pub sentinel: &'a mut Sentinel,
    /// The leases, where this process has had an index before; `None` at the start.
    pub leases: Option<&'a BTreeMap<Ipv4Addr, Lease>>,
}

/// Events compared in one go.
const STRIDE: u64 = 4096;

pub(super) enum Discrepancy {
    /// The index differs from the journal, or cannot be read.
    Mismatch(String),
    Transient(IndexError),
}

impl From<IndexError> for Discrepancy {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged(what) => Self::Mismatch(what),
            passing => Self::Transient(passing),
        }
    }
}

/// Checks every event in the index against the journal; gives the turn of its leases.
pub(super) fn compare(
    index: &Index,
    journal_view: &mut JournalView<'_>,
    leases: usize,
    lost: usize,
    first: bool,
) -> Result<u64, Discrepancy> {
    let wrong = |what: String| Err(Discrepancy::Mismatch(what));
    let Some(meta) = index.meta()? else {
        if first {
            return Ok(0);
        }
        return wrong("it is empty".to_owned());
    };
    if meta.store != journal_view.journal.id {
        return wrong("it belongs to another journal".to_owned());
    }
    if meta.seq > journal_view.journal.seq {
        restore_tail(index, &meta, journal_view)?;
    }
    let at = journal_view
        .journal
        .chain_at(meta.seq)
        .map_err(|e| Discrepancy::Transient(IndexError::Io(e)))?;
    if at.as_deref() != Some(&meta.chain) {
        return wrong(format!(
            "its history differs from the journal's before event {}",
            meta.seq
        ));
    }
    if let Some(turn) = journal_view.sentinel.turn.filter(|turn| *turn > meta.turn) {
        return wrong(format!(
            "its leases are of turn {}, though turn {turn} was acknowledged",
            meta.turn
        ));
    }
    if lost > 0 || leases != meta.leases {
        return wrong(format!(
            "it has {leases} readable leases of {}",
            meta.leases
        ));
    }
    compare_events(index, journal_view.journal, meta.seq)?;
    if meta.seq == journal_view.journal.seq {
        compare_folds(index, journal_view.state)?;
    }
    Ok(meta.turn)
}

/// Damage at the end of the journal looks like a torn write. If the index holds what stood there, and
/// the chain proves it, it goes back.
fn restore_tail(
    index: &Index,
    meta: &Meta,
    journal_view: &mut JournalView<'_>,
) -> Result<(), Discrepancy> {
    let (mut chain, mut tail) = (journal_view.journal.chain, Vec::new());
    for seq in journal_view.journal.seq + 1..=meta.seq {
        let Some(payload) = index.get(Tree::Events, &seq.to_be_bytes())? else {
            break;
        };
        chain = line::link(&chain, &payload);
        let event: Event =
            serde_json::from_slice(&payload).map_err(|e| Discrepancy::Mismatch(e.to_string()))?;
        let payload =
            String::from_utf8(payload).map_err(|e| Discrepancy::Mismatch(e.to_string()))?;
        tail.push((event, payload));
    }
    if hex::encode(chain) != meta.chain {
        return Err(Discrepancy::Mismatch(format!(
            "it ends at event {}, the journal at {}, and the two do not fit together",
            meta.seq, journal_view.journal.seq
        )));
    }
    journal_view
        .journal
        .append(tail.iter().map(|(_, payload)| payload.as_str()))
        .map_err(|e| Discrepancy::Transient(IndexError::Io(e)))?;
    tail.iter()
        .for_each(|(event, _)| journal_view.state.apply(event));
    tracing::warn!(
        events = tail.len(),
        "the end of the journal was lost and is restored from the index"
    );
    Ok(())
}

fn compare_events(index: &Index, journal: &Journal, upto: u64) -> Result<(), Discrepancy> {
    // A crash may leave events of a batch whose meta did not make it; catching up writes them again.
    let mut problem = None;
    let mut machines = 0_usize;
    let mut entries = Vec::new();
    let mut from = 0;
    while from < upto {
        let to = upto.min(from + STRIDE);
        entries.clear();
        journal
            .replay(from, to, |line| entries.push(line.payload.to_owned()))
            .map_err(|e| Discrepancy::Transient(IndexError::Io(e)))?;
        for (seq, payload) in (from + 1..).zip(&entries) {
            if index.get(Tree::Events, &seq.to_be_bytes())?.as_deref() != Some(payload.as_bytes()) {
                return Err(Discrepancy::Mismatch(format!(
                    "event {seq} differs from the journal's"
                )));
            }
            // Cheaper than reading the event: only its own first level names a machine before `what`.
            machines += usize::from(names_a_machine(payload));
        }
        from = to;
    }
    let mut indexed = 0_usize;
    index.each(Tree::EventsByMachine, |key, _| {
        match key.get(6..).and_then(|seq| seq.try_into().ok()) {
            Some(seq) => indexed += usize::from(u64::from_be_bytes(seq) <= upto),
            None => problem = Some("a key of `events-by-machine` is not one"),
        }
        true
    })?;
    if let Some(problem) = problem {
        return Err(Discrepancy::Mismatch(problem.to_owned()));
    }
    if indexed != machines {
        return Err(Discrepancy::Mismatch(format!(
            "it finds {indexed} events by machine, the journal has {machines}"
        )));
    }
    Ok(())
}

fn names_a_machine(payload: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Of {
        #[serde(default)]
        machine: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Of>(payload).is_ok_and(|of| of.machine.is_some())
}

fn compare_folds(index: &Index, state: &ApplianceState) -> Result<(), Discrepancy> {
    for (tree, wanted) in [
        (Tree::Machines, machine_records(state)),
        (Tree::Releases, release_records(state)),
    ] {
        let (mut same, mut wanted) = (true, wanted.into_iter());
        index.each(tree, |key, payload| {
            same &= wanted.next().is_some_and(|(k, p)| k == key && p == payload);
            same
        })?;
        if !same || wanted.next().is_some() {
            return Err(Discrepancy::Mismatch(
                format!("its {tree:?} differ from the journal's").to_lowercase(),
            ));
        }
    }
    Ok(())
}
