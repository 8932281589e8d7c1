//! Real Nix clients of a whole appliance: before, while and after something is published, pruned, or cut off.

use netboot::base::store_path::StorePath;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::between::{Asked, Between, Fate};
use super::*;
use crate::testing::{TestConfig, get, wait_until};

/// For what a client on this machine needs a few seconds at most.
const SOON: Duration = Duration::from_secs(60);

/// A whole appliance, and its cache as others see it.
struct Served {
    house: TestConfig,
    at: SocketAddr,
    kept: Kept,
    stop: CancellationToken,
}

impl Served {
    async fn new() -> Self {
        let house = TestConfig::new("");
        let bound = house.bind().await;
        let address = bound.settings().address();
        let at = SocketAddr::from((address.ip, address.http_port));
        let kept = Kept {
            cache: bound.components().cache.clone(),
            key: bound.components().keys.cache_public().to_owned(),
            dir: house.path().join("state/cache"),
            _folder: None,
        };
        let stop = CancellationToken::new();
        tokio::spawn(bound.run(stop.clone()));
        Self {
            house,
            at,
            kept,
            stop,
        }
    }

    /// `pxe-admin` with these words: exit code, stdout and stderr.
    async fn admin(&self, words: &[&str]) -> (u8, String) {
        #[derive(Clone, Default)]
        struct Text(Arc<Mutex<Vec<u8>>>);
        impl Write for Text {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("no panic").extend_from_slice(octets);
                Ok(octets.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let socket = format!(
            "--appliance=unix:{}",
            self.house.path().join("admin.sock").display()
        );
        let args = ["pxe-admin", &socket]
            .into_iter()
            .chain(words.iter().copied());
        let text = Text::default();
        let mut output = pxe_admin::Output::to(Box::new(text.clone()), Box::new(text.clone()));
        let exit = pxe_admin::run(args.map(OsString::from), &mut output).await;
        let octets = text.0.lock().expect("no panic").clone();
        (exit, String::from_utf8_lossy(&octets).into_owned())
    }

    async fn publish(&self, toplevel: &StorePath) {
        let (exit, said) = self
            .admin(&["publish", "worker", "--toplevel", toplevel.as_str()])
            .await;
        assert_eq!(exit, 0, "{said}");
    }

    async fn status(&self, path: &str) -> u16 {
        let (head, _) = get(self.at, &format!("/cache/{path}"), "").await;
        head.split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A client's own store.
struct Client {
    root: tempfile::TempDir,
}

impl Client {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a folder"),
        }
    }

    /// As an installer copies: whether it has the system then, and what Nix said.
    async fn copies(&self, from: SocketAddr, key: &str, toplevel: &StorePath) -> (bool, String) {
        let mut command = nix("nix");
        for (name, value) in [
            ("trusted-public-keys", key),
            ("narinfo-cache-negative-ttl", "0"),
            ("narinfo-cache-positive-ttl", "0"),
        ] {
            command.args(["--option", name, value]);
        }
        command
            .args(["copy", "--from", &format!("http://{from}/cache"), "--to"])
            .arg(self.root.path().join("disk"))
            .arg(toplevel.as_str())
            .env("XDG_CACHE_HOME", self.root.path().join("cache"));
        let running = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(SOON, running)
            .await
            .expect("ends in time")
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    }

    /// Whether its store is in order, to the last octet.
    fn in_order(&self) -> bool {
        let disk = self.root.path().join("disk");
        let checked = nix("nix-store")
            .args(["--verify", "--check-contents", "--store"])
            .arg(disk)
            .output()
            .expect("runs");
        checked.status.success()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Store paths are read-only, and a folder of them cannot be removed as it is.
        let _ = Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(self.root.path())
            .status();
    }
}

fn large_nar(path: &str, size: u64) -> bool {
    path.contains("/nar/") && size > 100_000
}

#[tokio::test]
async fn a_client_that_asks_too_early_gets_it_later_and_no_one_ever_sees_half_of_it() {
    let toplevel = match system_of("asked", &["asked-0", "asked-1", "asked-2", "asked-3"]) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let served = Served::new().await;
    let client = Client::new();
    let (works, said) = client.copies(served.at, &served.kept.key, &toplevel).await;
    assert!(!works, "{said}");

    let narinfo = format!("{}.narinfo", toplevel.hash());
    let publishing = served.publish(&toplevel);
    tokio::pin!(publishing);
    let (mut before, mut while_) = (0, 0);
    loop {
        tokio::select! {
            biased;
            () = &mut publishing => break,
            status = served.status(&narinfo) => match status {
                404 => before += 1,
                200 => {
                    while_ += 1;
                    served.kept.assert_whole("seen before the publication ended", &toplevel);
                }
                other => panic!("{other}"),
            },
        }
    }
    assert!(before > 0, "asked while Nix copied");
    eprintln!(
        "asked {before} times before it was there, {while_} times between then and the release"
    );
    assert_eq!(served.status(&narinfo).await, 200);
    let (works, said) = client.copies(served.at, &served.kept.key, &toplevel).await;
    assert!(works && client.in_order(), "{said}");
}

#[tokio::test]
async fn a_copy_that_is_cut_goes_on_at_its_byte() {
    let toplevel = match system_of("cut", &["cut-0"]) {
        Ok(toplevel) => toplevel,
        Err(why) => return skipped(&why),
    };
    let served = Served::new().await;
    served.publish(&toplevel).await;
    // Twice within the first NAR.
    let between = Between::new(served.at, |path, before| match before {
        0 if path.contains("/nar/") => Fate::Cut(400_000),
        1 if path.contains("/nar/") => Fate::Cut(200_000),
        _ => Fate::Pass,
    })
    .await;
    let client = Client::new();
    let (works, said) = client.copies(between.at, &served.kept.key, &toplevel).await;
    assert!(works && client.in_order(), "{said}");
    let asked = between.asked();
    let large = asked
        .iter()
        .find(|a| large_nar(&a.path, a.passed))
        .expect("was asked for");
    let again: Vec<&Asked> = asked.iter().filter(|a| a.path == large.path).collect();
    let from: Vec<u64> = again
        .iter()
        .map(|a| match &a.range {
            Some(range) => range
                .trim_start_matches("bytes=")
                .trim_end_matches('-')
                .parse()
                .expect("a start"),
            None => 0,
        })
        .collect();
    assert!(
        from.len() == 3 && from[0] == 0 && from[1] > 300_000 && from[2] > from[1],
        "{asked:?}"
    );
}

/// Two clients are in the midst of a NAR, one of what stays and one of what goes.
#[tokio::test]
async fn a_prune_while_clients_copy_harms_no_one_who_copies_what_stays() {
    let systems = || {
        let one = system_of("pruned-1", &["pruned-shared", "pruned-own-1"])?;
        let two = system_of("pruned-2", &["pruned-shared", "pruned-own-2"])?;
        let three = system_of("pruned-3", &["pruned-shared", "pruned-own-3"])?;
        Ok::<_, String>([one, two, three])
    };
    let [one, two, three] = match systems() {
        Ok(systems) => systems,
        Err(why) => return skipped(&why),
    };
    let served = Served::new().await;
    for toplevel in [&one, &two, &three] {
        served.publish(toplevel).await;
    }
    // The toplevel's own NAR, a small one, is asked for when those that it needs are there.
    let hold = |path: &str, _| {
        if path.contains("/nar/") {
            Fate::Hold(100_000)
        } else {
            Fate::Pass
        }
    };
    let (goes, stays) = (
        Between::new(served.at, hold).await,
        Between::new(served.at, hold).await,
    );
    let (old, new) = (Client::new(), Client::new());
    let key = &served.kept.key;
    let prune = async {
        for between in [&goes, &stays] {
            wait_until("a NAR is half-way", SOON, || {
                between.asked().iter().any(|a| a.passed == 100_000)
            })
            .await;
        }
        let (exit, said) = served
            .admin(&["releases", "--prune", "--keep", "1", "--dry-run"])
            .await;
        assert_eq!(exit, 0, "{said}");
        assert_eq!(
            served.kept.files(".").len(),
            8,
            "info, three toplevels, four that they need"
        );
        let dry = said.lines().last().expect("a line").to_owned();
        let (exit, said) = served.admin(&["releases", "--prune", "--keep", "1"]).await;
        assert_eq!(exit, 0, "{said}");
        assert!(
            dry.starts_with(
                said.lines()
                    .last()
                    .expect("a line")
                    .trim_end_matches(" freed")
            ),
            "{dry}\n{said}"
        );
        assert!(said.contains("in 4 store paths freed"), "{said}");
        goes.go.send_replace(true);
        stays.go.send_replace(true);
    };
    let ((old_works, old_said), (works, said), ()) = tokio::join!(
        old.copies(goes.at, key, &one),
        new.copies(stays.at, key, &three),
        prune
    );
    assert!(works && new.in_order(), "{said}");
    served.kept.assert_whole("what stays", &three);
    assert!(!old_works, "its toplevel was gone when it came to it");
    assert!(
        ["does not exist in binary cache", "is not valid"]
            .iter()
            .any(|words| old_said.contains(words)),
        "{old_said}"
    );
    assert!(old.in_order(), "no path is there by half");
    for asked in goes.asked().iter().filter(|a| a.passed > 100_000) {
        assert!(
            asked.ended,
            "a download that had begun came to its end: {asked:?}"
        );
    }
    assert_eq!(served.kept.files(".").len(), 4);
    assert_eq!(served.kept.files("nar").len(), 3);

    let (exit, said) = served.admin(&["releases"]).await;
    let column: Vec<&str> = said
        .lines()
        .skip(1)
        .filter_map(|l| l.split("UTC  ").nth(1)?.split(' ').next())
        .collect();
    assert_eq!(
        (exit, column),
        (0, vec!["pruned", "pruned", "yes"]),
        "{said}"
    );
    let (_, said) = served.admin(&["events"]).await;
    assert_eq!(
        said.matches("was taken out of the cache by uid").count(),
        2,
        "{said}"
    );

    served.publish(&one).await;
    let (works, said) = old.copies(served.at, key, &one).await;
    assert!(works && old.in_order(), "published again: {said}");
}

#[tokio::test]
async fn a_prune_sweeps_what_was_left_behind_and_waits_for_its_turn() {
    let systems = system_of("swept-1", &["swept-0"])
        .and_then(|one| Ok((one, system_of("swept-2", &["swept-1"])?)));
    let (one, two) = match systems {
        Ok(systems) => systems,
        Err(why) => return skipped(&why),
    };
    let served = Served::new().await;
    served.publish(&one).await;
    // Published without a release, long ago and just now.
    served.kept.publish(&two).await;
    let left = served.kept.dir.join("incoming/0123456789abcdef/nar");
    std::fs::create_dir_all(&left).expect("makes");
    std::fs::write(left.join("x.tmp"), [0; 5000]).expect("writes");
    let orphans = ["swept-2", "swept-1"];
    let (exit, said) = served.admin(&["releases", "--prune"]).await;
    assert_eq!(exit, 0, "{said}");
    assert!(
        said.contains("4.9 KiB in 0 store paths freed")
            && said.contains("2 store path(s) of no release stay"),
        "{said}"
    );
    assert!(!left.exists());
    served
        .kept
        .assert_whole("it may become a release yet", &two);
    let past = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    for below in [".", "nar"] {
        for name in served.kept.files(below) {
            let file = std::fs::File::open(served.kept.dir.join(below).join(name)).expect("opens");
            file.set_modified(past).expect("sets its time");
        }
    }
    let turn = served.kept.cache.turn().await;
    let words = ["releases", "--prune"];
    let pruning = served.admin(&words);
    tokio::pin!(pruning);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut pruning).await;
    assert!(early.is_err(), "somebody else changes the cache: {early:?}");
    drop(turn);
    let (exit, said) = pruning.await;
    assert_eq!(exit, 0, "{said}");
    assert!(
        said.contains(&format!("in {} store paths freed", orphans.len())),
        "{said}"
    );
    served.kept.assert_whole("a release", &one);
    assert_eq!(served.kept.files("nar").len(), 2);
}
