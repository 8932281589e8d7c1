//! Many callers at once: one fsync for many, one winner where there is one thing to win.

use netboot::api::agent;
use netboot::api::types::ClaimRequest;
use netboot::base::refusal::RefusalCode;
use netboot::base::token::{Digest, Ticket};
use netboot::machine::decide::{Policy, UnknownPolicy};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_are_all_answered_and_durable() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    let decided = futures_util::future::join_all((0..200).map(|n| note(&store, n)));
    let leased = futures_util::future::join_all((0..200).map(|n| lease(&store, n)));
    let (decided, leased) = tokio::join!(decided, leased);
    let answers = all(decided.into_iter().map(|d| d.expect("is written").answer));
    assert_eq!(answers, all(0..200));
    leased.into_iter().for_each(|l| l.expect("is written"));
    // What a crash right now would leave: the files as they are, under another store.
    let copy = tempfile::tempdir().expect("a folder");
    copy_dir(&dir.path().join("store"), &copy.path().join("store"));
    let crashed = open(copy.path());
    assert_eq!(all(noted(&crashed)), all(0..200));
    assert_eq!(leases(&crashed).await.by_address().len(), 200);
    assert_eq!(aside(copy.path()), Vec::<PathBuf>::new());
    crashed.close().await;
    store.close().await;
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_dir(&path, &to);
        } else {
            std::fs::copy(&path, &to).expect("copies");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_claims_exactly_one_wins_a_thousand_times() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    for round in 0..1000_u32 {
        let ticket = clock::ticket();
        arm(&store, ticket.clone()).await;
        let (one, two) = tokio::join!(
            tokio::spawn(claim(store.clone(), ticket.clone(), 1)),
            tokio::spawn(claim(store.clone(), ticket, 2)),
        );
        let outcomes = [one.expect("runs"), two.expect("runs")];
        let won = outcomes.iter().filter(|o| o.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {outcomes:?}");
        let lost = outcomes.into_iter().find_map(Result::err);
        assert_eq!(lost, Some(RefusalCode::TicketUsed), "round {round}");
    }
    store.close().await;
}

async fn arm(store: &Store, ticket: Ticket) {
    let enrolled = move |now: Timestamp| EventKind::Enrolled {
        macs: vec![mac(1)],
        name: "node1".parse().expect("a name"),
        profile: "worker".parse().expect("a name"),
        until: now.plus(Duration::from_secs(3600)),
        ticket,
        by: "test".to_owned(),
    };
    let decided = store.decide(move |_, now| Decided {
        answer: Ok(()),
        events: vec![NewEvent::of(mac(1), enrolled(now))],
    });
    decided.await.expect("is armed");
}

async fn claim(store: Store, ticket: Ticket, who: u8) -> Result<(), RefusalCode> {
    let session = Digest::new([who; 32]);
    let request = ClaimRequest {
        ticket,
        session: format!("{who:064x}"),
        recipient: format!("age1{who}"),
    };
    let policy = Policy {
        unknown: UnknownPolicy::Ignore,
        attempts: 3,
    };
    let decided = store.decide(move |state, now| {
        agent::claim(state, &request, &session, &policy, now, "127.0.0.1")
    });
    decided.await.map(|_| ()).map_err(|refusal| refusal.code)
}
