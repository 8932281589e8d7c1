//! What was acknowledged is there after closing and opening, and no other process may open the store meanwhile.

use netboot::api::types::EventLine;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::machine::event::Decided;

use super::*;

#[tokio::test]
async fn reopening_sees_everything_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), 300).await;
    let store = open(dir.path());
    assert_eq!(noted(&store), (0..300).collect::<Vec<_>>());
    assert_eq!(store.state().seq, 300);
    assert_eq!(store.state().machines.len(), 20);
    let serial = store.state().machines[&mac(7)].facts.serial.clone();
    assert_eq!(serial.as_deref(), Some("287"));
    let leases = leases(&store).await;
    assert_eq!(leases.by_address().len(), 256);
    assert_eq!(leases.by_address()[&address(3)], numbered_lease(259));
    assert_eq!(aside(dir.path()), Vec::<PathBuf>::new());
    note(&store, 300).await.expect("goes on");
    assert_eq!(store.state().seq, 301);
    store.close().await;
}

#[tokio::test]
async fn events_are_found_by_machine_and_by_number() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), 100).await;
    let store = open(dir.path());
    let seqs = |machine, after, limit| -> Vec<u64> {
        let events = store.events(machine, after, limit).expect("events");
        events.iter().map(|e| e.seq).collect()
    };
    for (name, got, want) in [
        ("the first two", seqs(None, 0, 2), vec![1, 2]),
        ("after 98", seqs(None, 98, 9), vec![99, 100]),
        ("after the end", seqs(None, 100, 9), vec![]),
        ("beyond all numbers", seqs(None, u64::MAX, 9), vec![]),
        ("none wanted", seqs(None, 0, 0), vec![]),
        (
            "one machine",
            seqs(Some(mac(3)), 0, 9),
            vec![4, 24, 44, 64, 84],
        ),
        ("its later ones", seqs(Some(mac(3)), 44, 1), vec![64]),
        ("a machine without any", seqs(Some(mac(99)), 0, 9), vec![]),
    ] {
        assert_eq!(got, want, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn a_refusal_is_written_down_and_given() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let mut live = store.live();
    let refused = store
        .decide(|_, now| {
            let facts = Facts::default();
            assert!(now.millis() > 0, "the clock is asked");
            Decided::<()> {
                answer: Err(Refusal::new(RefusalCode::TicketUsed, "it is taken")),
                events: vec![NewEvent::of(mac(1), EventKind::Seen { facts })],
            }
        })
        .await
        .expect_err("refused");
    assert_eq!(refused.code, RefusalCode::TicketUsed);
    assert_eq!(store.state().seq, 1);
    match live.try_recv() {
        Ok(EventLine::Event { event }) => assert_eq!(event.seq, 1),
        other => panic!("an event is told of: {other:?}"),
    }
    store.close().await;
}

#[tokio::test]
async fn a_question_writes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), 3).await;
    let store = open(dir.path());
    let journal = dir.path().join("store/journal.jsonl");
    let before = std::fs::read(&journal).expect("reads");
    let decided = store
        .decide(|state, _| Decided {
            answer: Ok(state.machines.len()),
            events: Vec::new(),
        })
        .await
        .expect("is answered");
    assert_eq!((decided.answer, decided.changed), (3, false));
    assert!(note(&store, 3).await.expect("is written").changed);
    assert!(std::fs::read(&journal).expect("reads").starts_with(&before));
    store.close().await;
}

#[tokio::test]
async fn a_decision_that_panics_leaves_no_trace() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    note(&store, 0).await.expect("is written");
    lease(&store, 1).await.expect("is written");
    let failed = store
        .decide::<(), _>(|_, _| panic!("a mistake in a decision"))
        .await
        .expect_err("has no answer");
    assert_eq!(failed.code, RefusalCode::Internal);
    let failed = store
        .lease::<(), _>(|leases, _| {
            *leases = Leases::default();
            panic!("a mistake in the rules")
        })
        .await
        .expect_err("has no answer");
    assert_eq!(failed.code, RefusalCode::Internal);
    note(&store, 1).await.expect("the store lives");
    assert_eq!(noted(&store), [0, 1]);
    assert_eq!(leases(&store).await.by_address().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn only_one_may_open_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let Err(error) = Store::open(dir.path(), clock::now) else {
        panic!("a second one may not");
    };
    let text = format!("{error:#}");
    let pid = std::process::id().to_string();
    assert!(
        text.contains("in use by another pxe-appliance") && text.contains(&pid),
        "{text}"
    );
    store.close().await;
    let closed = note(&store, 1).await.expect_err("closed");
    assert_eq!(closed.code, RefusalCode::StoreUnavailable);
    open(dir.path()).close().await;
}

#[tokio::test]
async fn a_store_that_is_dropped_can_be_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    for n in 0..5 {
        let store = open(dir.path());
        note(&store, n).await.expect("is written");
    }
    let store = open(dir.path());
    assert_eq!(noted(&store), [0, 1, 2, 3, 4]);
    store.close().await;
}

#[tokio::test]
async fn its_files_are_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), 1).await;
    for (file, mode) in [
        ("store", 0o700),
        ("store/journal.jsonl", 0o600),
        ("store/sentinel", 0o600),
        ("store/index", 0o700),
    ] {
        let stat = std::fs::metadata(dir.path().join(file)).expect(file);
        assert_eq!(stat.permissions().mode() & 0o777, mode, "{file}");
    }
}

/// `cargo nextest run --release -p appliance --run-ignored all hundred_thousand --no-capture`
#[tokio::test]
#[ignore = "long: a hundred thousand events are written and read, 1 min"]
async fn a_hundred_thousand_events_open_in_reasonable_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let begun = Instant::now();
    for block in 0..1000 {
        let notes = (0..100).map(|n| note(&store, block * 100 + n));
        for noted in futures_util::future::join_all(notes).await {
            noted.expect("is written");
        }
    }
    eprintln!("100000 events written in {:?}", begun.elapsed());
    store.close().await;
    let begun = Instant::now();
    let store = open(dir.path());
    eprintln!("and opened, verified, in {:?}", begun.elapsed());
    assert_eq!(store.state().seq, 100_000);
    store.close().await;
    std::fs::remove_dir_all(dir.path().join("store/index")).expect("removes");
    let begun = Instant::now();
    let store = open(dir.path());
    eprintln!("and rebuilt from the journal in {:?}", begun.elapsed());
    store.close().await;
}
