//! A branch that moves, breaks and cannot be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::base::clock;
use crate::testing::bench::Bench;
use crate::testing::{skipped, wait_until};

const OFTEN: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_secs(20);

/// A branch with a head that can be moved. Commits that begin with `bad` do not build, `endless` ones never end; at
/// `silent` no look does.
#[derive(Default)]
struct ScriptedBranch {
    head: Mutex<Option<&'static str>>,
    looked: Mutex<u32>,
    published: Mutex<Vec<String>>,
    ended_early: AtomicBool,
}

impl ScriptedBranch {
    fn set(&self, head: Option<&'static str>) {
        *self.head.lock() = head;
    }

    fn looked(&self) -> u32 {
        *self.looked.lock()
    }

    fn published(&self) -> Vec<String> {
        self.published.lock().clone()
    }

    /// A few polls after this one, whatever was to happen has happened.
    async fn looks_on(&self) {
        let before = self.looked();
        wait_until("more polls", SOON, || self.looked() > before + 3).await;
    }
}

struct Early<'a>(&'a AtomicBool);

impl Drop for Early<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl BranchSource for ScriptedBranch {
    type Commit = String;

    async fn head(&self) -> Result<(String, String), Refusal> {
        *self.looked.lock() += 1;
        let head = *self.head.lock();
        let away = || {
            Refusal::new(RefusalCode::PublishFailed, "no flake there").fact("cannot resolve host")
        };
        let head = head.map(str::to_owned).ok_or_else(away)?;
        if head == "silent" {
            std::future::pending::<()>().await;
        }
        Ok((head.clone(), head))
    }

    async fn publish(&self, revision: String) -> Result<(), Refusal> {
        self.published.lock().push(revision.clone());
        if revision.starts_with("endless") {
            let _early = Early(&self.ended_early);
            std::future::pending::<()>().await;
        }
        if revision.starts_with("bad") {
            return Err(
                Refusal::new(RefusalCode::PublishFailed, "`worker` cannot be built")
                    .fact("error: 1"),
            );
        }
        Ok(())
    }
}

#[tokio::test]
async fn every_commit_is_published_once_whatever_came_of_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path(), clock::now).expect("a store");
    let (branch, status, stop) = (
        ScriptedBranch::default(),
        Arc::new(FollowStatus::default()),
        CancellationToken::new(),
    );
    let following = follow(&store, &branch, OFTEN, (&status, clock::now), &stop);
    let story = async {
        branch.looks_on().await;
        let trouble = Err("no flake there; cannot resolve host".to_owned());
        assert_eq!(status.last().expect("looked").head, trouble);
        assert_eq!(
            store.state().seq,
            0,
            "a network that is away is nothing to write down"
        );
        for (head, failures) in [("one", 0), ("bad-two", 1), ("three", 0)] {
            branch.set(Some(head));
            branch.looks_on().await;
            let followed = store.state().followed.clone().expect("is on record");
            assert_eq!(
                (followed.revision.as_str(), followed.failures),
                (head, failures)
            );
            assert_eq!(status.last().expect("looked").head.as_deref(), Ok(head));
        }
        branch.set(None);
        branch.looks_on().await;
        branch.set(Some("three"));
        branch.looks_on().await;
        assert_eq!(branch.published(), ["one", "bad-two", "three"]);
        branch.set(Some("endless"));
        wait_until("it is being published", SOON, || {
            branch.published().len() == 4
        })
        .await;
        let publishing = status.publishing().expect("it is");
        assert_eq!(publishing.0, "endless");
        stop.cancel();
    };
    let both = async { tokio::join!(following, story) };
    tokio::time::timeout(SOON, both)
        .await
        .expect("stops in the midst of a build");
    assert!(branch.ended_early.load(Ordering::Relaxed));
    store.close().await;

    // After a restart the commits that were done are still done.
    let store = Store::open(dir.path(), clock::now).expect("a store");
    branch.set(Some("three"));
    let stop = CancellationToken::new();
    let following = follow(&store, &branch, OFTEN, (&status, clock::now), &stop);
    let story = async {
        branch.looks_on().await;
        stop.cancel();
    };
    tokio::join!(following, story);
    assert_eq!(branch.published().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_end_is_given_up_and_the_next_is_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path(), clock::now).expect("a store");
    let (branch, status, stop) = (
        ScriptedBranch::default(),
        FollowStatus::default(),
        CancellationToken::new(),
    );
    branch.set(Some("silent"));
    let following = follow(&store, &branch, LOOK / 10, (&status, clock::now), &stop);
    let story = async {
        tokio::time::sleep(LOOK / 2).await;
        assert_eq!(status.last(), None);
        tokio::time::sleep(LOOK).await;
        let why = "no answer within 600 s".to_owned();
        assert_eq!(status.last().expect("looked").head, Err(why));
        branch.set(None);
        tokio::time::sleep(LOOK).await;
        let head = status.last().expect("looked").head;
        assert!(head.is_err_and(|why| why.contains("cannot resolve host")));
        stop.cancel();
    };
    tokio::join!(following, story);
    store.close().await;
}

