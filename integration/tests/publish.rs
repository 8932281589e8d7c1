//! What an operator publishes from the lab's flake, with the real service, the real command and the real Nix; no machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use integration::lab::appliance::{ApplianceLog, RunningAppliance};
use integration::lab::command::{output, run};
use integration::lab::lan::{self, APPLIANCE, LanNamespace};
use integration::lab::namespaces::enter_namespaces;
use integration::lab::products::Products;
use integration::lab::repository::Repository;
use integration::lab::testbed::{MAC, WORKER, folder};
use netboot::api::types::Releases;
use netboot::base::release::Release;

const SERVER: &str = r#"system = "x86_64-linux"

[disk]
select = { smallest = true, min-size = "2G" }
layout = "ext4"

[k3s]
role = "server-init"
"#;

const CONFIG: &str = r#"state-dir = "state"
flake = "."

[admin]
socket = "admin.sock"
"#;

/// An appliance beside its repository, alone on a LAN.
struct Lab {
    appliance: RunningAppliance,
    repository: Repository,
    products: Products,
}

impl Lab {
    /// `before` is done in the appliance's folder ahead of its start.
    fn set(name: &str, before: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Self> {
        enter_namespaces()?;
        let products = Products::find()?;
        let dir = folder(name)?;
        lan::switch()?;
        let room = LanNamespace::new("appliance", APPLIANCE, &dir.join("rooms"))?;
        let own = dir.join("appliance");
        let repository = Repository::begin(&own, &products)?;
        repository.write("hosts/profiles/worker.toml", WORKER)?;
        repository.write("hosts/profiles/server.toml", SERVER)?;
        let mut appliance = RunningAppliance::configured(room, &products, CONFIG, own)?;
        before(appliance.dir())?;
        appliance.start()?;
        Ok(Self {
            appliance,
            repository,
            products,
        })
    }

    fn releases(&self) -> anyhow::Result<Vec<Release>> {
        Ok(self.appliance.ask::<Releases>("releases")?.releases)
    }

    /// Files of the cache with their sizes.
    fn cache(&self) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
        let cache = self.appliance.dir().join("state/cache");
        let mut files = BTreeMap::new();
        for folder in [cache.clone(), cache.join("nar")] {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let entry = entry?;
                let meta = entry.metadata()?;
                if meta.is_file() {
                    files.insert(entry.path(), meta.len());
                }
            }
        }
        Ok(files)
    }

    fn publish(&self, words: &str) -> anyhow::Result<ApplianceLog> {
        let said = self.appliance.admin(format!("publish {words}").trim())?;
        println!(
            "$ pxe-admin publish {words}\n{}{}",
            said.stdout, said.stderr
        );
        Ok(said)
    }
}

fn numbered(releases: &[Release]) -> Vec<(&str, u32)> {
    releases
        .iter()
        .map(|release| (release.system.as_str(), release.number))
        .collect()
}

#[test]
fn commits_become_releases_and_what_did_not_change_is_left_alone() -> anyhow::Result<()> {
    let mut lab = Lab::set("publish", |_| Ok(()))?;
    let first = lab.repository.commit("two profiles")?;

    let said = lab.publish("")?;
    ensure!(said.status.success(), "it ended with {}", said.status);
    let releases = lab.releases()?;
    ensure!(
        numbered(&releases) == [("server", 1), ("worker", 1)],
        "{releases:?}"
    );
    for release in &releases {
        ensure!(
            release.revision.as_deref() == Some(first.as_str()) && !release.dirty,
            "{release:?} is not of {first}"
        );
        ensure!(release.label == "practice-1", "{release:?}");
        ensure!(release.closure_size > 16 << 20, "{release:?}");
    }

    // Machines boot the installer of the flake, without a restart and after one.
    lab.appliance
        .must(&format!("enroll {MAC} --profile worker --name node1"))?;
    let script = lab.appliance.fetch(&format!("/boot.ipxe?mac={MAC}"))?;
    let kernel = script
        .split_ascii_whitespace()
        .find_map(|word| {
            let path = word.split_once("/images/")?.1;
            path.contains("/kernel").then(|| format!("/images/{path}"))
        })
        .with_context(|| format!("no kernel in the boot script:\n{script}"))?;
    ensure!(kernel.starts_with("/images/installer-"), "{kernel}");
    let want = fs::metadata(lab.products.installer("kernel"))?.len();
    let size = |lab: &Lab| -> anyhow::Result<u64> {
        let url = format!("http://{APPLIANCE}:8080{kernel}");
        let mut curl = lab.appliance.room().command("curl");
        curl.args(["-sS", "--max-time", "20", "-o", "/dev/null", "-w"]);
        Ok(output(curl.args(["%{size_download}", &url]))?
            .trim()
            .parse()?)
    };
    ensure!(size(&lab)? == want, "the kernel is another");
    lab.appliance.kill()?;
    lab.appliance.start()?;
    ensure!(size(&lab)? == want, "the installer is gone after a restart");

    // One profile changes, and its system shares almost all of its paths with the one before.
    let before = lab.cache()?;
    let changed = format!("{WORKER}\n[nixos]\nkernel-params = [\"quiet\"]\n");
    lab.repository
        .write("hosts/profiles/worker.toml", &changed)?;
    let second = lab.repository.commit("a quiet worker")?;
    let said = lab.publish("--dry-run")?;
    ensure!(said.status.success(), "it ended with {}", said.status);
    ensure!(said.stdout.contains("`server` is release 1 already"));
    ensure!(said.stdout.contains("`worker` would get release 2"));
    ensure!(lab.cache()? == before, "a dry run copied something");
    let said = lab.publish("")?;
    ensure!(said.status.success(), "it ended with {}", said.status);
    ensure!(said.stdout.contains("of `server` already; nothing changed"));
    ensure!(said.stdout.contains("is the installer for x86_64 already"));
    let releases = lab.releases()?;
    ensure!(
        numbered(&releases) == [("server", 1), ("worker", 1), ("worker", 2)],
        "{releases:?}"
    );
    ensure!(releases[2].revision.as_deref() == Some(second.as_str()));
    let after = lab.cache()?;
    let new: Vec<_> = after
        .iter()
        .filter(|(f, _)| !before.contains_key(*f))
        .collect();
    let bytes: u64 = new.iter().map(|(_, size)| *size).sum();
    println!(
        "release 2 of worker added {} files, {bytes} bytes",
        new.len()
    );
    ensure!(new.len() == 2, "not one narinfo and one NAR: {new:?}");
    ensure!(bytes < 64 << 10, "{new:?}");

    // What is not committed is published too, and called what it is.
    lab.repository.write("label", "practice-2\n")?;
    let said = lab.publish("worker")?;
    ensure!(said.status.success(), "it ended with {}", said.status);
    let releases = lab.releases()?;
    let third = releases.last().context("no release")?;
    ensure!(
        third.number == 3 && third.dirty && third.revision.as_deref() == Some(second.as_str()),
        "{third:?}"
    );
    ensure!(third.label == "practice-2", "{third:?}");

    // A file that Git does not know is told of.
    let stray = lab.appliance.dir().join("hosts/profiles/stray.toml");
    fs::write(&stray, WORKER)?;
    let mut check = lab
        .appliance
        .room()
        .command(lab.products.program("pxe-appliance"));
    check.args(["check", "--config", "appliance.toml"]);
    let checked = check.current_dir(lab.appliance.dir()).output()?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    println!("$ pxe-appliance check\n{said}");
    ensure!(checked.status.success(), "{said}");
    ensure!(
        said.contains("tip: git add hosts/profiles/stray.toml"),
        "{said}"
    );
    Ok(())
}

