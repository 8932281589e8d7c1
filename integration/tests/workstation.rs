//! A lab that is kept on a workstation: built there, sent to the appliance over the admin API, installed from it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::lab::command::run;
use integration::lab::firmware::VmFirmware::Bios;
use integration::lab::lan::{APPLIANCE, LanNamespace};
use integration::lab::process::Process;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER};
use integration::lab::wait::wait_for;
use integration::lab::workstation::{WORKSTATION, Workstation};
use netboot::api::types::Releases;

/// How long a part of an upload may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A testbed whose appliance serves the admin API on the LAN, and a workstation beside it. `before` is done with the
/// appliance's state-dir ahead of its start.
fn set(
    name: &str,
    before: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<(Testbed, Workstation)> {
    let mut testbed = Testbed::new(&Setup::new(name, Bios, ByRouter))?;
    testbed.appliance.stop()?;
    before(&testbed.appliance.dir().join("state"))?;
    let file = testbed.appliance.dir().join("appliance.toml");
    let text = fs::read_to_string(&file)?;
    let socket = "socket = \"admin.sock\"\n";
    ensure!(text.contains(socket), "{text}");
    let more = format!("{socket}listen = \"{APPLIANCE}:8444\"\n");
    fs::write(&file, text.replace(socket, &more))?;
    testbed.appliance.start()?;
    let room = LanNamespace::new("workstation", WORKSTATION, &testbed.dir.join("rooms"))?;
    let token = testbed.appliance.dir().join("state/admin.token");
    let dir = testbed.dir.join("workstation");
    fs::create_dir_all(&dir)?;
    let workstation = Workstation::new(room, &testbed.products, dir, &token)?;
    workstation
        .repository
        .write("hosts/profiles/worker.toml", WORKER)?;
    // Another system each time: what this machine's own Nix store has from before would need no workstation.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let label = format!("workstation-{}\n", now.as_nanos());
    workstation.repository.write("label", &label)?;
    Ok((testbed, workstation))
}

fn releases(testbed: &Testbed) -> anyhow::Result<Releases> {
    testbed.appliance.ask::<Releases>("releases")
}

/// Files of a folder by name, with the number that stays the same only if they are not written anew.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // It may get another name meanwhile.
        let about = entry.metadata();
        if let Some(about) = about.ok().filter(fs::Metadata::is_file) {
            files.insert(entry.path(), about.ino());
        }
    }
    Ok(files)
}

fn narinfos(cache: &Path) -> anyhow::Result<usize> {
    let is = |file: &&PathBuf| file.extension().is_some_and(|end| end == "narinfo");
    Ok(files(cache)?.keys().filter(is).count())
}

/// What comes in for the admin API is no faster than this from now on, so that there is a middle to break off in.
fn slow(testbed: &Testbed, mib: u32) -> anyhow::Result<()> {
    let rules = format!(
        "add table inet slow; flush table inet slow; \
         add chain inet slow in {{ type filter hook input priority 0; }}; \
         add rule inet slow in tcp dport 8444 limit rate over {mib} mbytes/second drop"
    );
    run(testbed.appliance.room().command("nft").arg(rules))
}

fn fast(testbed: &Testbed) -> anyhow::Result<()> {
    run(testbed
        .appliance
        .room()
        .command("nft")
        .arg("delete table inet slow"))
}

/// `pxe-admin publish` at the workstation, which goes on beside the test.
fn begin(workstation: &Workstation) -> anyhow::Result<Process> {
    let mut command = workstation.admin_command("publish --flake .");
    let log = fs::File::create(workstation.dir().join("publish.log"))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::spawn("pxe-admin publish", &mut command)
}

/// Every octet of a release, as Nix sees it.
fn is_whole(testbed: &Testbed, toplevel: &str) -> anyhow::Result<()> {
    let cache = testbed.appliance.dir().join("state/cache");
    let mut verify = std::process::Command::new("nix");
    verify
        .args(["store", "verify", "--recursive", "--no-trust", "--store"])
        .arg(format!("file://{}", cache.display()))
        .arg(toplevel)
        .envs(testbed.products.env.clone());
    run(&mut verify)
}

fn refuses_strangers(testbed: &Testbed, workstation: &Workstation) -> anyhow::Result<()> {
    let token = workstation.dir().join("token");
    let text = fs::read_to_string(&token)?;
    let place = text.lines().nth(1).context("no place in the token file")?;
    let wrong = workstation.dir().join("wrong-token");
    fs::write(&wrong, format!("{}\n{place}\n", "0".repeat(64)))?;
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600))?;
    let pin = format!("sha256/{}=", "A".repeat(43));
    for (words, exit, want) in [
        (
            format!("publish --flake . --token-file {}", wrong.display()),
            1,
            "the token is not that of this appliance",
        ),
        (
            format!("publish --flake . --appliance https://{APPLIANCE}:8444#{pin}"),
            3,
            "is not your appliance",
        ),
    ] {
        let said = workstation.admin(&words)?;
        ensure!(said.status.code() == Some(exit), "{}", said.status);
        ensure!(said.stderr.contains(want), "no `{want}`");
    }
    let known = releases(testbed)?;
    ensure!(known.releases.is_empty() && known.installers.is_empty());
    Ok(())
}

