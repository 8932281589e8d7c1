//! A power cut while what Nix has copied moves from its folder to its place.

use crate::cache::folder::CacheFolder;
use netboot::base::store_path::StorePath;
use netboot::publish::narinfo::{Compression, NarFile, NarInfo};
use netboot::publish::nix_hash::NixHash;
use sha2::{Digest, Sha256};
use std::path::Path;

use super::*;
use crate::cache::incoming::Incoming;
use crate::testing::cuts::{Mounted, blank, long, power_cut, start_to_work, uncut};

const CHILD: &str = "NETBOOT_MOVING_CHILD";

/// So many paths that moving them is most of what the child does.
const PATHS: u32 = 60;

/// A path as Nix leaves it in a folder. Each needs the one before it.
struct Parcel {
    info: NarInfo,
    nar: Vec<u8>,
}

fn parcels(keys: &Keys, from: u32, to: u32) -> Vec<Parcel> {
    let path = |number: u32| -> StorePath {
        let path = format!("/nix/store/{number:032}-part");
        path.parse().expect("a store path")
    };
    let parcel = |number: u32| {
        let nar = Sha256::digest(number.to_be_bytes()).repeat(1024);
        let (hash, size) = (NixHash(Sha256::digest(&nar).into()), nar.len() as u64);
        let mut info = NarInfo {
            path: path(number),
            file: NarFile {
                hash,
                packed: Compression::Plain,
            },
            file_size: size,
            nar_hash: hash,
            nar_size: size,
            references: (number > from)
                .then(|| path(number - 1))
                .into_iter()
                .collect(),
            deriver: None,
            ca: None,
            signatures: Vec::new(),
        };
        info.sign(keys.sign(&info.fingerprint()));
        Parcel { info, nar }
    };
    (from..to).map(parcel).collect()
}

fn keys(state_dir: &Path) -> Keys {
    Keys::open(state_dir, &K3sConfig::default()).expect("keys")
}

/// All that a publication does once Nix has ended; `begun` is called when files begin to move.
fn moves(state_dir: &Path, parcels: &[Parcel], begun: impl FnOnce()) {
    let kept = Kept::at(state_dir);
    let paths: Vec<StorePath> = parcels.iter().map(|p| p.info.path.clone()).collect();
    let incoming = Incoming::open(&kept.dir, &[], &paths, &kept.key).expect("opens");
    for Parcel { info, nar } in parcels.iter().filter(|p| !incoming.has(&p.info.path)) {
        let narinfo = format!("{}.narinfo", info.path.hash());
        std::fs::write(incoming.dir().join(info.file.to_string()), nar).expect("writes");
        std::fs::write(incoming.dir().join(narinfo), info.to_string()).expect("writes");
    }
    begun();
    let moved = incoming.promote(&kept.dir, &paths, &kept.key);
    moved.unwrap_or_else(|error| panic!("{error:#}"));
}

/// The child: not a test by itself.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (state_dir, marker) = order.split_once(' ').expect("a folder and a marker");
    let state_dir = Path::new(state_dir);
    let begun = || std::fs::write(marker, "").expect("writes");
    moves(
        state_dir,
        &parcels(&keys(state_dir), PATHS, 2 * PATHS),
        begun,
    );
}

/// What is there by name is there to the last octet, with all that it needs. How many paths that is.
#[track_caller]
fn visible(kept: &Kept, what: &str) -> usize {
    let folder = CacheFolder(&kept.dir);
    let names = kept.files(".");
    let hashes = names
        .iter()
        .filter_map(|name| name.strip_suffix(".narinfo"));
    let mut count = 0;
    for hash in hashes {
        let path = format!("/nix/store/{hash}-part").parse().expect("a path");
        let info = folder.whole(&path, &kept.key);
        let info = info.unwrap_or_else(|fault| panic!("{what}: {path}: {fault}"));
        assert!(folder.has_true_nar(&info), "{what}: {path}: its NAR");
        for needed in &info.references {
            let fault = folder.fault(needed, &kept.key);
            assert_eq!(fault, None, "{what}: {path} needs {needed}");
        }
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_power_cut_while_files_move_into_the_cache_leaves_no_path_that_is_not_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = match blank(dir.path(), 96 << 20) {
        Ok(first) => first,
        Err(why) => return skipped(&why),
    };
    let [cut, marker] = ["cut", "marker"].map(|name| dir.path().join(name));
    let mounted = Mounted::new(&first).expect("mounts");
    let state_dir = mounted.state_dir();
    moves(&state_dir, &parcels(&keys(&state_dir), 0, PATHS), || ());
    drop(mounted);
    let start =
        |mounted: &Mounted| start_to_work("cache::tests::moving::child", CHILD, mounted, &marker);
    let took = uncut(&first, start);

    let cuts = if long() { 300 } else { 3 };
    let (mut before, mut within_it, mut after) = (0, 0, 0);
    for n in 0..cuts {
        power_cut(&first, &cut, took, &start).await;

        let healed = Mounted::new(&cut).expect("the file system heals itself");
        let kept = Kept::at(&healed.state_dir());
        let there = visible(&kept, &format!("cut {n}"));
        let old = usize::try_from(PATHS).expect("small");
        match there.checked_sub(old) {
            Some(0) => before += 1,
            Some(new) if new == old => after += 1,
            Some(_) => within_it += 1,
            None => panic!("cut {n}: {there} paths are left of the {old} from before"),
        }
        moves(
            &healed.state_dir(),
            &parcels(&keys(&healed.state_dir()), PATHS, 2 * PATHS),
            || (),
        );
        assert_eq!(visible(&kept, &format!("cut {n}, again")), 2 * old);
        let left = incoming::folders(&kept.dir).expect("lists");
        assert!(left.is_empty(), "cut {n}: {left:?}");
    }
    eprintln!(
        "{cuts} cuts in {took:?}: {before} before the first path, {within_it} between, {after} after the last"
    );
}
