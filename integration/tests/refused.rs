//! Installs that must not be: no disk or two that fit, a cache that is not the appliance's or does not answer.

use std::fs;

use anyhow::{Context as _, ensure};
use integration::lab::disk::Disk;
use integration::lab::firmware::Firmware::Bios;
use integration::lab::scene::{BOOT, MAC, Scene, Script, WORKER, blank};
use integration::lab::search::files;
use integration::lab::services::Leases::ByRouter;
use integration::lab::wait::wait_for;
use netboot::install::report::{Outcome, Step};
use netboot::machine::Machine;

/// Changes the disk that the profile selects, as an operator would, and waits until that is in force.
fn select(scene: &Scene, select: &str) -> anyhow::Result<()> {
    let text = WORKER.replace(r#"{ smallest = true, min-size = "2G" }"#, select);
    ensure!(text != WORKER, "the profile has no `select` to change");
    let before = fs::read_to_string(&scene.appliance.log)?.len();
    fs::write(
        scene.appliance.dir().join("hosts/profiles/worker.toml"),
        text,
    )?;
    wait_for("the appliance to take the changed profile", BOOT, || {
        let log = fs::read_to_string(&scene.appliance.log)?;
        Ok(log[before..].contains("profiles read again"))
    })
}

#[test]
fn a_machine_without_the_one_disk_that_is_meant_is_left_as_it_is() -> anyhow::Result<()> {
    let mut script = Script::new("no-disk", Bios, ByRouter);
    let none = WORKER.replace("smallest = true, min-size = \"2G\"", "min-size = \"100G\"");
    script.profile = &none;
    script.disks = |dir| {
        let with_data = |name: &str| Disk::with_data(dir.join(format!("{name}.disk")), name, 3072);
        Ok(vec![with_data("first")?, with_data("second")?])
    };
    let mut scene = Scene::set(&script)?;
    scene.enroll()?;
    scene.machine.power_on()?;
    let said = scene.wait_for_failure(1)?;
    ensure!(
        said.contains("no disk matches `select` of profile `worker`"),
        "{said}"
    );
    ensure!(
        said.contains("first") && said.contains("second"),
        "the disks are not listed: {said}"
    );
    // The machine says it too, to whoever stands before it.
    scene
        .machine
        .wait_for_console("no disk matches `select` of profile `worker`", BOOT)?;
    scene.machine.cut_power()?;

    select(&scene, r#"{ min-size = "2G" }"#)?;
    scene.machine.power_on()?;
    let said = scene.wait_for_failure(2)?;
    ensure!(
        said.contains("2 disks match `select` of profile `worker`"),
        "{said}"
    );
    scene.machine.cut_power()?;
    for disk in &scene.machine.build().disks {
        disk.check_unchanged()?;
    }
    scene.passed()
}

#[test]
fn a_system_that_the_appliance_did_not_sign_is_not_installed() -> anyhow::Result<()> {
    let mut scene = Scene::set(&Script::new("wrong-signature", Bios, ByRouter))?;
    scene.enroll()?;
    let mut forged = 0;
    for file in files(&scene.appliance.dir().join("state"))? {
        if file.extension().is_none_or(|e| e != "narinfo") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let (name, signature) = text
            .lines()
            .find_map(|line| line.strip_prefix("Sig: ")?.split_once(':'))
            .with_context(|| format!("`{}` is not signed", file.display()))?;
        // Well-formed, of the right key's name, and wrong.
        let wrong: String = signature.chars().rev().skip_while(|c| *c == '=').collect();
        fs::write(
            &file,
            text.replace(&format!("{name}:{signature}"), &format!("{name}:{wrong}==")),
        )?;
        forged += 1;
    }
    ensure!(forged > 0, "no signature was there to be forged");
    scene.machine.power_on()?;
    let said = scene.wait_for_failure(1)?;
    ensure!(
        said.contains("the cache holds a path that its key did not sign"),
        "{said}"
    );
    scene.machine.cut_power()?;
    let shown: Machine = scene.appliance.ask("show node1")?;
    ensure!(
        shown.generations.is_empty() && shown.installed.is_none(),
        "half installed: {shown:?}"
    );
    scene.passed()
}

#[test]
fn a_cache_that_does_not_answer_is_tried_again_until_it_does() -> anyhow::Result<()> {
    let mut scene = Scene::set(&Script {
        disks: |dir| Ok(vec![blank(dir)?]),
        ..Script::new("away-cache", Bios, ByRouter)
    })?;
    scene.enroll()?;
    scene.machine.power_on()?;
    scene.wait_for("the plan to be made", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.plan.is_some())
    })?;
    scene.block_http(true)?;
    let retried = scene.wait_for("the copy to be tried again", BOOT, |m| {
        let progress = m.attempt.as_ref().map(|a| &a.progress);
        progress.is_some_and(|p| {
            p.step == Some(Step::Copy) && matches!(p.outcome, Some(Outcome::Retry { .. }))
        })
    })?;
    println!("{:?}", retried.attempt.map(|a| a.progress));
    scene.block_http(false)?;
    println!(
        "joined after {:.1} s",
        scene.wait_for_joined()?.as_secs_f32()
    );
    let machine = scene
        .appliance
        .machine(MAC)?
        .context("the machine is not on record")?;
    ensure!(
        machine.attempt.is_some_and(|a| a.number == 1),
        "it took another attempt"
    );
    scene.passed()
}
