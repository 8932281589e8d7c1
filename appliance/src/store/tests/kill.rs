//! SIGKILL at any moment: what another process was told is done, is done.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::*;

const CHILD: &str = "NETBOOT_STORE_CHILD";

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_sigkill() {
    let kills = if long() { 200 } else { 10 };
    let mut dir = tempfile::tempdir().expect("a folder");
    let (mut events, mut addresses, mut sum) = (BTreeSet::new(), BTreeSet::new(), 0);
    for kill in 0..kills {
        if kill % 20 == 0 {
            // Every opening compares everything; a history that only grows would test that alone.
            dir = tempfile::tempdir().expect("a folder");
            sum += events.len();
            (events, addresses) = (BTreeSet::new(), BTreeSet::new());
        }
        let first = events.last().map_or(0, |n| n + 1000);
        // Between a first write and some hundred, so that all places of a batch are hit over time.
        let patience = usize::from(u16::from_le_bytes(clock::random())) % 400 + 1;
        let (mut child, told) = start(dir.path(), first);
        let mut lines = 0;
        for told in told {
            match told {
                AckedLease::Event(n) => _ = events.insert(n),
                AckedLease::Lease(n) => _ = addresses.insert(address(n)),
            }
            lines += 1;
            if lines == patience {
                // What the pipe still holds was acknowledged too, and is read after this.
                child.kill().expect("is killed");
            }
        }
        child.wait().expect("ended");
        assert!(lines >= patience, "kill {kill}: the child ended by itself");

        let store = open(dir.path());
        let found = all(noted(&store));
        let lost: Vec<_> = events.difference(&found).collect();
        assert!(lost.is_empty(), "kill {kill}: lost events {lost:?}");
        let leases = leases(&store).await;
        let lost: Vec<_> = addresses
            .iter()
            .filter(|a| !leases.by_address().contains_key(a))
            .collect();
        assert!(lost.is_empty(), "kill {kill}: lost leases {lost:?}");
        assert_eq!(aside(dir.path()), Vec::<PathBuf>::new(), "kill {kill}");
        store.close().await;
    }
    eprintln!(
        "{kills} kills: {} events acknowledged, and leases beside them, none lost",
        sum + events.len()
    );
}

/// What a child was told is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckedLease {
    Event(u64),
    Lease(u32),
}

/// Starts a child that writes events from number `first` on, and leases, until it is killed. What it is
/// told comes out of the pipe.
pub(super) fn start(dir: &Path, first: u64) -> (Child, impl Iterator<Item = AckedLease>) {
    let program = std::env::current_exe().expect("this test's program");
    let mut child = Command::new(program)
        .args(["store::tests::kill::child", "--exact", "--nocapture"])
        .env(CHILD, format!("{first} {}", dir.display()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let pipe = BufReader::new(child.stdout.take().expect("a pipe"));
    let told = pipe.lines().filter_map(|line| {
        let line = line.expect("a line");
        let (what, n) = line.split_once(' ')?;
        match what {
            "event" => Some(AckedLease::Event(n.parse().ok()?)),
            "lease" => Some(AckedLease::Lease(n.parse().ok()?)),
            _ => None,
        }
    });
    (child, told)
}

/// The child: not a test by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (first, dir) = order.split_once(' ').expect("a number and a folder");
    let store = open(Path::new(dir));
    let next = Arc::new(AtomicU64::new(first.parse().expect("a number")));
    let next_lease = Arc::new(AtomicU32::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, next) = (store.clone(), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                note(&store, n).await.expect("is written");
                tell(&format!("event {n}\n"));
            }
        });
    }
    for _ in 0..2 {
        let (store, next) = (store.clone(), Arc::clone(&next_lease));
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                lease(&store, n).await.expect("is written");
                tell(&format!("lease {n}\n"));
            }
        });
    }
    writers
        .join_next()
        .await
        .expect("a writer")
        .expect("goes on");
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).expect("the pipe is open");
    out.flush().expect("the pipe is open");
}
