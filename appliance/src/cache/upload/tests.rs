//! What is admitted, what is refused, and that no incomplete file is ever visible.

use std::io::Write;
use std::process::{Command, Stdio};

use netboot::publish::closure::ClosurePath;
use netboot::publish::narinfo::Compression;
use netboot::publish::space_reservation::Items;
use tempfile::TempDir;

use super::*;
use crate::config::K3sConfig;
use crate::files::budget::DiskBudget;
use crate::keys::Keys;
use crate::testing::archive;
use sha2::{Digest, Sha256};

const PATH: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker-25.05";
const DEPENDENCY: &str = "/nix/store/11111111111111111111111111111111-kernel";
const SYSTEM: &str = "nix-archive-1 ( type directory \
    entry ( name bin node ( type directory \
        entry ( name switch-to-configuration node ( type regular executable ~ contents #! ) ) ) ) \
    entry ( name init node ( type regular executable ~ contents #! ) ) \
    entry ( name kernel node ( type symlink target /nix/store/kernel ) ) \
    entry ( name netboot node ( type directory \
        entry ( name format node ( type symlink target /nix/store/22222222222222222222222222222222-disko-format-mount ) ) ) ) \
    entry ( name nixos-version node ( type regular contents 25.05.1 ) ) )";

mod promised;

struct Bench {
    folder: TempDir,
    keys: Arc<Keys>,
    cache: Cache,
    uploads: Uploads,
}

/// A path with its NAR, as a workstation has it.
#[derive(Clone)]
struct Parcel {
    info: NarInfo,
    file: Vec<u8>,
}

fn hash(octets: &[u8]) -> NixHash {
    NixHash(Sha256::digest(octets).into())
}

fn size(octets: &[u8]) -> u64 {
    octets.len() as u64
}

fn parcel(path: &str, references: &[&str], nar: &[u8], packed: Compression) -> Parcel {
    let file = pack(nar, packed);
    Parcel {
        info: NarInfo {
            path: path.parse().expect("a store path"),
            file: NarFile {
                hash: hash(&file),
                packed,
            },
            file_size: size(&file),
            nar_hash: hash(nar),
            nar_size: size(nar),
            references: references
                .iter()
                .map(|path| path.parse().expect("a store path"))
                .collect(),
            deriver: None,
            ca: None,
            signatures: vec!["workstation-1:AAAA".to_owned()],
        },
        file,
    }
}