/// One system of a flake that otherwise stays as it is.
const BROKEN: &str = r#"{
  outputs = args: let lab = (import ./lab.nix).outputs args; in lab // {
    nixosConfigurations = lab.nixosConfigurations // {
      server.config.system.build.toplevel = derivation {
        name = "nixos-system-broken"; system = "x86_64-linux"; builder = "/bin/sh";
        args = [ "-c" "echo the kernel does not compile >&2; exit 3" ];
      };
    };
  };
}
"#;

#[test]
fn a_build_that_fails_leaves_everything_as_it_was() -> anyhow::Result<()> {
    let lab = Lab::set("publish-broken", |_| Ok(()))?;
    lab.repository.commit("a good one")?;
    lab.appliance.must("publish")?;
    let events = lab.appliance.must("--json events")?;
    let cache = lab.cache()?;

    // The worker builds, and it is published all the same not.
    let good = fs::read_to_string(lab.appliance.dir().join("flake.nix"))?;
    lab.repository.write("lab.nix", &good)?;
    lab.repository.write("flake.nix", BROKEN)?;
    lab.repository.write("label", "practice-2\n")?;
    lab.repository.commit("a bad one")?;
    let said = lab.publish("")?;
    ensure!(
        said.status.code() == Some(1),
        "it ended with {}",
        said.status
    );
    ensure!(said.stdout.is_empty());
    for words in [
        "nixos-system-broken.drv' failed with exit code 3",
        "> the kernel does not compile",
        "nothing was changed",
    ] {
        ensure!(said.stderr.contains(words), "no `{words}`");
    }
    ensure!(lab.appliance.must("--json events")? == events);
    ensure!(lab.cache()? == cache, "something was copied");
    Ok(())
}

#[test]
fn a_closure_that_does_not_fit_is_refused_before_it_is_copied() -> anyhow::Result<()> {
    let lab = Lab::set("publish-full", |dir| {
        let state = dir.join("state");
        fs::create_dir_all(&state)?;
        let mut mount = Command::new("mount");
        run(mount
            .args(["-t", "tmpfs", "-o", "size=72m", "tmpfs"])
            .arg(state))
    })?;
    lab.repository.commit("too much")?;
    let before = lab.cache()?;
    let said = lab.publish("worker")?;
    ensure!(
        said.status.code() == Some(1),
        "it ended with {}",
        said.status
    );
    for words in [
        "error: the cache's filesystem has too little space",
        "so about ",
        "nothing was changed",
    ] {
        ensure!(said.stderr.contains(words), "no `{words}`");
    }
    ensure!(lab.cache()? == before, "something was copied");
    ensure!(lab.releases()?.is_empty());
    Ok(())
}

#[test]
fn of_two_who_publish_at_once_the_second_waits() -> anyhow::Result<()> {
    let lab = Lab::set("publish-twice", |_| Ok(()))?;
    lab.repository.commit("for both")?;
    let start = || lab.appliance.admin_command("publish").output();
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(start);
        (start(), other.join())
    });
    let two = two.ok().context("it panicked")?;
    let mut unchanged = 0;
    for output in [one?, two?] {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{said}{}", String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "it ended with {}", output.status);
        unchanged += said.matches("nothing changed").count();
    }
    // Two systems and an installer, each new for one of the two.
    ensure!(unchanged == 3, "{unchanged} times nothing changed");
    let releases = lab.releases()?;
    ensure!(
        numbered(&releases) == [("server", 1), ("worker", 1)],
        "{releases:?}"
    );
    Ok(())
}
