//! Which releases stay and why, and that no file goes that somebody needs.

use proptest::prelude::*;

use super::*;
use crate::api::admin;
use crate::api::agent::tests::{Story, toplevel};
use crate::api::types::EnrollRequest;
use crate::test_support::mac;

fn judged_text(judged: &[ReleaseRetention]) -> Vec<String> {
    let line = |ReleaseRetention { release, why }: &ReleaseRetention| {
        let why: Vec<String> = why.iter().map(ToString::to_string).collect();
        format!("{}: {}", release.number, why.join(", "))
    };
    judged.iter().map(line).collect()
}

fn judged(story: &Story, keep: u32) -> Vec<String> {
    judged_text(&judge(&story.state, &story.profiles, keep))
}

fn pruned(story: &mut Story, keep: u32) -> Vec<u32> {
    let decided = prune(&story.state, &story.profiles, keep, "uid 0");
    let judged = story.take(decided).expect("is pruned");
    let gone = judged.iter().filter(|j| j.why.is_empty());
    gone.map(|j| j.release.number).collect()
}

#[test]
fn the_last_ones_stay_and_the_rest_is_on_record_as_gone() {
    let mut story = Story::new();
    for name in ["one", "two", "three", "four"] {
        story.publish(name);
    }
    assert_eq!(
        judged(&story, 2),
        ["1: ", "2: ", "3: among the last 2", "4: the newest"]
    );
    assert_eq!(
        judged(&story, 0).last().map(String::as_str),
        Some("4: the newest")
    );
    assert_eq!(pruned(&mut story, 2), [1, 2]);
    assert_eq!(pruned(&mut story, 2), [] as [u32; 0], "once");
    let on_record: Vec<_> = story
        .state
        .releases
        .iter()
        .map(|r| r.pruned.is_some())
        .collect();
    assert_eq!(on_record, [true, true, false, false]);
    assert_eq!(
        story.publish("five").number,
        5,
        "numbers are not used again"
    );
    assert_eq!(
        story.publish("one").number,
        6,
        "what was pruned may come back"
    );
    assert_eq!(judged(&story, 1)[3], "6: the newest");
}

#[test]
fn what_a_machine_installs_or_runs_stays() {
    let mut story = Story::enrolled();
    let (_, ticket) = story.serve();
    story
        .claim(&ticket.expect("a ticket"), 1)
        .expect("is claimed");
    story.plan(1).expect("is planned");
    for name in ["two", "three"] {
        story.publish(name);
    }
    assert_eq!(
        judged(&story, 1),
        ["1: node1 installs it", "2: ", "3: the newest"]
    );

    let mut story = Story::enrolled();
    story.install(1);
    for name in ["two", "three"] {
        story.publish(name);
    }
    assert_eq!(
        judged(&story, 1),
        ["1: node1 runs it", "2: ", "3: the newest"]
    );
    story.booted(1, "b1").expect("is taken");
    assert_eq!(judged(&story, 1)[0], "1: node1 runs it");

    assert_eq!(pruned(&mut story, 1), [2]);
    let order = story.operate(|w, o| admin::reimage(w, o, "node1", Some(2)));
    let refusal = order.expect_err("is refused");
    assert_eq!(
        refusal.message,
        "release 2 of `worker` was pruned from the cache"
    );
    assert_eq!(
        refusal.facts,
        ["releases in the cache: 1, 3", "nothing was changed"]
    );
    assert_eq!(
        refusal.tips,
        [
            format!(
                "to have it again, run `pxe-admin publish worker --toplevel {}`",
                toplevel("two")
            ),
            "pxe-admin releases".to_owned()
        ]
    );
    story.publish("two");
    let order = story.operate(|w, o| admin::reimage(w, o, "node1", Some(2)));
    assert_eq!(
        order.expect_err("is refused").tips[0],
        "release 4 is the same system: pxe-admin reimage node1 --release 4"
    );
}