/// The systems of the bench's profiles, built by the shell; `@part@` is what a commit changes.
const FLAKE: &str = r#"{
  outputs = { self }:
    let
      system = name: script: {
        config.system.build.toplevel = derivation {
          name = "nixos-system-${name}-followed";
          system = "@system@";
          builder = "/bin/sh";
          args = [ "-euc" "PATH=/bin:/usr/bin; mkdir -p $out/bin; cd $out; echo 25.05 > nixos-version; touch init kernel bin/switch-to-configuration; ${script}" ];
        };
      };
    in
    {
      nixosConfigurations.worker = system "worker" "@part@";
      nixosConfigurations.server = system "server" "true";
    };
}
"#;

/// The flake's repository.
struct Repository(tempfile::TempDir);

impl Repository {
    fn git(&self, arguments: &[&str]) -> Option<String> {
        let output = std::process::Command::new("git")
            .current_dir(self.0.path())
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    fn write(&self, part: &str) {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let text = FLAKE.replace("@part@", part).replace("@system@", &system);
        std::fs::write(self.0.path().join("flake.nix"), text).expect("writes");
    }

    /// The revision of a new commit.
    fn commit(&self, part: &str) -> String {
        self.write(part);
        self.git(&["add", "flake.nix"]).expect("adds");
        self.git(&["commit", "-q", "-m", "a revision"])
            .expect("commits");
        self.git(&["rev-parse", "HEAD"]).expect("a revision")
    }
}

#[tokio::test]
async fn a_push_becomes_releases_and_one_that_does_not_build_leaves_them() {
    let probe = r#"derivation { name = "follow-probe"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }"#;
    let built = std::process::Command::new("nix-build")
        .args(["--no-out-link", "-E", probe])
        .output();
    let repository = Repository(tempfile::tempdir().expect("a folder"));
    if !built.is_ok_and(|built| built.status.success())
        || repository.git(&["init", "-q", "."]).is_none()
    {
        return skipped("Nix cannot build here, or there is no Git");
    }
    let bench = Bench::new();
    let store = &bench.components.store;
    let reference = repository.0.path().display().to_string();
    // What a build held that was cut off.
    let roots = bench
        .components
        .settings
        .config()
        .state_dir
        .join("nix-roots");
    std::fs::create_dir_all(roots.join("cut-off")).expect("makes");
    let branch = bench.branch(&reference);
    assert!(!roots.exists(), "it is let go");
    let (status, stop) = (&bench.components.follow, CancellationToken::new());
    let following = follow(
        store,
        &branch,
        Duration::from_millis(50),
        (status, clock::now),
        &stop,
    );
    let settled = async |revision: &str| {
        let done = || {
            store
                .state()
                .followed
                .as_ref()
                .is_some_and(|f| f.revision == revision)
        };
        wait_until("the commit is dealt with", Duration::from_secs(60), done).await;
    };
    let releases = || -> Vec<(String, u32, Option<String>)> {
        let state = store.state();
        let all = state.releases.iter();
        all.map(|r| (r.system.to_string(), r.number, r.revision.clone()))
            .collect()
    };
    let story = async {
        let one = repository.commit("echo one > part");
        settled(&one).await;
        let first = [("server", 1), ("worker", 1)]
            .map(|(system, number)| (system.to_owned(), number, Some(one.clone())));
        assert_eq!(releases(), first);
        let held = || std::fs::read_dir(&roots).expect("it is made").count();
        wait_until("all is let go", Duration::from_secs(10), || held() == 0).await;

        let bad = repository.commit("echo no such part >&2; exit 1");
        settled(&bad).await;
        let followed = store.state().followed.clone().expect("is on record");
        assert_eq!(followed.failures, 1);
        let trouble = followed.trouble.join("\n");
        assert!(
            trouble.contains("no such part"),
            "Nix's own words: {trouble}"
        );
        assert_eq!(releases(), first, "what was published is as it was");
        let checks = bench.components.doctor.checkup().await.checks;
        assert!(
            checks.iter().all(|check| check.name != "branch"),
            "it is not configured here"
        );

        let two = repository.commit("echo two > part");
        settled(&two).await;
        let third = ("worker".to_owned(), 2, Some(two.clone()));
        assert_eq!(
            releases(),
            [&first[..], &[third]].concat(),
            "only what changed"
        );

        repository.write("echo three > part");
        wait_until("it is seen to be changed", Duration::from_secs(60), || {
            status
                .last()
                .is_some_and(|look| look.head.is_err_and(|why| why.contains("not committed")))
        })
        .await;
        assert_eq!(releases().len(), 3);
        stop.cancel();
    };
    tokio::join!(following, story);
}
