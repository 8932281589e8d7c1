//! `publish` as it is typed, on a small flake without inputs, with the real Nix where there is one.

use std::fs;
use std::process::Command;

use nix_publish::flake::{self, Flake};

use super::Served;
use crate::testing::skipped;

/// Systems of two paths each, built by the shell; `@…@` is what tests change.
const FLAKE: &str = r#"{
  outputs = { self }:
    let
      build = name: script: derivation {
        inherit name;
        system = builtins.currentSystem or "@system@";
        builder = "/bin/sh";
        args = [ "-euc" "PATH=/bin:/usr/bin; ${script}" ];
      };
      part = name: version: build "${name}-${version}" "echo ${name} ${version} > $out";
      system = { name, parts, script ? "" }: {
        config.system.build.toplevel = build "nixos-system-${name}-25.05" ''
          mkdir -p $out/bin; cd $out
          echo 25.05 > nixos-version
          touch init kernel bin/switch-to-configuration
          echo ${toString parts} > references
          ${script}
        '';
      };
      shared = part "linux" "6.12.20";
      all = {
        worker = system { name = "worker"; parts = [ shared (part "k3s" "@k3s@") ]; };
        server = system { name = "server"; parts = [ shared ]; script = "@server@"; };
        half = system { name = "half"; parts = [ ]; script = "rm kernel init"; };
        unused = builtins.trace "warning: an old option" (system { name = "unused"; parts = [ ]; });
      };
      installer = build "installer" ''
        mkdir $out; cd $out
        echo kernel @k3s@ > kernel; echo initrd > initrd
        printf "console=ttyS0" > cmdline; printf x86_64 > arch
      '';
    in
    {
      nixosConfigurations = all // { odd = throw "the option `services.foo' does not exist"; };
      packages.x86_64-linux.installer = installer;
    };
}
"#;

