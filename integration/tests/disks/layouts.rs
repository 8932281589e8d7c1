//! Each layout, from a blank disk to a machine that boots from it.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::Disk;
use integration::lab::firmware::Firmware::{self, Bios, Uefi};
use integration::lab::scene::{BOOT, MAC, Scene, Script, WORKER, blank};
use integration::lab::services::Leases::ByRouter;
use netboot::machine::Machine;

use crate::is_long;

/// From power-on to a node that runs from its own disk.
fn joins(name: &str, firmware: Firmware, layout: &str, root: &str) -> anyhow::Result<()> {
    let profile = WORKER.replace(r#"layout = "ext4""#, layout);
    let mut script = Script::new(name, firmware, ByRouter);
    script.profile = &profile;
    let mut scene = Scene::set(&script)?;
    let took = install(&mut scene)?;
    println!("{name}: joined after {took:.1} s");
    stands_on(&scene, root)?;
    scene.machine.cut_power()?;
    scene.passed()
}

/// Seconds from power-on to joined.
fn install(scene: &mut Scene) -> anyhow::Result<f32> {
    scene.enroll()?;
    scene.machine.power_on()?;
    Ok(scene.wait_for_joined()?.as_secs_f32())
}

/// What stage 1 of the practice system said of its root.
fn stands_on(scene: &Scene, root: &str) -> anyhow::Result<()> {
    let console = scene.machine.console()?;
    let line = console.lines().rfind(|line| line.contains("root is "));
    let line = line.context("the system never came to its root")?;
    ensure!(line.contains(root), "{line}");
    Ok(())
}

#[test]
fn a_bios_machine_joins_on_btrfs_with_swap() -> anyhow::Result<()> {
    let layout = "layout = \"btrfs\"\nswap = \"256M\"";
    joins("btrfs-bios", Bios, layout, "(btrfs)")
}

#[test]
fn a_uefi_machine_joins_on_btrfs() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    joins("btrfs-uefi", Uefi, "layout = \"btrfs\"", "(btrfs)")
}

#[test]
fn a_bios_machine_joins_on_xfs() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    joins("xfs-bios", Bios, "layout = \"xfs\"", "(xfs)")
}

#[test]
fn a_uefi_machine_joins_on_xfs_with_swap() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    let layout = "layout = \"xfs\"\nswap = \"256M\"";
    joins("xfs-uefi", Uefi, layout, "(xfs)")
}

fn two(dir: &Path) -> anyhow::Result<Vec<Disk>> {
    let second = Disk::blank(dir.join("second.disk"), "second", 4096)?;
    Ok(vec![blank(dir)?, second])
}

/// Either disk may fail: the machine boots from the other.
fn survives(name: &str, firmware: Firmware) -> anyhow::Result<()> {
    let profile = WORKER
        .replace(r#"layout = "ext4""#, r#"layout = "mirror""#)
        .replace(r#"smallest = true, min-size"#, "min-size");
    let mut script = Script::new(name, firmware, ByRouter);
    script.profile = &profile;
    script.disks = two;
    let mut scene = Scene::set(&script)?;
    let took = install(&mut scene)?;
    println!("{name}: joined after {took:.1} s");
    stands_on(&scene, "/dev/md")?;
    let boot = |machine: &Machine| machine.generations.last().map(|g| g.boot_id.clone());
    // One at a time, each with what it had when it was last in the machine.
    for lost in [1, 0] {
        let machine = scene.appliance.machine(MAC)?.context("not on record")?;
        scene.machine.cut_power()?;
        scene.machine.take_out(lost)?;
        let before = boot(&machine);
        scene.machine.power_on()?;
        let what = format!("a boot without disk {lost}");
        scene.wait_for(&what, BOOT, |m| boot(m) != before)?;
        stands_on(&scene, "/dev/md")?;
        println!("{name}: booted without disk {lost}");
    }
    scene.machine.cut_power()?;
    scene.passed()
}

#[test]
fn a_bios_machine_with_a_mirror_survives_the_loss_of_either_disk() -> anyhow::Result<()> {
    survives("mirror-bios", Bios)
}

#[test]
fn a_uefi_machine_with_a_mirror_survives_the_loss_of_either_disk() -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    survives("mirror-uefi", Uefi)
}
