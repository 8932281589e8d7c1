//! Timelines over a restart, with damaged files, and under a flood.

use netboot::doctor::boot_trace::{IpxeScript, NoAnswerReason};

use super::*;
use crate::base::clock;
use crate::testing::{mac, wait_until};

const LIMIT: Duration = Duration::from_secs(10);

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_775_124_847_000 + second * 1000)
}

fn stranger() -> BootEvent {
    BootEvent::Silence {
        why: NoAnswerReason::Stranger,
        reason: "not enrolled".to_owned(),
    }
}

fn script() -> BootEvent {
    BootEvent::Script {
        given: IpxeScript::Installer,
    }
}

/// Writes everything that is due.
async fn written(traces: &BootTraces) {
    while !traces.cards().changed.is_empty() {
        let stop = CancellationToken::new();
        stop.cancel();
        traces.keep(stop).await;
    }
}

#[tokio::test]
async fn a_restart_does_not_lose_last_night() {
    let folder = tempfile::tempdir().expect("a folder");
    let card = mac("52:54:00:12:34:56");
    let before = BootTraces::open(folder.path(), clock::now);
    assert!(before.note(card, true, at(0), at(0), script()));
    assert!(
        !before.note(card, true, at(0), at(1), script()),
        "said once more"
    );
    written(&before).await;
    let after = BootTraces::open(folder.path(), clock::now);
    assert_eq!(after.of(&[card]), before.of(&[card]));
    assert_eq!(after.of(&[card])[0].times, 2);
}

#[tokio::test]
async fn the_files_follow_by_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let traces = std::sync::Arc::new(BootTraces::open(folder.path(), clock::now));
    let stop = CancellationToken::new();
    let keeping = {
        let (traces, stop) = (traces.clone(), stop.clone());
        tokio::spawn(async move { traces.keep(stop).await })
    };
    let card = mac("52:54:00:12:34:56");
    traces.note(card, true, at(0), at(0), script());
    let file = folder.path().join("boots/52-54-00-12-34-56.json");
    wait_until("the file of the card", LIMIT, || file.exists()).await;
    stop.cancel();
    keeping.await.expect("ends");
}

#[tokio::test]
async fn a_damaged_file_costs_that_machine_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, bad) = (mac("52:54:00:12:34:56"), mac("52:54:00:00:00:02"));
    let before = BootTraces::open(folder.path(), clock::now);
    before.note(good, true, at(0), at(0), script());
    before.note(bad, true, at(0), at(0), script());
    written(&before).await;
    let boots = folder.path().join("boots");
    for (name, content) in [
        ("52-54-00-00-00-02.json", &b"{\"notes\":[{"[..]),
        ("52-54-00-00-00-03.json", b""),
        ("52-54-00-00-00-04.json", &[0xff; 300_000]),
        ("52-54-00-00-00-05.new", b"{\"notes\":[]}"),
        ("notes.txt", b"x"),
    ] {
        std::fs::write(boots.join(name), content).expect("writes");
    }
    let after = BootTraces::open(folder.path(), clock::now);
    assert_eq!(after.of(&[good]).len(), 1);
    assert_eq!(after.of(&[bad]), Vec::new());
    // And it is taken up anew.
    after.note(bad, true, at(0), at(9), script());
    written(&after).await;
    let again = BootTraces::open(folder.path(), clock::now);
    assert_eq!(again.of(&[bad]).len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_waits_and_holds_up_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, bad) = (mac("52:54:00:12:34:56"), mac("52:54:00:00:00:02"));
    let traces = BootTraces::open(folder.path(), clock::now);
    let boots = folder.path().join("boots");
    let in_its_way = boots.join("52-54-00-00-00-02.new");
    std::fs::create_dir_all(&in_its_way).expect("makes a folder");
    for card in [good, bad] {
        traces.note(card, true, at(0), at(0), script());
    }
    let stop = CancellationToken::new();
    stop.cancel();
    traces.keep(stop).await;
    assert!(boots.join("52-54-00-12-34-56.json").exists());
    assert_eq!(traces.cards().changed, BTreeSet::from([bad]));
    std::fs::remove_dir(&in_its_way).expect("removes");
    written(&traces).await;
    assert!(boots.join("52-54-00-00-00-02.json").exists());
}

#[tokio::test]
async fn a_flood_of_strangers_drives_no_machine_out_and_fills_no_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let traces = BootTraces::open(folder.path(), clock::now);
    let ours = mac("52:54:00:12:34:56");
    traces.note(ours, true, at(0), at(0), script());
    for n in 0..3000_u16 {
        let [high, low] = n.to_be_bytes();
        let card = Mac::new([2, 0, 0, 0, high, low]).expect("a MAC");
        traces.note(card, false, at(0), at(i64::from(n)), stranger());
    }
    assert_eq!(traces.of(&[ours]).len(), 1);
    let first = Mac::new([2, 0, 0, 0, 0, 0]).expect("a MAC");
    assert_eq!(traces.of(&[first]), Vec::new());
    let limit = std::time::Instant::now() + LIMIT;
    written(&traces).await;
    assert!(std::time::Instant::now() < limit, "writing took over 10 s");
    let files = std::fs::read_dir(folder.path().join("boots")).expect("lists");
    assert_eq!(files.count(), CARDS);
}
