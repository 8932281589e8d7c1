//! A power cut in the middle of a publication: what has reached the block device then is all there is.

use super::interrupted::start;
use super::*;
use crate::cache::folder::CacheFolder;
use crate::testing::cuts::{Mounted, blank, long, power_cut, uncut};
use std::path::Path;

#[tokio::test]
async fn a_power_cut_while_publishing_leaves_the_old_release_whole_and_the_next_publication_completes_the_new_one()
 {
    let shared = ["power-0", "power-1"];
    let own = ["power-2", "power-3", "power-4", "power-5"];
    let systems = system_of("power-old", &shared)
        .and_then(|old| Ok((old, system_of("power-new", &[&shared[..], &own].concat())?)));
    let (old, new) = match systems {
        Ok(systems) => systems,
        Err(why) => return skipped(&why),
    };
    let dir = tempfile::tempdir().expect("a folder");
    let first = match blank(dir.path(), 128 << 20) {
        Ok(first) => first,
        Err(why) => return skipped(&why),
    };
    let cut = dir.path().join("cut");
    let mounted = Mounted::new(&first).expect("mounts");
    Kept::at(&mounted.state_dir()).publish(&old).await;
    drop(mounted);
    let work = |mounted: &Mounted| start(&mounted.state_dir(), &[&new]);
    // The first time takes longer.
    uncut(&first, work);
    let took = uncut(&first, work);

    let cuts = if long() { 100 } else { 3 };
    let (mut torn, mut done) = (0, 0);
    for n in 0..cuts {
        power_cut(&first, &cut, took, work).await;

        let after = Mounted::new(&cut).expect("the file system heals itself");
        let kept = Kept::at(&after.state_dir());
        kept.assert_whole(&format!("cut {n}: the old release"), &old);
        for narinfo in kept
            .files(".")
            .iter()
            .filter_map(|name| name.strip_suffix(".narinfo"))
        {
            let text = std::fs::read_to_string(kept.dir.join(format!("{narinfo}.narinfo")));
            let text = text.expect("reads");
            let path = text.lines().find_map(|l| l.strip_prefix("StorePath: "));
            let path = path.unwrap_or_else(|| panic!("cut {n}: {narinfo} is torn: {text:?}"));
            let info = CacheFolder(&kept.dir).whole(&path.parse().expect("a path"), &kept.key);
            let info = info.unwrap_or_else(|fault| panic!("cut {n}: {path}: {fault}"));
            assert!(
                CacheFolder(&kept.dir).has_true_nar(&info),
                "cut {n}: {path}: its NAR"
            );
        }
        done += usize::from(kept.verified(&new).is_ok());
        torn += incoming::folders(&kept.dir)
            .expect("lists")
            .iter()
            .map(|f| empty(f))
            .sum::<usize>();
        kept.publish(&new).await;
        kept.assert_whole(&format!("cut {n}: the new release"), &new);
        kept.assert_whole(&format!("cut {n}: the old release, after"), &old);
        let swept = kept
            .cache
            .turn()
            .await
            .sweep(vec![old.clone(), new.clone()], vec![], false)
            .await;
        assert_eq!(
            swept.expect("sweeps"),
            SweepResult::default(),
            "cut {n}: nothing is left over"
        );
    }
    eprintln!(
        "{cuts} cuts: {done} came after the end; {torn} files were empty under their final names"
    );
}

/// Files that are there by name alone.
fn empty(folder: &Path) -> usize {
    let folders = [folder.to_owned(), folder.join("nar")];
    let files = folders
        .iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flatten()
        .flatten();
    let about = files.filter_map(|file| file.metadata().ok());
    about
        .filter(|about| about.is_file() && about.len() == 0)
        .count()
}
