//! Damaged files: the index is rebuilt, a torn end is cut, and a damaged journal is refused by line.

use super::*;
use crate::store::journal::Journal;
use crate::store::line;

const EVENTS: u64 = 40;

fn journal(dir: &Path) -> PathBuf {
    dir.join("store/journal.jsonl")
}

fn index_file(dir: &Path) -> PathBuf {
    dir.join("store/index/db")
}

/// Opens twice: whatever was wrong is mended at the first, and stays mended.
async fn opens_whole(dir: &Path, what: &str) -> usize {
    let mut kept = 0;
    for _ in 0..2 {
        let store = open(dir);
        assert_eq!(noted(&store), (0..EVENTS).collect::<Vec<_>>(), "{what}");
        let seqs: Vec<u64> = (0..EVENTS / 20).map(|n| 4 + n * 20).collect();
        let found = store.events(Some(mac(3)), 0, 99).expect("events");
        assert_eq!(
            found.iter().map(|e| e.seq).collect::<Vec<_>>(),
            seqs,
            "{what}"
        );
        assert_eq!(store.trouble(), None, "{what}");
        kept = leases(&store).await.by_address().len();
        let n = u32::try_from(EVENTS).expect("few");
        lease(&store, n - 1).await.expect("takes writes");
        store.close().await;
    }
    kept
}

#[tokio::test]
async fn flipped_bits_in_the_index_lose_nothing() {
    let rounds = if long() { 50 } else { 12 };
    for round in 0..rounds {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path(), EVENTS).await;
        let path = index_file(dir.path());
        let mut octets = std::fs::read(&path).expect("reads");
        // The file is mostly empty space; a flip there proves little.
        let used = octets.iter().rposition(|o| *o != 0).expect("not empty");
        let at = usize::try_from(u64::from_le_bytes(clock::random()) % used as u64).expect("fits");
        let bit = round % 8;
        octets[at] ^= 1 << bit;
        std::fs::write(&path, &octets).expect("writes");
        let kept = opens_whole(dir.path(), &format!("octet {at} of {used}, bit {bit}")).await;
        assert!(
            kept == 40 || !aside(dir.path()).is_empty(),
            "octet {at}, bit {bit}: {kept} leases left, and nothing was noticed"
        );
    }
}

#[tokio::test]
async fn a_truncated_index_is_noticed_and_rebuilt() {
    for percent in [0, 50, 90] {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path(), EVENTS).await;
        let path = index_file(dir.path());
        let octets = std::fs::read(&path).expect("reads");
        let used = octets.iter().rposition(|o| *o != 0).expect("not empty");
        std::fs::write(&path, &octets[..used * percent / 100]).expect("writes");
        opens_whole(dir.path(), &format!("{percent} %")).await;
        assert_eq!(aside(dir.path()).len(), 1, "{percent} %");
    }
}

#[tokio::test]
async fn an_index_that_is_missing_or_garbage_is_rebuilt() {
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 5] = [
        ("missing", |dir| {
            std::fs::remove_dir_all(dir.join("store/index")).expect("removes");
        }),
        ("garbage at the start", |dir| {
            let mut octets = std::fs::read(index_file(dir)).expect("reads");
            octets[..4096].fill(0xa5);
            std::fs::write(index_file(dir), octets).expect("writes");
        }),
        ("garbage for settings", |dir| {
            std::fs::write(dir.join("store/index/conf"), [0xa5; 64]).expect("writes");
        }),
        ("a file for a folder", |dir| {
            std::fs::remove_dir_all(dir.join("store/index")).expect("removes");
            std::fs::write(dir.join("store/index"), "not a folder").expect("writes");
        }),
        ("left half built", |dir| {
            std::fs::create_dir(dir.join("store/index.new")).expect("makes");
            std::fs::write(dir.join("store/index.new/db"), [1; 999]).expect("writes");
            std::fs::remove_dir_all(dir.join("store/index")).expect("removes");
        }),
    ];
    for (name, harm) in harms {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path(), EVENTS).await;
        harm(dir.path());
        opens_whole(dir.path(), name).await;
    }
}

#[tokio::test]
async fn an_index_of_yesterday_is_noticed() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), EVENTS).await;
    let yesterday = std::fs::read(index_file(dir.path())).expect("reads");
    let store = open(dir.path());
    // Leases alone have passed since: the journal cannot tell, the sentinel can.
    lease(&store, 200).await.expect("is written");
    store.close().await;
    std::fs::write(index_file(dir.path()), yesterday).expect("writes");
    for snapshot in std::fs::read_dir(dir.path().join("store/index")).expect("reads") {
        let path = snapshot.expect("an entry").path();
        if path.to_string_lossy().contains("snap.") {
            std::fs::remove_file(path).expect("removes");
        }
    }
    let kept = opens_whole(dir.path(), "yesterday's").await;
    assert_eq!(kept, 40, "what can be read is kept");
    assert_eq!(aside(dir.path()).len(), 1);
}

#[tokio::test]
async fn damaged_indexes_do_not_pile_up() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), EVENTS).await;
    for _ in 0..6 {
        std::fs::write(index_file(dir.path()), "").expect("writes");
        open(dir.path()).close().await;
    }
    assert_eq!(aside(dir.path()).len(), 3);
}