#[test]
fn what_is_ordered_stays_even_without_its_profile() {
    let mut story = Story::enrolled();
    for name in ["two", "three"] {
        story.publish(name);
    }
    story
        .operate(|state, operator| admin::reimage(state, operator, "node1", Some(2)))
        .expect("is armed");
    assert_eq!(judged(&story, 1)[1], "2: ordered for node1");
    story.profiles.by_name.clear();
    assert_eq!(judged(&story, 1)[1], "2: ordered for node1");
    story.publish("one");
    assert_eq!(
        judged(&story, 1)[0],
        "1: the same system as release 4",
        "the path stays, so its older number may"
    );
}

fn hash(n: u8) -> String {
    format!("{n:032}")
}

fn path(n: u8) -> StorePath {
    format!("/nix/store/{}-path", hash(n))
        .parse()
        .expect("a path")
}

#[test]
fn a_shared_nar_and_a_young_stranger_stay() {
    let entry = |nar: &str, references: &[u8], fresh| CacheEntry {
        nar: Some(nar.to_owned()),
        references: references.iter().map(|n| hash(*n)).collect(),
        fresh,
    };
    let contents = CacheContents {
        entries: BTreeMap::from([
            (hash(1), entry("kept", &[1, 2], false)),
            (hash(2), entry("shared", &[], false)),
            (hash(3), entry("gone", &[4, 2], true)),
            (hash(4), entry("shared", &[], false)),
            (hash(5), entry("young", &[6], true)),
            (hash(6), entry("needed by the young", &[], false)),
            (hash(7), CacheEntry::default()),
        ]),
        nars: [
            "kept",
            "shared",
            "gone",
            "young",
            "needed by the young",
            "orphan",
        ]
        .into_iter()
        .map(|nar| (nar.to_owned(), nar == "gone"))
        .chain([("just uploaded".to_owned(), true)])
        .collect(),
    };
    let want = Sweep {
        narinfos: vec![hash(7), hash(3), hash(4)],
        nars: vec!["gone".to_owned(), "orphan".to_owned()],
        spared: 1,
    };
    assert_eq!(sweep(&contents, &[path(1)], &[path(3)]), want);
    for (name, n, want) in [("whole", 1, 0), ("torn", 7, 1), ("absent", 8, 1)] {
        assert_eq!(missing(&contents, &path(n)), want, "{name}");
    }
    let mut without = contents;
    without.nars.remove("shared");
    without.entries.remove(&hash(2));
    assert_eq!(
        missing(&without, &path(3)),
        2,
        "a NAR of one, the narinfo of another"
    );
}

fn contents() -> impl Strategy<Value = CacheContents> {
    let nar = prop_oneof![9 => (0..20u8).prop_map(Some), 1 => Just(None)];
    let entry = (
        nar,
        prop::collection::vec(0..30u8, 0..4),
        prop::bool::weighted(0.1),
    );
    let entries = prop::collection::btree_map(0..30u8, entry, 0..30);
    let nars = prop::collection::btree_map(0..25u8, prop::bool::weighted(0.1), 0..25);
    (entries, nars).prop_map(|(entries, nars)| CacheContents {
        entries: entries
            .into_iter()
            .map(|(n, (nar, references, fresh))| {
                let entry = CacheEntry {
                    nar: nar.map(|n| n.to_string()),
                    references: references.into_iter().map(hash).collect(),
                    fresh,
                };
                (hash(n), entry)
            })
            .collect(),
        nars: nars
            .into_iter()
            .map(|(n, fresh)| (n.to_string(), fresh))
            .collect(),
    })
}

/// The closure by another way than the code's: rounds until no path is added.
fn closure(contents: &CacheContents, roots: &[StorePath]) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = roots.iter().map(|p| p.hash().to_owned()).collect();
    loop {
        let before = all.len();
        let next = all
            .iter()
            .filter_map(|h| contents.entries.get(h))
            .flat_map(|e| e.references.clone());
        all.extend(next.collect::<Vec<_>>());
        if all.len() == before {
            return all;
        }
    }
}

