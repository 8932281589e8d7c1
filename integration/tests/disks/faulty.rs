//! Disks that fail: the report names the step, the disk and the error, and the machine is held.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::Disk;
use integration::lab::drive::Bus;
use integration::lab::firmware::Firmware::Bios;
use integration::lab::scene::{BOOT, MAC, Scene, Script, blank};
use integration::lab::services::Leases::ByRouter;
use netboot::report::{Outcome, Step};

use crate::{is_long, the_others_are_unchanged};

const MIB: u64 = 1 << 20;
/// Where the root partition begins on a BIOS machine: after the table and the partition for GRUB.
const ROOT: u64 = 2 * MIB / 512;

fn with_data(dir: &Path, root: Disk) -> anyhow::Result<Vec<Disk>> {
    Ok(vec![
        root,
        Disk::with_data(dir.join("data.disk"), "data", 5120)?,
    ])
}

fn enrolled(name: &str, disks: fn(&Path) -> anyhow::Result<Vec<Disk>>) -> anyhow::Result<Scene> {
    let mut script = Script::new(name, Bios, ByRouter);
    script.disks = disks;
    let mut scene = Scene::set(&script)?;
    scene.enroll()?;
    scene.machine.power_on()?;
    Ok(scene)
}

fn begins_to_copy(scene: &mut Scene) -> anyhow::Result<()> {
    scene.wait_for("the copy to begin", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| {
            a.progress.step == Some(Step::Copy) && a.progress.outcome != Some(Outcome::Done)
        })
    })?;
    Ok(())
}

/// What is said of the failure has all of these, and it is of one of the steps; nothing else was touched.
fn is_told(mut scene: Scene, steps: &[Step], words: &[&str]) -> anyhow::Result<()> {
    let said = scene.wait_for_failure(1)?;
    let machine = scene.appliance.machine(MAC)?.context("not on record")?;
    let step = machine.attempt.and_then(|a| a.progress.step);
    ensure!(
        step.is_some_and(|step| steps.contains(&step)),
        "it failed in {step:?}, not in {steps:?}: {said}"
    );
    for word in words {
        ensure!(said.contains(word), "`{word}` is not said:\n{said}");
    }
    scene.machine.wait_for_console("INSTALL FAILED", BOOT)?;
    scene.machine.cut_power()?;
    the_others_are_unchanged(&scene)?;
    scene.passed()
}

#[test]
fn a_sector_that_cannot_be_written_ends_the_install_in_the_step_that_meets_it() -> anyhow::Result<()>
{
    let scene = enrolled("bad-sector", |dir| {
        with_data(dir, blank(dir)?.with_bad_sectors([ROOT + 2])?)
    })?;
    let words = ["`/dev/vda2`", "serial `root`", "Input/output error"];
    is_told(scene, &[Step::Partition], &words)
}

#[test]
fn a_disk_that_is_pulled_out_while_copying_is_named_as_gone() -> anyhow::Result<()> {
    let mut scene = enrolled("pulled-out", |dir| {
        with_data(dir, blank(dir)?.on(Bus::Scsi))
    })?;
    begins_to_copy(&mut scene)?;
    scene.machine.pull_out(0)?;
    let words = [
        "`sda` is not the disk of the plan any more",
        "it is gone",
        "serial `root`",
    ];
    let steps = [Step::Copy, Step::Configure, Step::BootLoader, Step::Unmount];
    is_told(scene, &steps, &words)
}

/// The file system takes it, and only when it is asked at the end it says that it could not write.
#[test]
fn sectors_that_cannot_be_written_are_noticed_even_if_only_at_the_end() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    let scene = enrolled("bad-sectors", |dir| {
        let bad = (40..400).map(|mib| ROOT + mib * MIB / 512);
        with_data(dir, blank(dir)?.with_bad_sectors(bad)?)
    })?;
    let steps = [
        Step::Format,
        Step::Copy,
        Step::Configure,
        Step::BootLoader,
        Step::Unmount,
    ];
    is_told(scene, &steps, &["serial `root`"])
}

#[test]
fn a_disk_that_becomes_smaller_is_not_the_one_of_the_plan_any_more() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    let mut scene = enrolled("shrunk", |dir| with_data(dir, blank(dir)?))?;
    begins_to_copy(&mut scene)?;
    scene.machine.resize(0, 2048)?;
    let words = [
        "`vda` is not the disk of the plan any more",
        "2147483648 bytes",
    ];
    is_told(
        scene,
        &[Step::Copy, Step::Configure, Step::BootLoader],
        &words,
    )
}

#[test]
fn a_disk_that_is_read_only_is_no_candidate() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    let scene = enrolled("read-only", |dir| {
        let root = Disk {
            read_only: true,
            ..blank(dir)?
        };
        let data = Disk {
            read_only: true,
            ..Disk::with_data(dir.join("data.disk"), "data", 5120)?
        };
        Ok(vec![root, data])
    })?;
    is_told(
        scene,
        &[Step::Plan],
        &["no disk matches `select`", "serial root, read-only"],
    )
}
