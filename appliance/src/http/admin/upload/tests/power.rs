//! A power cut while a workstation sends a system: what has reached the block device then is all there is.

use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;

use netboot::base::store_path::StorePath;
use netboot::publish::narinfo::Compression;

use super::*;
use crate::run::components::Components;
use crate::testing::bench::{opened, uploads};
use crate::testing::cuts::{Mounted, blank, long, power_cut, start_to_work, uncut};

const CHILD: &str = "NETBOOT_UPLOADS_CHILD";

/// Paths of each system, besides its toplevel.
const PATHS: u32 = 24;

/// What a sender writes down once it has an answer, besides the files that it has sent.
const RELEASED: &str = "released";

struct Parcel {
    info: NarInfo,
    nar: Vec<u8>,
}

impl Parcel {
    fn new(path: StorePath, needs: Option<&StorePath>, nar: Vec<u8>) -> Self {
        let (hash, size) = (NixHash(Sha256::digest(&nar).into()), nar.len() as u64);
        let info = NarInfo {
            path,
            file: NarFile {
                hash,
                packed: Compression::Plain,
            },
            file_size: size,
            nar_hash: hash,
            nar_size: size,
            references: needs.into_iter().cloned().collect(),
            deriver: None,
            ca: None,
            signatures: Vec::new(),
        };
        Self { info, nar }
    }

    fn narinfo(&self) -> String {
        format!("/cache/{}.narinfo", self.info.path.hash())
    }

    fn nar(&self) -> String {
        format!("/cache/{}", self.info.file)
    }
}

/// The systems 1 and 2. Made once, for hundreds of cuts.
static SYSTEMS: LazyLock<[Vec<Parcel>; 2]> = LazyLock::new(|| [made(1), made(2)]);

fn system(number: usize) -> &'static [Parcel] {
    &SYSTEMS[number - 1]
}

/// A system of many paths, each of which needs the one before it, toplevel last. Those of one number share none with
/// those of another.
fn made(number: u32) -> Vec<Parcel> {
    let path = |n: u32, name: &str| -> StorePath {
        let path = format!("/nix/store/{:032}-{name}", number * 1000 + n);
        path.parse().expect("a store path")
    };
    let noise = |n: u32| {
        let octets = Sha256::digest((number * 1000 + n).to_be_bytes());
        let text = hex::encode(octets);
        let text = text.repeat(1024);
        archive(&format!("nix-archive-1 ( type regular contents {text} )"))
    };
    let part = |n: u32| {
        let needs = (n > 0).then(|| path(n - 1, "part"));
        Parcel::new(path(n, "part"), needs.as_ref(), noise(n))
    };
    let toplevel = archive(&format!(
        "nix-archive-1 ( type directory \
         entry ( name bin node ( type directory \
             entry ( name switch-to-configuration node ( type regular executable ~ contents #! ) ) ) ) \
         entry ( name init node ( type regular executable ~ contents #! ) ) \
         entry ( name kernel node ( type symlink target /nix/store/kernel ) ) \
         entry ( name nixos-version node ( type regular contents 25.05.{number} ) ) )"
    ));
    let last = path(PATHS - 1, "part");
    let toplevel = Parcel::new(path(PATHS, "nixos-system"), Some(&last), toplevel);
    (0..PATHS).map(part).chain([toplevel]).collect()
}

fn toplevel(number: usize) -> StorePath {
    let toplevel = system(number).last().expect("a toplevel");
    toplevel.info.path.clone()
}

/// An appliance in a folder, and the calls of a workstation.
struct Appliance {
    components: Arc<Components>,
    router: Router,
}

impl Appliance {
    fn at(state_dir: &Path) -> Self {
        let (components, _) = opened(state_dir);
        let calls = super::super::super::calls().with_state(components.admin.clone());
        let router = router(uploads(&components)).merge(calls);
        Self { components, router }
    }

    /// Nothing of it writes any more.
    async fn end(self) {
        self.components.store.close().await;
    }

    async fn ask(&self, method: Method, path: &str, body: impl Into<Body>) -> u16 {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.body(body.into()).expect("a request");
        request.extensions_mut().insert(AuthenticatedOperator {
            by: "a test".to_owned(),
            stop: CancellationToken::new(),
        });
        let (status, answer) = send(&self.router, request).await;
        assert!(
            status < 400 || status == 404,
            "{path}: {status} {answer}: an upload goes on where it was"
        );
        status
    }

    /// Sends what is lacking and has a release made of it, as `pxe-admin publish` does with `nix copy`. Each answer is
    /// told. How many NARs were sent.
    async fn publish(&self, number: usize, mut told: impl FnMut(&str)) -> u32 {
        let mut sent = 0;
        for parcel in system(number) {
            let narinfo = parcel.narinfo();
            if self.ask(Method::HEAD, &narinfo, "").await == 200 {
                continue;
            }
            if self.ask(Method::HEAD, &parcel.nar(), "").await != 200 {
                let name = parcel.nar();
                let put = self.ask(Method::PUT, &name, parcel.nar.clone()).await;
                assert_eq!(put, 201);
                sent += 1;
                told(&name);
            }
            let text = parcel.info.to_string();
            assert_eq!(self.ask(Method::PUT, &narinfo, text).await, 201);
            told(&narinfo);
        }
        let request = json!({"system": "worker", "toplevel": toplevel(number)});
        let path = "/admin/v1/publish";
        self.ask(Method::POST, path, request.to_string()).await;
        told(RELEASED);
        sent
    }