#[tokio::test]
async fn a_torn_end_of_the_journal_is_cut_at_every_octet() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), 3).await;
    let path = journal(dir.path());
    let whole = std::fs::read(&path).expect("reads");
    let text = &whole[..whole.len() - 1];
    let last = text.iter().rposition(|o| *o == b'\n').expect("lines") + 1;
    for end in last..whole.len() {
        std::fs::write(&path, &whole[..end]).expect("writes");
        let (mut journal, cut) = Journal::open(&path, |_| {}).expect("opens");
        assert_eq!((journal.seq, cut), (2, (end - last) as u64), "cut at {end}");
        let third = line::read(&text[last..]).expect("whole").payload;
        journal.append([third].into_iter()).expect("goes on");
        assert_eq!(std::fs::read(&path).expect("reads"), whole, "cut at {end}");
    }
}

#[tokio::test]
async fn a_store_goes_on_after_a_torn_end() {
    for missing in [1, 40, 150] {
        let dir = tempfile::tempdir().expect("a folder");
        filled(dir.path(), 3).await;
        let whole = std::fs::read(journal(dir.path())).expect("reads");
        // Without the index: what a crash before the index was written leaves.
        std::fs::remove_dir_all(dir.path().join("store/index")).expect("removes");
        std::fs::write(journal(dir.path()), &whole[..whole.len() - missing]).expect("writes");
        let store = open(dir.path());
        assert_eq!(noted(&store), [0, 1], "{missing} octets");
        note(&store, 7).await.expect("goes on");
        store.close().await;
        let store = open(dir.path());
        assert_eq!(noted(&store), [0, 1, 7], "{missing} octets, opened again");
        store.close().await;
    }
}

#[tokio::test]
async fn a_lost_end_comes_back_from_the_index() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), EVENTS).await;
    let whole = std::fs::read(journal(dir.path())).expect("reads");
    let (mut zeros, mut flipped) = (whole.clone(), whole.clone());
    let length = whole.len();
    zeros[length - 150..].fill(0);
    flipped[length - 20] ^= 4;
    for (name, damaged) in [
        ("half of it", &whole[..length / 2]),
        ("one octet", &whole[..length - 1]),
        ("zeros at the end", &zeros),
        ("a flipped bit in the last line", &flipped),
    ] {
        std::fs::write(journal(dir.path()), damaged).expect("writes");
        opens_whole(dir.path(), name).await;
        assert_eq!(
            std::fs::read(journal(dir.path())).expect("reads"),
            whole,
            "{name}"
        );
    }
    assert_eq!(aside(dir.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn damage_in_the_middle_of_the_journal_is_refused_by_line() {
    let dir = tempfile::tempdir().expect("a folder");
    filled(dir.path(), EVENTS).await;
    let whole =
        String::from_utf8(std::fs::read(journal(dir.path())).expect("reads")).expect("text");
    let lines: Vec<&str> = whole.lines().collect();
    let without = |n: usize| {
        let mut lines = lines.clone();
        lines.remove(n);
        lines.join("\n") + "\n"
    };
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(20, 21);
        lines.join("\n") + "\n"
    };
    let newer = whole.replacen("\"journal\":1", "\"journal\":2", 1);
    for (name, text, want) in [
        (
            "another serial",
            whole.replacen("\"serial\":\"5\"", "\"serial\":\"6\"", 1),
            "line 7 of the journal",
        ),
        ("a line gone", without(10), "line 11 of the journal"),
        ("two changed places", swapped, "line 21 of the journal"),
        ("the header gone", without(0), "line 1 of the journal"),
        ("a newer version", newer, "newer than this program"),
        (
            "an event of another kind",
            reforged(&lines, "seen", "saw"),
            "cannot read its event",
        ),
    ] {
        std::fs::write(journal(dir.path()), &text).expect("writes");
        let Err(error) = Store::open(dir.path(), clock::now) else {
            panic!("{name}: is refused");
        };
        let shown = format!("{error:#}");
        assert!(shown.contains(want), "{name}: {shown}");
        let after = std::fs::read_to_string(journal(dir.path())).expect("reads");
        assert_eq!(after, text, "{name}: nothing was changed");
    }
    std::fs::remove_file(journal(dir.path())).expect("removes");
    let Err(error) = Store::open(dir.path(), clock::now) else {
        panic!("a journal that is gone is refused");
    };
    assert!(format!("{error:#}").contains("is gone"), "{error:#}");
    std::fs::write(journal(dir.path()), whole).expect("writes");
    opens_whole(dir.path(), "put back").await;
}

/// The journal with its last event changed and sealed again, as a newer version might have written it.
fn reforged(lines: &[&str], from: &str, to: &str) -> String {
    let mut text = format!("{}\n", lines[0]);
    let mut chain = line::Header::chain(lines[0].as_bytes());
    for (seq, old) in (1..).zip(&lines[1..]) {
        let mut payload = line::read(old.as_bytes())
            .expect("whole")
            .payload
            .to_owned();
        if seq == lines.len() as u64 - 1 {
            payload = payload.replace(from, to);
        }
        chain = line::link(&chain, payload.as_bytes());
        text.push_str(&line::render(seq, &chain, &payload));
    }
    text
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_journal_is_opened_or_refused_without_a_panic(octets: Vec<u8>, at: proptest::sample::Index) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal.jsonl");
        Journal::create(&path, "ab").expect("creates");
        let mut text = std::fs::read(&path).expect("reads");
        let at = at.index(text.len() + 1);
        text.splice(at..at, octets);
        std::fs::write(&path, text).expect("writes");
        let _ = Journal::open(&path, |_| {});
    }
}