/// An installer with another command line, of a kernel and an initrd that are sent again.
fn another_installer(workstation: &Workstation) -> anyhow::Result<()> {
    let file = workstation.lab().join("flake.nix");
    let text = fs::read_to_string(&file)?;
    let old = "ln -s ${part given.installer}/$f; done\"";
    ensure!(text.contains(old), "{text}");
    let new = "ln -s ${part given.installer}/$f; done; rm cmdline initrd; \
               echo $(cat ${part given.installer}/cmdline) lab.second=1 >cmdline; \
               (cat ${part given.installer}/initrd; head -c 16777216 /dev/zero) >initrd\"";
    let changed = text.replace(old, new);
    workstation.repository.write("flake.nix", &changed)
}

#[test]
fn a_machine_joins_that_installs_what_a_workstation_published() -> anyhow::Result<()> {
    let (mut testbed, workstation) = set("workstation", |_| Ok(()))?;
    let first = workstation.repository.commit("from a workstation")?;
    refuses_strangers(&testbed, &workstation)?;
    let said = workstation.admin("publish --flake . --dry-run")?;
    ensure!(said.status.success(), "{}", said.status);
    for words in [
        "`worker` would get release 1",
        "the installer for x86_64 would be /nix/store/",
        "the first one",
    ] {
        ensure!(said.stdout.contains(words), "no `{words}`");
    }
    let cache = testbed.appliance.dir().join("state/cache");
    ensure!(narinfos(&cache)? == 0, "a dry run sent something");

    // The appliance dies in the middle of the first upload, then whoever publishes.
    slow(&testbed, 6)?;
    let mut publishing = begin(&workstation)?;
    wait_for("a path to arrive", LIMIT, || Ok(narinfos(&cache)? > 0))?;
    testbed.appliance.kill()?;
    publishing.kill()?;
    testbed.appliance.start()?;
    let before = narinfos(&cache)?;
    let mut publishing = begin(&workstation)?;
    wait_for("another path to arrive", LIMIT, || {
        Ok(narinfos(&cache)? > before)
    })?;
    publishing.kill()?;
    fast(&testbed)?;
    ensure!(releases(&testbed)?.releases.is_empty(), "half a release");
    let there = files(&cache.join("nar"))?;
    let had = narinfos(&cache)?;

    let said = workstation.admin("publish --flake .")?;
    ensure!(said.status.success(), "{}", said.status);
    let all = narinfos(&cache)?;
    println!("{had} of {all} paths were there already");
    let after = files(&cache.join("nar"))?;
    for (name, number) in &there {
        ensure!(after.get(name) == Some(number), "{name:?} was sent again");
    }
    let known = releases(&testbed)?;
    let [release] = &known.releases[..] else {
        anyhow::bail!("{known:?}");
    };
    let [installer] = &known.installers[..] else {
        anyhow::bail!("{known:?}");
    };
    ensure!(release.revision.as_deref() == Some(first.as_str()));
    ensure!(installer.source.revision.as_deref() == Some(first.as_str()));
    let toplevel = release.toplevel.as_str();
    ensure!(
        !Path::new(toplevel).exists(),
        "the appliance has it in a store of its own"
    );
    is_whole(&testbed, toplevel)?;

    // A second installer, and the appliance dies in the middle of it: machines boot the first.
    another_installer(&workstation)?;
    workstation.repository.write("label", "second\n")?;
    let second = workstation.repository.commit("another installer")?;
    slow(&testbed, 6)?;
    let incoming = testbed.appliance.dir().join("state/installers/incoming");
    let mut publishing = begin(&workstation)?;
    wait_for("the middle of the initrd", LIMIT, || {
        let (halves, whole): (Vec<_>, Vec<_>) = files(&incoming)?
            .into_keys()
            .partition(|file| file.extension().is_some_and(|end| end == "half"));
        let is_large = |file: &PathBuf| fs::metadata(file).is_ok_and(|m| m.len() > 8 << 20);
        // The kernel comes first.
        Ok(whole.len() == 1 && halves.iter().any(is_large))
    })?;
    testbed.appliance.kill()?;
    wait_for("pxe-admin to give up", LIMIT, || {
        Ok(publishing.ended()?.is_some())
    })?;
    let words = fs::read_to_string(workstation.dir().join("publish.log"))?;
    println!("{words}");
    ensure!(words.contains("error: "), "it did not say why it ended");
    testbed.appliance.start()?;
    fast(&testbed)?;
    let known = releases(&testbed)?;
    ensure!(known.installers == [installer.clone()], "{known:?}");
    is_whole(&testbed, toplevel)?;
    let waiting = files(&incoming)?;
    ensure!(waiting.len() == 1, "not the kernel alone: {waiting:?}");

    let said = workstation.admin("publish --flake .")?;
    ensure!(said.status.success(), "{}", said.status);
    ensure!(
        !said.stderr.contains("the installer's kernel"),
        "it was sent again"
    );
    let known = releases(&testbed)?;
    let newest = known.installers.last().context("no installer")?;
    ensure!(newest.source.revision.as_deref() == Some(second.as_str()));
    ensure!(known.installers.len() == 2, "{known:?}");
    println!("{}", testbed.appliance.must("releases")?);

    // What is installed is of the workstation, all of it.
    testbed
        .appliance
        .must(&format!("enroll {MAC} --profile worker --name node1"))?;
    testbed.machine.power_on()?;
    testbed.wait_for("the boot script to be sent", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.served.is_some())
    })?;
    let script = testbed.appliance.fetch(&format!("/boot.ipxe?mac={MAC}"))?;
    ensure!(script.contains(" lab.second=1"), "{script}");
    let took = testbed.wait_for_joined()?;
    println!("joined after {:.1} s", took.as_secs_f32());
    let release = known.releases.last().context("no release")?;
    let node = testbed.appliance.machine(MAC)?.context("no machine")?;
    ensure!(
        node.generations
            .iter()
            .all(|g| g.store_path == release.toplevel),
        "{:?}",
        node.generations
    );
    testbed.passed()
}

