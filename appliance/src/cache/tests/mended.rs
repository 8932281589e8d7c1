//! What earlier versions, power cuts and bad disks left torn is whole after the next publication.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::*;

fn truncate(file: &Path, keep: u64) {
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(file)
        .expect("opens");
    file.set_len(keep).expect("cuts");
}

#[tokio::test]
async fn a_torn_entry_is_copied_anew_and_an_intact_one_is_not_touched() {
    let toplevel = match system_of("mended", &["mended-a", "mended-b"]) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let kept = Kept::new();
    kept.publish(&toplevel).await;
    kept.assert_whole("published", &toplevel);
    let narinfo = kept.dir.join(format!("{}.narinfo", toplevel.hash()));
    let good = std::fs::read_to_string(&narinfo).expect("reads");
    let url = good
        .lines()
        .find_map(|l| l.strip_prefix("URL: "))
        .expect("a URL");
    let nar = kept.dir.join(url);
    let inodes = || -> Vec<(String, u64)> {
        let names = kept.files("nar").into_iter();
        let about =
            |name: &str| std::fs::metadata(kept.dir.join("nar").join(name)).expect("is there");
        names
            .map(|name| (name.clone(), about(&name).ino()))
            .collect()
    };
    type Break<'a> = Box<dyn Fn() + 'a>;
    let breaks: [(&str, Break<'_>); 8] = [
        ("an empty narinfo", Box::new(|| truncate(&narinfo, 0))),
        ("a cut narinfo", Box::new(|| truncate(&narinfo, 200))),
        (
            "a narinfo without its end",
            Box::new(|| truncate(&narinfo, good.len() as u64 - 1)),
        ),
        (
            "no narinfo",
            Box::new(|| std::fs::remove_file(&narinfo).expect("removes")),
        ),
        ("an empty NAR", Box::new(|| truncate(&nar, 0))),
        ("a cut NAR", Box::new(|| truncate(&nar, 100))),
        (
            "no NAR",
            Box::new(|| std::fs::remove_file(&nar).expect("removes")),
        ),
        (
            "the signature of a key that was replaced",
            Box::new(|| {
                let forged = good.replace("Sig: ", "Sig: old-");
                std::fs::write(&narinfo, forged).expect("writes");
            }),
        ),
    ];
    for (name, break_it) in breaks {
        break_it();
        assert!(kept.verified(&toplevel).is_err(), "{name}: Nix notices");
        let before = inodes();
        kept.publish(&toplevel).await;
        kept.assert_whole(name, &toplevel);
        let own = |(name, _): &(String, u64)| url.ends_with(name.as_str());
        let others =
            |all: Vec<(String, u64)>| all.into_iter().filter(|nar| !own(nar)).collect::<Vec<_>>();
        assert_eq!(
            others(inodes()),
            others(before),
            "{name}: the others are as they were"
        );
        assert_eq!(kept.files("incoming"), [] as [&str; 0]);
        assert_eq!(
            incoming::folders(&kept.dir).expect("lists").len(),
            0,
            "{name}: nothing is left"
        );
    }
}

#[tokio::test]
async fn releases_share_what_they_have_in_common() {
    let shared = ["shared-0", "shared-1", "shared-2", "shared-3"];
    let all = |own| [&shared[..], &[own]].concat();
    let systems = system_of("dedup-1", &all("own-1"))
        .and_then(|one| Ok((one, system_of("dedup-2", &all("own-2"))?)));
    let (one, two) = match systems {
        Ok(systems) => systems,
        Err(why) => return skipped(&why),
    };
    let kept = Kept::new();
    let first = kept.publish(&one).await;
    let before: Vec<(String, std::fs::Metadata)> = kept
        .files("nar")
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                std::fs::metadata(kept.dir.join("nar").join(name)).expect("is there"),
            )
        })
        .collect();
    assert_eq!(before.len(), 6);
    let second = kept.publish(&two).await;
    assert!(first.closure_size > 9 << 20, "{first:?}");
    assert!(
        second.closure_size.abs_diff(first.closure_size) < 4096,
        "{second:?}"
    );
    assert_eq!(
        kept.files("nar").len(),
        8,
        "its own path and its toplevel are all that is new"
    );
    for (name, about) in before {
        let now = std::fs::metadata(kept.dir.join("nar").join(&name)).expect("is there");
        assert_eq!(
            (now.ino(), now.mtime_nsec()),
            (about.ino(), about.mtime_nsec()),
            "{name}"
        );
    }
    kept.assert_whole("the first", &one);
    kept.assert_whole("the second", &two);
    assert_eq!(kept.publish(&one).await, first, "the same again");
}
