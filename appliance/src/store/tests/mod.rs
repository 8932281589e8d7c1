//! The store under everything that may happen to it.

mod damage;
mod full;
mod group;
mod kill;
mod names;
mod power;
mod reopen;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netboot::base::mac::Mac;
use netboot::base::refusal::Refusal;
use netboot::base::timestamp::Timestamp;
use netboot::dhcp::lease::{Lease, LeaseChange, LeaseOutcome, Leases};
use netboot::dhcp::request::Facts;
use netboot::machine::event::Decided;
use netboot::machine::event::{Event, EventKind, NewEvent};

use super::{Committed, Store};
use crate::base::clock;

/// The MAC of test machine `n`.
fn mac(n: u64) -> Mac {
    let [.., a, b, c, d] = n.to_be_bytes();
    Mac::new([0x52, 0x54, a, b, c, d]).expect("a card's address")
}

fn open(dir: &Path) -> Store {
    Store::open(dir, clock::now).unwrap_or_else(|e| panic!("the store opens: {e:#}"))
}

/// Writes event `n` down: one of 20 machines was seen with a serial that carries the number.
async fn note(store: &Store, n: u64) -> Result<Committed<u64>, Refusal> {
    let facts = Facts {
        serial: Some(n.to_string()),
        ..Facts::default()
    };
    let event = NewEvent::of(mac(n % 20), EventKind::Seen { facts });
    store
        .decide(move |_, _| Decided {
            answer: Ok(n),
            events: vec![event],
        })
        .await
}

/// Leases address `n` for as many milliseconds.
async fn lease(store: &Store, n: u32) -> Result<(), Refusal> {
    store
        .lease(move |leases, _| {
            let lease = numbered_lease(n);
            leases.put(lease.clone());
            LeaseOutcome {
                changes: vec![LeaseChange::Put(lease)],
                ..LeaseOutcome::only(())
            }
        })
        .await
}

fn numbered_lease(n: u32) -> Lease {
    Lease {
        address: address(n),
        mac: mac(n.into()),
        until: Timestamp::from_millis(n.into()),
        declined: false,
        host_name: None,
    }
}

/// 256 addresses, so that leases are both made and renewed.
fn address(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0a4d_0000 + n % 256)
}

/// The numbers that [`note`] gave to the events in the store, oldest first.
fn noted(store: &Store) -> Vec<u64> {
    let events = store.events(None, 0, usize::MAX).expect("events");
    let seqs: Vec<u64> = events.iter().map(|e| e.seq).collect();
    let wanted: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(seqs, wanted, "numbered from 1 without gaps");
    events.iter().filter_map(number).collect()
}

fn number(event: &Event) -> Option<u64> {
    match &event.what {
        EventKind::Seen { facts } => facts.serial.as_ref()?.parse().ok(),
        _ => None,
    }
}

/// All leases in force.
async fn leases(store: &Store) -> Leases {
    store
        .lease(|leases, _| LeaseOutcome::only(leases.clone()))
        .await
        .expect("leases")
}

/// A store with events `0..n` and as many leases, closed again.
async fn filled(dir: &Path, n: u64) {
    let store = open(dir);
    for n in 0..n {
        note(&store, n).await.expect("is written");
        lease(&store, u32::try_from(n).expect("few"))
            .await
            .expect("is written");
    }
    store.close().await;
}

/// What the store has moved aside.
fn aside(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir.join("store"))
        .expect("the store's folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains("index.corrupt-"))
        .collect();
    found.sort();
    found
}

/// Waits until `probe` is true, and fails with `what` after ten seconds.
async fn wait_until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !probe().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn long() -> bool {
    std::env::var_os("NETBOOT_LONG").is_some()
}

fn all(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<u64> {
    numbers.into_iter().collect()
}