/// One system of a flake that otherwise stays as it is; `@…@` is what differs.
const BROKEN: &str = r#"{
  outputs = args: let lab = (import ./lab.nix).outputs args; in lab // {
    nixosConfigurations.worker.config.system.build.toplevel = @toplevel@;
  };
}
"#;

const FAILS: &str = r#"derivation {
  name = "nixos-system-fails"; system = "x86_64-linux"; builder = "/bin/sh";
  args = [ "-c" "echo the kernel does not compile >&2; exit 3" ];
}"#;

const HALF: &str = r#"derivation {
  name = "nixos-system-half"; system = "x86_64-linux"; builder = "/bin/sh";
  args = [ "-c" "echo no system >$out" ];
}"#;

#[test]
fn what_a_workstation_cannot_publish_leaves_the_appliance_as_it_was() -> anyhow::Result<()> {
    let (testbed, workstation) = set("workstation-refused", |state| {
        run(std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=72m", "tmpfs"])
            .arg(state))
    })?;
    let state = testbed.appliance.dir().join("state");
    let (cache, incoming) = (state.join("cache"), state.join("installers/incoming"));
    let nothing_came = || -> anyhow::Result<()> {
        let known = releases(&testbed)?;
        ensure!(known.releases.is_empty() && known.installers.is_empty());
        ensure!(narinfos(&cache)? == 0, "a path was sent");
        ensure!(files(&cache.join("nar"))?.is_empty(), "a NAR was sent");
        ensure!(files(&incoming)?.is_empty(), "an installer was sent");
        Ok(())
    };
    let good = fs::read_to_string(workstation.lab().join("flake.nix"))?;
    workstation.repository.write("lab.nix", &good)?;
    let broken = |toplevel: &str| BROKEN.replace("@toplevel@", toplevel);
    for (what, flake, want) in [
        (
            "more than the disk holds",
            good.clone(),
            "the cache's filesystem has too little space",
        ),
        (
            "a flake that is none",
            "{ outputs = { self }: {".to_owned(),
            "syntax error, unexpected end of file",
        ),
        (
            "a system that does not evaluate",
            broken("throw \"the option `services.foo' does not exist\""),
            "the option `services.foo' does not exist",
        ),
        (
            "a system that does not build",
            broken(FAILS),
            "> the kernel does not compile",
        ),
        (
            "a system that is none",
            broken(HALF),
            "is not a NixOS system",
        ),
    ] {
        workstation.repository.write("flake.nix", &flake)?;
        workstation.repository.commit(what)?;
        let said = workstation.admin("publish --flake .")?;
        ensure!(said.status.code() == Some(1), "{what}: {}", said.status);
        ensure!(said.stdout.is_empty(), "{what}");
        for words in [want, "nothing was changed"] {
            ensure!(said.stderr.contains(words), "{what}: no `{words}`");
        }
        nothing_came().with_context(|| what.to_owned())?;
    }

    // With a larger disk, and two who publish it at once.
    run(std::process::Command::new("mount")
        .args(["-o", "remount,size=600m"])
        .arg(&state))?;
    workstation.repository.write("flake.nix", &good)?;
    workstation.repository.commit("for both")?;
    let publish = || workstation.admin("publish --flake .");
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(publish);
        (publish(), other.join())
    });
    let mut unchanged = 0;
    for said in [one?, two.ok().context("it panicked")??] {
        ensure!(said.status.success(), "it ended with {}", said.status);
        unchanged += said.stdout.matches("nothing changed").count();
    }
    // A system and an installer, each new for one of the two.
    ensure!(unchanged == 2, "{unchanged} times nothing changed");
    let known = releases(&testbed)?;
    ensure!(
        known.releases.len() == 1 && known.installers.len() == 1,
        "{known:?}"
    );
    is_whole(&testbed, known.releases[0].toplevel.as_str())?;
    testbed.passed()
}