/// A flake in a repository of its own, and an appliance. `None` where Nix cannot build.
struct Lab {
    served: Served,
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Option<Self> {
        let lab = Self {
            served: Served::new(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        // Another derivation each time: one that was built before proves nothing.
        let probe = format!(
            r#"derivation {{ name = "flake-probe"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo > $out" "{}" ]; }}"#,
            lab.folder.path().display()
        );
        let probe = Command::new("nix-build")
            .args(["--no-out-link", "-E", &probe])
            .output();
        let works = probe.is_ok_and(|output| output.status.success());
        if !works || !lab.git(&["init", "-q", "."]) {
            skipped("Nix cannot build here, or there is no Git");
            return None;
        }
        lab.write("1.32", "true");
        Some(lab)
    }

    fn git(&self, arguments: &[&str]) -> bool {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args(who)
            .args(arguments)
            .output();
        output.is_ok_and(|output| output.status.success())
    }

    /// Writes the flake, and lets Git know it.
    fn write(&self, k3s: &str, server: &str) {
        let system = format!("{}-linux", std::env::consts::ARCH);
        let text = FLAKE
            .replace("@k3s@", k3s)
            .replace("@server@", server)
            .replace("@system@", &system);
        fs::write(self.folder.path().join("flake.nix"), text).expect("writes");
        assert!(self.git(&["add", "flake.nix"]));
    }

    fn commit(&self) -> String {
        assert!(self.git(&["commit", "-q", "-m", "a revision"]));
        let output = Command::new("git")
            .current_dir(self.folder.path())
            .args(["rev-parse", "HEAD"])
            .output()
            .expect("runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `pxe-admin publish WORDS --flake` this one.
    async fn publish(&self, words: &str) -> (u8, String, String) {
        let flake = self.folder.path().display();
        self.served
            .run(&format!("publish {words} --flake {flake}"))
            .await
    }

    #[track_caller]
    fn releases(&self) -> Vec<(String, u32, String, bool)> {
        let state = self.served.bench.components.store.state();
        let releases = state.releases.iter().map(|release| {
            let revision = release.revision.clone().unwrap_or_default();
            (
                release.system.to_string(),
                release.number,
                revision,
                release.dirty,
            )
        });
        releases.collect()
    }
}

#[tokio::test]
async fn a_flake_becomes_releases_and_an_installer() {
    let Some(lab) = Lab::new() else { return };
    let first = lab.commit();

    let (exit, out, err) = lab.publish("--dry-run").await;
    assert_eq!(exit, 0, "{err}");
    assert!(
        out.contains("`worker` would get release 1: /nix/store/"),
        "{out}"
    );
    assert!(out.contains("  3 packages, all of them new"), "{out}");
    assert!(
        out.contains("the installer for x86_64 would be /nix/store/"),
        "{out}"
    );
    assert!(err.ends_with("nothing was changed\n"), "{err}");
    assert_eq!(lab.releases(), []);

    // The profiles are worker, server and plain: the flake has no `plain`, and nobody uses `unused`.
    let (exit, out, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    assert!(
        err.contains("warning: profiles use the system `plain`, which the flake does not have"),
        "{err}"
    );
    let release = |system: &str, number, dirty| (system.to_owned(), number, first.clone(), dirty);
    assert_eq!(
        lab.releases(),
        [release("server", 1, false), release("worker", 1, false)]
    );
    let short = &first[..12];
    assert!(out.contains(&format!("B), from {short}")), "{out}");
    let image = lab
        .served
        .bench
        .components
        .installers
        .for_arch("x86_64")
        .expect("is served at once");
    assert_eq!(image.image.cmdline, "console=ttyS0");
    assert_eq!(
        fs::read_to_string(&image.kernel).expect("reads"),
        "kernel 1.32\n"
    );

    // Again: no system is built or copied.
    let (exit, out, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    assert_eq!(out.matches("nothing changed").count(), 3, "{out}");
    assert!(!err.contains("building"), "{err}");
    assert_eq!(lab.releases().len(), 2);

    // A change that is not committed changes one system, and the installer.
    lab.write("1.33", "true");
    let (exit, out, err) = lab.publish("--dry-run").await;
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("`server` is release 1 already"), "{out}");
    assert!(out.contains("; in place of /nix/store/"), "{out}");
    assert!(out.contains("  updated  k3s 1.32 -> 1.33, +0 B"), "{out}");
    assert!(
        out.contains("  1 package built anew, of the same version"),
        "{out}"
    );
    let (exit, out, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    assert!(
        err.contains("the flake has changes that are not committed"),
        "{err}"
    );
    assert!(out.contains(&format!("from {short}-dirty")), "{out}");
    assert_eq!(lab.releases()[2], release("worker", 2, true));
    assert_eq!(lab.releases().len(), 3);
    let next = lab
        .served
        .bench
        .components
        .installers
        .for_arch("x86_64")
        .expect("is served");
    assert_ne!(next.image.name, image.image.name);
    assert!(
        lab.served
            .bench
            .components
            .installers
            .named(&image.image.name, "x86_64")
            .is_some()
    );
    let (_, out, _) = lab.served.run("releases").await;
    assert!(out.contains(&format!("{short}-dirty")), "{out}");
    let (_, installers) = out.split_once("\nINSTALLER").expect("a table of them");
    let rows: Vec<Vec<&str>> = installers
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect())
        .collect();
    let [one, two] = &rows[..] else {
        panic!("{out}");
    };
    for (row, newest, revision) in [
        (one, "replaced", short.to_owned()),
        (two, "yes", format!("{short}-dirty")),
    ] {
        assert_eq!((row[0], row[4]), ("x86_64", newest), "{out}");
        assert_eq!(row[5], revision, "{out}");
        assert!(row[6].starts_with("/nix/store/"), "{out}");
    }
    let (_, json, _) = lab.served.run("releases --json").await;
    let json: netboot::api::types::Releases = serde_json::from_str(&json).expect("reads");
    assert_eq!(json.installers.len(), 2);
    assert_eq!(json.installers[0].source.revision.as_deref(), Some(&*first));
    let (_, out, _) = lab.served.run("events").await;
    let said = format!("machines boot the installer for x86_64 {} now", one[6]);
    assert!(out.contains(&said), "{out}");

    // What modules warn of is seen.
    let (exit, _, err) = lab.publish("unused").await;
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("nix: trace: warning: an old option"), "{err}");

    // What the cache lost is put back, under the same release.
    let components = &lab.served.bench.components;
    let state = components.store.state();
    let newest = state
        .newest(&"server".parse().expect("a name"))
        .expect("is there");
    let narinfo = format!("{}.narinfo", newest.toplevel.hash());
    fs::remove_file(components.cache.file(&narinfo).expect("is there")).expect("removes");
    let (exit, out, err) = lab.publish("server").await;
    assert_eq!(exit, 0, "{err}");
    assert!(
        out.contains("is release 1 of `server` already; nothing changed"),
        "{out}"
    );
    assert!(components.cache.file(&narinfo).is_some());
}

#[tokio::test]
async fn a_flake_without_an_installer_is_told_what_it_lacks() {
    let Some(lab) = Lab::new() else { return };
    let file = lab.folder.path().join("flake.nix");
    let whole = fs::read_to_string(&file).expect("reads");
    let line = "packages.x86_64-linux.installer = installer;";
    assert!(whole.contains(line));
    fs::write(&file, whole.replace(line, "")).expect("writes");
    let lacks = "warning: x86_64 machines have no installer to boot: the flake has no packages.x86_64-linux.installer";
    let (exit, _, err) = lab.publish("--dry-run").await;
    assert_eq!(exit, 0, "{err}");
    assert!(err.contains(lacks), "{err}");
    assert!(err.contains("inherit (netboot) packages;"), "{err}");

    // A published installer stays in force, so none is missing.
    fs::write(&file, &whole).expect("writes");
    let (exit, _, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    assert!(!err.contains("no installer"), "{err}");
    fs::write(&file, whole.replace(line, "")).expect("writes");
    let (exit, _, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    assert!(!err.contains("no installer"), "{err}");
}

#[tokio::test]
async fn what_is_built_is_held_from_the_folder_that_was_named() {
    let Some(lab) = Lab::new() else { return };
    lab.commit();
    let reference = lab.folder.path().display().to_string();
    let flake = Flake::open(&reference).await.expect("opens");
    let outputs = [flake::FlakeOutput::System(
        "worker".parse().expect("a name"),
    )];
    let evaluated = flake.evaluate(&outputs).await.expect("evaluates").outputs;
    let all: Vec<_> = evaluated.iter().collect();
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("state/nix-roots");
    let built = flake::build(&all, Some(&roots), &mut |_, _| {}).await;
    let built = built.expect("builds");
    let holders = || {
        let path = evaluated[0].path.as_str();
        let output = Command::new("nix-store")
            .args(["--query", "--roots", path])
            .output()
            .expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (said, below) = (holders(), roots.display().to_string());
    assert!(said.contains(&below), "held from elsewhere: {said:?}");
    drop(built);
    assert!(!holders().contains(&below), "let go");
    flake::let_go(&roots).expect("is removed");
    flake::let_go(&roots).expect("is gone already");
    assert!(!roots.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_a_failure_is_said() {
    let Some(lab) = Lab::new() else { return };
    lab.commit();
    let kept = lab.served.bench.folder.path().join("installers");
    fs::remove_dir_all(&kept).expect("is there");
    fs::write(&kept, "in the way").expect("writes");
    let (exit, out, err) = lab.publish("").await;
    assert_ne!(exit, 0, "{err}");
    assert_eq!(out, "", "{err}");
    assert!(
        err.contains("done before, and it stays: release 1 of `worker`: /nix/store/"),
        "{err}"
    );
    assert_eq!(lab.releases().len(), 2, "{err}");
}

#[tokio::test]
async fn what_fails_leaves_everything_as_it_was() {
    let Some(lab) = Lab::new() else { return };
    lab.commit();
    let (exit, _, err) = lab.publish("").await;
    assert_eq!(exit, 0, "{err}");
    let before = lab.releases();
    let installer = lab.served.bench.components.installers.for_arch("x86_64");

    // The worker would change, and the server does not build.
    lab.write("1.34", "echo no rule to make target >&2; exit 3");
    let (exit, out, err) = lab.publish("").await;
    assert_eq!((exit, &*out), (1, ""), "{err}");
    assert!(
        err.contains("error: `server`, `worker`, the installer for x86_64 cannot be built"),
        "{err}"
    );
    assert!(err.contains("failed with exit code 3"), "{err}");
    assert!(err.contains("> no rule to make target"), "{err}");
    assert!(err.contains("  nothing was changed"), "{err}");
    assert_eq!(lab.releases(), before);
    assert_eq!(
        lab.served
            .bench
            .components
            .installers
            .for_arch("x86_64")
            .map(|i| i.image),
        installer.map(|i| i.image)
    );

    for (name, words, want) in [
        (
            "a system that is none",
            "worker half",
            "is not a NixOS system",
        ),
        ("what it lacks", "half", "it has no init, kernel"),
        (
            "no such system",
            "wroker",
            "error: the flake has no system `wroker`",
        ),
        (
            "the systems there are",
            "wroker",
            "its systems: half, odd, server, unused, worker",
        ),
        ("the nearest", "wroker", "tip: did you mean `worker`?"),
        (
            "an option that nobody has",
            "odd",
            "the option `services.foo' does not exist",
        ),
        (
            "that one again",
            "odd",
            "error: the flake does not evaluate",
        ),
    ] {
        let (exit, out, err) = lab.publish(words).await;
        assert_eq!((exit, &*out), (1, ""), "{name}: {err}");
        assert!(err.contains(want), "{name}: {err}");
        assert!(err.contains("  nothing was changed"), "{name}: {err}");
        assert_eq!(lab.releases(), before, "{name}");
    }

    fs::write(
        lab.folder.path().join("flake.nix"),
        "{ outputs = { self }: {",
    )
    .expect("writes");
    let (exit, _, err) = lab.publish("worker").await;
    assert_eq!(exit, 1);
    assert!(
        err.contains("syntax error, unexpected end of file"),
        "{err}"
    );
    assert_eq!(lab.releases(), before);
}

#[tokio::test]
async fn two_publish_at_once_and_both_are_right() {
    let Some(lab) = Lab::new() else { return };
    lab.commit();
    let (one, two) = tokio::join!(lab.publish("worker"), lab.publish("worker"));
    assert_eq!((one.0, two.0), (0, 0), "{} {}", one.2, two.2);
    let unchanged = [&one.1, &two.1]
        .iter()
        .filter(|out| out.contains("nothing changed"))
        .count();
    assert_eq!(unchanged, 1, "{} {}", one.1, two.1);
    assert_eq!(lab.releases().len(), 1);
}

#[tokio::test]
async fn without_a_flake_it_says_what_to_do() {
    let served = Served::new();
    let (exit, out, err) = served.run("publish").await;
    assert_eq!((exit, &*out), (1, ""));
    assert!(
        err.contains("error: it is not known which flake to build"),
        "{err}"
    );
    assert!(
        err.contains("tip: in the flake's folder: pxe-admin publish --flake ."),
        "{err}"
    );
    for words in ["--flake .#worker", "--flake="] {
        let (exit, _, err) = served.run(&format!("publish {words}")).await;
        assert_eq!(exit, 1, "{words}: {err}");
        assert!(err.contains("does not name a flake"), "{words}: {err}");
    }
    let two = "publish a b --toplevel /nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-x";
    let (exit, _, err) = served.run(two).await;
    assert_eq!(exit, 2, "{err}");
}
