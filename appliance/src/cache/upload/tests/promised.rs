//! Paths that an uploader was told are here are not deleted before it makes a release of them.

use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use super::*;

/// How old a file must be for a prune to take it although it is in no release, and then some.
const OLD: Duration = Duration::from_secs(2 * 60 * 60);

fn age(file: &std::path::Path) {
    let opened = std::fs::File::options().write(true).open(file);
    let old = SystemTime::now() - OLD;
    opened.expect("is there").set_modified(old).expect("ages");
}

impl Bench {
    fn age(&self, parcel: &Parcel) {
        let narinfo = format!("{}.narinfo", parcel.info.path.hash());
        for name in [narinfo, parcel.info.file.to_string()] {
            age(&self.cache.dir.join(name));
        }
    }

    /// A prune that takes this release, and keeps none.
    async fn prune(&self, gone: &[&Parcel]) -> u64 {
        let gone = gone.iter().map(|parcel| parcel.info.path.clone()).collect();
        let turn = self.cache.turn().await;
        turn.sweep(vec![], gone, false).await.expect("sweeps").paths
    }
}

#[tokio::test]
async fn what_an_uploader_was_told_is_there_outlives_a_prune() {
    let kernel = archive("nix-archive-1 ( type regular contents kernel )");
    let dependency = parcel(DEPENDENCY, &[], &kernel, Compression::Plain);
    let system = parcel(PATH, &[DEPENDENCY], &archive(SYSTEM), Compression::Plain);
    for (how, paths) in [
        ("nobody asks", 0),
        ("it asks for the path", 2),
        ("it sends it again", 2),
        ("it asks for what the path needs", 1),
    ] {
        let bench = Bench::new();
        for parcel in [&dependency, &system] {
            assert!(bench.put(parcel).await.expect("whole"));
            bench.age(parcel);
        }
        // Another appliance, without pinned paths.
        let cache = Cache::open(
            bench.folder.path(),
            bench.keys.cache_secret_file(),
            DiskBudget::default(),
        );
        let cache = cache.expect("opens");
        let bench = Bench {
            uploads: Uploads::open(cache.clone()).expect("opens"),
            cache,
            ..bench
        };
        match how {
            "it asks for the path" => assert!(bench.has(PATH).await),
            "it sends it again" => assert!(!bench.admit(&system.info).await.expect("there")),
            "it asks for what the path needs" => assert!(bench.has(DEPENDENCY).await),
            _ => {}
        }
        assert_eq!(bench.prune(&[&system]).await, 2 - paths, "{how}");
        let there = [bench.has(DEPENDENCY).await, bench.has(PATH).await];
        assert_eq!(there, [paths > 0, paths > 1], "{how}");
    }
}

#[tokio::test]
async fn a_nar_that_an_uploader_need_not_send_outlives_a_prune() {
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Plain);
    for asked in [false, true] {
        let bench = Bench::new();
        bench
            .send(parcel.info.file, &parcel.file)
            .await
            .expect("whole");
        let nar = bench.cache.dir.join(parcel.info.file.to_string());
        age(&nar);
        if asked {
            assert!(bench.uploads.has_nar(parcel.info.file).await);
        }
        bench.prune(&[]).await;
        assert_eq!(nar.exists(), asked);
        assert_eq!(bench.admit(&parcel.info).await.is_ok(), asked);
    }
}

/// The answer is that of after the prune, not of the instant before a file goes.
#[tokio::test]
async fn nobody_is_told_that_a_path_is_there_while_a_prune_is_deleting() {
    let bench = Bench::new();
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Plain);
    assert!(bench.put(&parcel).await.expect("whole"));
    let narinfo = format!("{}.narinfo", parcel.info.path.hash());
    let (cache, narinfo) = (bench.cache.clone(), bench.cache.dir.join(narinfo));
    let (go, gone) = mpsc::channel();
    let (begun, begins) = mpsc::channel();
    // As a prune does.
    let deleting = std::thread::spawn(move || {
        let _deleting = cache.pinned.in_force();
        begun.send(()).expect("somebody waits");
        gone.recv().expect("is told");
        std::fs::remove_file(narinfo).expect("goes");
    });
    begins.recv().expect("it deletes");
    let mut asking = Box::pin(bench.has(PATH));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asking);
    assert!(early.await.is_err(), "it waits for the prune");
    go.send(()).expect("it waits");
    assert!(!asking.await, "it has to be sent again");
    deleting.join().expect("no panic");
}