    /// What is there by name is there to the last octet, with all that it needs. How many paths that is.
    #[track_caller]
    fn whole(&self, what: &str) -> usize {
        let public = self.components.keys.cache_public();
        let all = (1..=2).flat_map(system);
        let named = all.filter(|parcel| self.file(&parcel.narinfo()).is_some());
        let mut count = 0;
        for parcel in named {
            let path = &parcel.info.path;
            for path in std::iter::once(path).chain(&parcel.info.references) {
                assert_eq!(
                    self.components.cache.fault(path, public),
                    None,
                    "{what}: {path}"
                );
            }
            let nar = self.file(&parcel.nar());
            assert!(nar.as_ref() == Some(&parcel.nar), "{what}: {path}: its NAR");
            count += 1;
        }
        count
    }

    fn file(&self, url: &str) -> Option<Vec<u8>> {
        let name = url.strip_prefix("/cache/")?;
        std::fs::read(self.components.cache.file(name)?).ok()
    }

    /// The releases on record, each of which can be installed.
    async fn releases(&self, what: &str) -> Vec<StorePath> {
        let public = self.components.keys.cache_public();
        let state = self.components.store.state();
        let releases: Vec<_> = state.releases.iter().map(|r| r.toplevel.clone()).collect();
        for toplevel in &releases {
            let held = self.components.cache.held(toplevel, public).await;
            let held = held.unwrap_or_else(|no| panic!("{what}: {no} {:?}", no.facts));
            assert!(held.is_some(), "{what}: {toplevel} is gone");
        }
        releases
    }
}

/// The child: not a test by itself. Says that it begins, and then what was answered.
#[tokio::test]
async fn child() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (state_dir, said) = order.split_once(' ').expect("a folder and a file");
    let appliance = Appliance::at(Path::new(state_dir));
    let mut said = std::fs::File::create(said).expect("makes");
    let told = |line: &str| {
        said.write_all(format!("{line}\n").as_bytes())
            .expect("writes");
    };
    appliance.publish(2, told).await;
}

#[tokio::test]
async fn a_power_cut_while_a_system_is_sent_leaves_no_path_that_is_not_whole_and_sending_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = match blank(dir.path(), 128 << 20) {
        Ok(first) => first,
        Err(why) => return crate::testing::skipped(&why),
    };
    let [cut, said] = ["cut", "said"].map(|name| dir.path().join(name));
    let mounted = Mounted::new(&first).expect("mounts");
    let appliance = Appliance::at(&mounted.state_dir());
    assert_eq!(appliance.publish(1, |_| ()).await, PATHS + 1);
    appliance.end().await;
    drop(mounted);
    let start = |mounted: &Mounted| {
        let test = "http::admin::upload::tests::power::child";
        start_to_work(test, CHILD, mounted, &said)
    };
    let took = uncut(&first, start);

    let cuts = if long() { 300 } else { 3 };
    let (mut part, mut released, mut resumed) = (0, 0, 0);
    let each = usize::try_from(PATHS + 1).expect("small");
    for n in 0..cuts {
        let what = format!("cut {n}");
        power_cut(&first, &cut, took, &start).await;
        let answers = std::fs::read_to_string(&said).expect("reads");
        // The last line may be cut, too.
        let answers: Vec<&str> = answers.split_inclusive('\n').collect();
        let answers = answers.iter().filter_map(|line| line.strip_suffix('\n'));

        let healed = Mounted::new(&cut).expect("the file system heals itself");
        let appliance = Appliance::at(&healed.state_dir());
        let there = appliance.whole(&what);
        let releases = appliance.releases(&what).await;
        assert_eq!(releases.first(), Some(&toplevel(1)), "{what}: the old one");
        for answer in answers {
            let is_there = match answer {
                RELEASED => releases.contains(&toplevel(2)),
                file => appliance.file(file).is_some(),
            };
            assert!(is_there, "{what}: {answer} was acknowledged");
        }
        part += usize::from(there > each && there < 2 * each);
        released += usize::from(releases.len() == 2);
        let sent = appliance.publish(2, |_| ()).await;
        let sent = usize::try_from(sent).expect("small");
        assert!(sent <= 2 * each - there, "{what}: {sent} were sent again");
        resumed += usize::from(sent > 0 && sent < each);
        assert_eq!(appliance.whole(&what), 2 * each);
        assert_eq!(appliance.releases(&what).await.last(), Some(&toplevel(2)));
        let aside = healed.state_dir().join("cache/uploads");
        assert_eq!(std::fs::read_dir(aside).expect("reads").count(), 0);
        appliance.end().await;
    }
    eprintln!(
        "{cuts} cuts in {took:?}: {part} between the first path and the last, {released} after the release; {resumed} \
         uploads went on in the middle"
    );
}