proptest! {
    /// Whatever is in the cache: no path of a kept closure goes, nor its NAR; what goes is all that nobody needs.
    #[test]
    fn nothing_goes_that_a_kept_release_reaches(
        contents in contents(),
        kept in prop::collection::vec((0..30u8).prop_map(path), 0..3),
        pruned in prop::collection::vec((0..30u8).prop_map(path), 0..3),
    ) {
        let swept = sweep(&contents, &kept, &pruned);
        let needed = closure(&contents, &kept);
        let gone: BTreeSet<&String> = swept.narinfos.iter().collect();
        prop_assert_eq!(gone.len(), swept.narinfos.len(), "each once");
        prop_assert!(gone.iter().all(|hash| !needed.contains(*hash)));
        let left: BTreeMap<_, _> = contents.entries.iter().filter(|(hash, _)| !gone.contains(hash)).collect();
        for nar in left.values().filter_map(|e| e.nar.as_ref()) {
            prop_assert!(!swept.nars.contains(nar), "{} stays whole", nar);
        }
        // Whatever stays can still be copied as a whole, as far as it could be before.
        for reference in left.values().flat_map(|e| &e.references) {
            prop_assert!(!gone.contains(reference));
        }
        // And every path that stays has a reason.
        let young: Vec<StorePath> = contents.entries.iter().filter(|(_, e)| e.fresh)
            .map(|(h, _)| format!("/nix/store/{h}-path").parse().expect("a path")).collect();
        let excused = closure(&contents, &young);
        prop_assert!(left.keys().all(|hash| needed.contains(*hash) || excused.contains(*hash)));
        for (nar, fresh) in contents.nars.iter().filter(|(nar, _)| !swept.nars.contains(nar)) {
            prop_assert!(*fresh || left.values().any(|e| e.nar.as_ref() == Some(nar)), "{} stays", nar);
        }
        // Cut off anywhere, no path is left there whose own are gone, but for those that need each other.
        for (place, hash) in swept.narinfos.iter().enumerate() {
            let circle = closure(&contents, &[format!("/nix/store/{hash}-path").parse().expect("a path")]);
            for later in &swept.narinfos[place + 1..] {
                prop_assert!(circle.contains(later) || !contents.entries[later].references.contains(hash));
            }
        }
    }

    /// Whatever was published and is run: the newest of each system, and what a machine runs, is not pruned.
    #[test]
    fn pruning_again_and_again_leaves_what_is_needed(
        steps in prop::collection::vec((0..6u8, 0..4u32), 1..40),
    ) {
        let mut story = Story::enrolled();
        story.install(1);
        for (what, keep) in steps {
            if what < 5 {
                story.publish(["one", "two", "three", "four", "five"][usize::from(what)]);
            } else {
                pruned(&mut story, keep);
            }
            let there: Vec<_> = story.state.releases.iter().filter(|r| r.pruned.is_none()).collect();
            let newest = story.state.releases.last();
            prop_assert_eq!(there.last().copied(), newest);
            prop_assert!(there.iter().any(|r| r.toplevel == toplevel("one")), "node1 runs it");
            let numbers: BTreeSet<_> = story.state.releases.iter().map(|r| r.number).collect();
            prop_assert_eq!(numbers.len(), story.state.releases.len(), "no number twice");
        }
    }
}

#[test]
fn a_machine_without_a_release_of_its_own_gets_the_newest_after_all() {
    let mut story = Story::new();
    for name in ["one", "two"] {
        story.publish(name);
    }
    assert_eq!(pruned(&mut story, 1), [1]);
    let request = EnrollRequest {
        mac: mac(0x56),
        profile: Some("worker".parse().expect("a name")),
        name: Some("node1".parse().expect("a name")),
    };
    story.enroll(&request).expect("is enrolled");
    let (_, ticket) = story.serve();
    story
        .claim(&ticket.expect("a ticket"), 1)
        .expect("is claimed");
    assert_eq!(story.plan(1).expect("is planned").release.number, 2);
}
