//! A publication that breaks off: what it left is taken over if it is whole, and the service may be killed at any time.

use netboot::base::store_path::StorePath;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use super::*;
use crate::testing::cuts::{long, start_child, within};

const CHILD: &str = "NETBOOT_CACHE_CHILD";

/// Starts a process that publishes one system after the other into the cache of this `state-dir`, in a process group of
/// its own, with the Nix that it starts.
pub(super) fn start(state_dir: &Path, toplevels: &[&StorePath]) -> Child {
    let toplevels: Vec<&str> = toplevels.iter().map(|path| path.as_str()).collect();
    let order = format!("{} {}", state_dir.display(), toplevels.join(" "));
    start_child("cache::tests::interrupted::child", (CHILD, &order))
}

/// The child: not a test by itself.
#[tokio::test]
async fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let mut words = order.split(' ');
    let kept = Kept::at(Path::new(words.next().expect("a folder")));
    for toplevel in words {
        kept.publish(&toplevel.parse().expect("a store path")).await;
    }
}

#[tokio::test]
async fn what_is_whole_of_an_earlier_publication_is_taken_over_and_the_rest_is_not() {
    let toplevel = match system_of("left", &["left-a", "left-b", "left-c", "left-d"]) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let kept = Kept::new();
    // As if the power went in a former publication, before anything was moved.
    let left = kept.dir.join("incoming/0123456789abcdef");
    let to = format!(
        "file://{}?secret-key={}&compression=zstd",
        left.display(),
        kept.cache.secret_key_file.display()
    );
    let copied = nix("nix")
        .args(["copy", "--to", &to, toplevel.as_str()])
        .output();
    assert!(copied.expect("runs").status.success());
    let mut nars: Vec<(PathBuf, std::fs::Metadata)> = std::fs::read_dir(left.join("nar"))
        .expect("lists")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.path(), entry.metadata().expect("is there")))
        .filter(|(_, about)| about.len() > 100_000)
        .collect();
    nars.sort_by(|one, other| one.0.cmp(&other.0));
    let [empty, cut, zeros, whole] = nars.try_into().expect("four of them");
    std::fs::write(&empty.0, "").expect("empties");
    let text = std::fs::read(&cut.0).expect("reads");
    std::fs::write(&cut.0, &text[..text.len() / 2]).expect("cuts");
    std::fs::write(
        &zeros.0,
        vec![0; usize::try_from(zeros.1.len()).expect("small")],
    )
    .expect("zeroes");
    std::fs::write(left.join("nar/x.nar.zst.tmp.1.0"), "half").expect("writes");

    kept.publish(&toplevel).await;
    kept.assert_whole("published over it", &toplevel);
    let name = whole.0.file_name().expect("a name");
    let taken = std::fs::metadata(kept.dir.join("nar").join(name)).expect("is there");
    assert_eq!(taken.ino(), whole.1.ino(), "taken over, not copied again");
    assert_eq!(kept.files("nar").len(), 5);
    assert!(!left.exists());
}

/// The service dies alone: its Nix goes on, and the service that is started next publishes beside it.
#[tokio::test]
async fn a_service_that_is_killed_while_it_publishes_leaves_a_cache_that_the_next_one_completes() {
    let shared = ["killed-0", "killed-1", "killed-2"];
    let systems = system_of("killed-old", &shared).and_then(|old| {
        Ok((
            old,
            system_of(
                "killed-new",
                &[&shared[..], &["killed-3", "killed-4"]].concat(),
            )?,
        ))
    });
    let (old, new) = match systems {
        Ok(systems) => systems,
        Err(why) => return skipped(&why),
    };
    // The first one is slower than those to come.
    let mut took = Duration::ZERO;
    for _ in 0..3 {
        let folder = tempfile::tempdir().expect("a folder");
        Kept::at(folder.path()).publish(&old).await;
        let began = Instant::now();
        let mut child = start(folder.path(), &[&new]);
        assert!(child.wait().expect("ends").success());
        took = began.elapsed();
    }
    let kills = if long() { 60 } else { 4 };
    let (mut visible, mut left) = (0, 0);
    for kill in 0..kills {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::at(folder.path());
        kept.publish(&old).await;
        let mut child = start(folder.path(), &[&new]);
        tokio::time::sleep(within(took)).await;
        child.kill().expect("is killed");
        child.wait().expect("ended");
        kept.assert_whole(&format!("kill {kill}: the old release"), &old);
        visible += usize::from(kept.verified(&new).is_ok());
        left += incoming::folders(&kept.dir).expect("lists").len();
        kept.publish(&new).await;
        kept.assert_whole(&format!("kill {kill}: the new release"), &new);
        kept.assert_whole(&format!("kill {kill}: the old release, after"), &old);
    }
    eprintln!("{kills} kills: {visible} came after the end, {left} left something behind");
}