/// By the programs that everybody has, so that what is unpacked is not what we packed.
fn pack(nar: &[u8], packed: Compression) -> Vec<u8> {
    let program = match packed {
        Compression::Plain => return nar.to_owned(),
        Compression::Zstd => "zstd",
        Compression::Xz => "xz",
    };
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{program}` (integration/setup installs it): {error}"));
    let mut stdin = child.stdin.take().expect("piped");
    let nar = nar.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(&nar));
    let output = child.wait_with_output().expect("ends");
    writing.join().expect("no panic").expect("writes");
    assert!(output.status.success());
    output.stdout
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::open(folder.path(), &K3sConfig::default()).expect("keys");
        let cache = Cache::open(
            folder.path(),
            keys.cache_secret_file(),
            DiskBudget::default(),
        )
        .expect("opens");
        Self {
            uploads: Uploads::open(cache.clone()).expect("opens"),
            folder,
            keys: Arc::new(keys),
            cache,
        }
    }

    async fn send(&self, name: NarFile, file: &[u8]) -> Result<(), Refusal> {
        let mut receiving = self.uploads.receive(name, Some(size(file)), None).await?;
        for octets in file.chunks(1000) {
            receiving.take(octets).await?;
        }
        receiving.finish().await
    }

    async fn admit(&self, info: &NarInfo) -> Result<bool, Refusal> {
        let (keys, public) = (self.keys.clone(), self.keys.cache_public().to_owned());
        let sign = move |text: &str| keys.sign(text);
        self.uploads.admit(info.clone(), None, public, sign).await
    }

    async fn put(&self, parcel: &Parcel) -> Result<bool, Refusal> {
        self.send(parcel.info.file, &parcel.file).await?;
        self.admit(&parcel.info).await
    }

    async fn has(&self, path: &str) -> bool {
        let path: StorePath = path.parse().expect("a store path");
        let public = self.keys.cache_public();
        self.uploads.has(path.hash(), public).await
    }

    /// The files below the cache's folder, sorted.
    fn files(&self) -> Vec<String> {
        let root = self.folder.path().join("cache");
        let mut files = Vec::new();
        for below in ["", "nar", NAME] {
            for entry in std::fs::read_dir(root.join(below)).expect("reads") {
                let entry = entry.expect("reads");
                if entry.file_type().expect("reads").is_file() {
                    let name = entry.file_name().into_string().expect("UTF-8");
                    files.push(format!("{below}/{name}"));
                }
            }
        }
        files.sort();
        files
    }
}

#[tokio::test]
async fn a_system_comes_in_however_it_is_packed_and_goes_out_with_our_signature() {
    for packed in [Compression::Plain, Compression::Zstd, Compression::Xz] {
        let bench = Bench::new();
        let kernel = archive("nix-archive-1 ( type regular contents kernel )");
        let dependency = parcel(DEPENDENCY, &[DEPENDENCY], &kernel, packed);
        let system = parcel(PATH, &[DEPENDENCY], &archive(SYSTEM), packed);
        let done = |admitted: Result<bool, Refusal>| {
            admitted.unwrap_or_else(|r| panic!("{packed:?}: {r} {:?}", r.facts))
        };
        assert!(done(bench.put(&dependency).await), "it refers to itself");
        assert!(!bench.has(PATH).await);
        assert!(done(bench.put(&system).await));
        assert!(bench.has(PATH).await && bench.has(DEPENDENCY).await);
        assert!(!done(bench.put(&system).await), "it was there already");

        let file = bench
            .cache
            .file(&format!("{}.narinfo", system.info.path.hash()));
        let text = std::fs::read_to_string(file.expect("is there")).expect("reads");
        let info: NarInfo = text.parse().expect("a narinfo");
        let signers: Vec<&str> = info
            .signatures
            .iter()
            .filter_map(|s| Some(s.split_once(':')?.0))
            .collect();
        let ours = bench.keys.cache_public().split_once(':').expect("a key").0;
        assert_eq!(signers, ["workstation-1", ours]);

        let held = bench
            .cache
            .held(&system.info.path, bench.keys.cache_public());
        let measured = held
            .await
            .expect("is a system")
            .expect("came over the network");
        assert_eq!(measured.system.label, "25.05.1");
        let script = measured.system.script.as_ref().expect("carries one");
        assert_eq!(script.name(), "disko-format-mount");
        let sizes = system.info.nar_size + dependency.info.nar_size;
        assert_eq!(measured.closure_size, sizes);
    }
}

#[tokio::test]
async fn what_is_not_so_is_refused_and_leaves_nothing() {
    let nar = archive(SYSTEM);
    let good = parcel(PATH, &[], &nar, Compression::Zstd);
    let changed = |change: &dyn Fn(&mut Parcel)| {
        let mut parcel = good.clone();
        change(&mut parcel);
        parcel
    };
    let renamed = |file: Vec<u8>| {
        changed(&|parcel| {
            parcel.info.file.hash = hash(&file);
            parcel.info.file_size = size(&file);
            parcel.file.clone_from(&file);
        })
    };
    let cut = renamed(good.file[..good.file.len() - 9].to_owned());
    let longer = renamed([&good.file[..], b"garbage"].concat());
    let no_zstd = renamed(nar.clone());
    let zeros = pack(&vec![0; 64 << 20], Compression::Zstd);
    for (name, parcel, want) in [
        (
            "another NarHash",
            changed(&|p| p.info.nar_hash = hash(b"x")),
            "NarHash: it says",
        ),
        (
            "a NarSize too small",
            changed(&|p| p.info.nar_size -= 1),
            "it is more",
        ),
        (
            "a NarSize too large",
            changed(&|p| p.info.nar_size += 1),
            "NarSize: it says",
        ),
        (
            "another FileSize",
            changed(&|p| p.info.file_size += 1),
            "FileSize: it says",
        ),
        (
            "a path that is not here",
            changed(&|p| p.info.references = vec![DEPENDENCY.parse().expect("a path")]),
            DEPENDENCY,
        ),
        ("cut short", cut, "cannot be unpacked"),
        ("more behind it", longer, "cannot be unpacked"),
        (
            "packed otherwise than it says",
            no_zstd,
            "cannot be unpacked",
        ),
        (
            "a few bytes that unpack to very many",
            renamed(zeros),
            "it is more",
        ),
    ] {
        let bench = Bench::new();
        let refusal = bench.put(&parcel).await.expect_err(name);
        let said = format!("{refusal} {:?}", refusal.facts);
        assert!(said.contains(want), "{name}: {said}");
        assert_eq!(refusal.code, RefusalCode::PublishFailed, "{name}");
        assert!(!bench.has(PATH).await, "{name}");
        let nar = format!("nar/{}", parcel.info.file.to_string().replace("nar/", ""));
        assert_eq!(bench.files(), ["/nix-cache-info".to_owned(), nar], "{name}");
    }
}

#[tokio::test]
async fn a_nar_is_seen_when_it_is_whole_and_not_before() {
    let bench = Bench::new();
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Plain);
    let refusal = bench.admit(&parcel.info).await.expect_err("no NAR yet");
    assert!(refusal.message.contains("is not here"), "{refusal}");

    let name = parcel.info.file;
    let half = parcel.file.len() / 2;
    let mut receiving = bench
        .uploads
        .receive(name, None, None)
        .await
        .expect("space");
    receiving.take(&parcel.file[..half]).await.expect("takes");
    assert_eq!(bench.cache.file(&name.to_string()), None, "half of it");
    assert_eq!(bench.files().len(), 2);
    drop(receiving);
    assert_eq!(bench.files(), ["/nix-cache-info"], "the client left");

    let refusal = bench.send(name, &parcel.file[..half]).await;
    let refusal = refusal.expect_err("half of it");
    assert!(refusal.message.contains("not the file that its name says"));
    assert_eq!(bench.files(), ["/nix-cache-info"]);

    // An appliance that was killed had half of one.
    std::fs::write(bench.cache.dir.join(NAME).join("0123"), "half").expect("writes");
    let again = Uploads::open(bench.cache.clone()).expect("opens");
    assert_eq!(bench.files(), ["/nix-cache-info"]);
    drop(again);
    assert!(bench.put(&parcel).await.expect("whole"));
}

#[tokio::test]
async fn what_was_torn_is_mended_by_sending_it_again() {
    let bench = Bench::new();
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Zstd);
    assert!(bench.put(&parcel).await.expect("whole"));
    let narinfo = bench
        .cache
        .dir
        .join(format!("{}.narinfo", parcel.info.path.hash()));
    let nar = bench.cache.dir.join(parcel.info.file.to_string());

    std::fs::write(&narinfo, "").expect("writes");
    assert!(!bench.has(PATH).await, "an empty narinfo is none");
    assert!(bench.admit(&parcel.info).await.expect("mended"));

    std::fs::write(&narinfo, "").expect("writes");
    std::fs::write(&nar, &parcel.file[..10]).expect("writes");
    let refusal = bench.admit(&parcel.info).await.expect_err("a torn NAR");
    assert!(refusal.message.contains("was damaged here"), "{refusal}");
    assert!(!nar.exists(), "nobody can use it");
    assert!(bench.put(&parcel).await.expect("mended"));
    assert!(bench.has(PATH).await);
}

#[tokio::test]
async fn two_who_send_the_same_path_are_both_served() {
    let bench = Bench::new();
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Zstd);
    let (one, two) = tokio::join!(bench.put(&parcel), bench.put(&parcel));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert_eq!(bench.files().len(), 3, "{:?}", bench.files());
    assert!(bench.has(PATH).await);
}

#[tokio::test]
async fn more_than_the_disk_holds_is_refused_before_it_comes() {
    let bench = Bench::new();
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Plain);
    let receiving = bench
        .uploads
        .receive(parcel.info.file, Some(1 << 60), None)
        .await;
    let refusal = receiving.expect_err("no disk is that large");
    assert!(refusal.message.contains("too little space"), "{refusal}");
    assert!(refusal.tips[0].contains("free some space"), "{refusal:?}");
    assert_eq!(bench.files(), ["/nix-cache-info"]);
    // ENOSPC, in the middle of one.
    let full = cannot_write(&io::Error::from_raw_os_error(28));
    assert_eq!((full.code, full.message), (refusal.code, refusal.message));
}

#[tokio::test]
async fn what_is_in_the_cache_needs_no_more_space() {
    let bench = Bench::new();
    let free = durable::free_space(bench.folder.path()).expect("it has a size");
    let most = free.saturating_sub(netboot::publish::space_reservation::RESERVE) / 5 * 3;
    let parcel = parcel(PATH, &[], &archive(SYSTEM), Compression::Plain);
    let asks = async |id: u8, path: &str| {
        let member = ClosurePath {
            path: path.parse().expect("a path"),
            // Half of it is kept free for a path, which is packed.
            size: most.saturating_mul(2),
        };
        let public = bench.keys.cache_public().to_owned();
        let id = Some(UploadBatchId::new([id; 16]));
        let lacks = bench.cache.missing(vec![member], Items::new(), id, public);
        lacks.await.map(|missing| missing.paths)
    };
    assert_eq!(asks(1, PATH).await, Ok(1));
    let refusal = asks(2, DEPENDENCY).await.expect_err("the first needs it");
    assert!(refusal.facts[1].contains("promised"), "{refusal:?}");
    assert_eq!(asks(3, PATH).await, Ok(1), "the same path needs it once");
    // Whoever sends it.
    bench.put(&parcel).await.expect("whole");
    assert_eq!(asks(2, DEPENDENCY).await, Ok(1));
    assert_eq!(asks(1, PATH).await, Ok(0), "it has nothing left to send");
}

#[tokio::test]
async fn a_system_that_lacks_something_is_no_release() {
    let bench = Bench::new();
    let public = bench.keys.cache_public();
    let held = |path: &str| {
        let path: StorePath = path.parse().expect("a store path");
        let cache = bench.cache.clone();
        async move { cache.held(&path, public).await }
    };
    assert_eq!(held(PATH).await.expect("no fault"), None, "never heard of");

    let kernel = archive("nix-archive-1 ( type regular contents kernel )");
    let dependency = parcel(DEPENDENCY, &[], &kernel, Compression::Plain);
    bench.put(&dependency).await.expect("whole");
    let refusal = held(DEPENDENCY).await.expect_err("a file is no system");
    assert!(
        refusal.message.contains("is not a NixOS system"),
        "{refusal}"
    );

    let system = parcel(PATH, &[DEPENDENCY], &archive(SYSTEM), Compression::Plain);
    bench.put(&system).await.expect("whole");
    std::fs::remove_file(bench.cache.dir.join(dependency.info.file.to_string())).expect("goes");
    let refusal = held(PATH).await.expect_err("its kernel is gone");
    assert!(refusal.message.contains("not 1 of the paths"), "{refusal}");
    assert_eq!(refusal.facts[0], DEPENDENCY);
}
