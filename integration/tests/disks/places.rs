//! Disks on other cables, and in another order than last time.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::disk::Disk;
use integration::lab::drive::Bus;
use integration::lab::firmware::Firmware::{self, Bios, Uefi};
use integration::lab::products::Images;
use integration::lab::scene::{BOOT, MAC, Scene, Script, WORKER, blank};
use integration::lab::services::Leases::ByRouter;
use netboot::machine::Machine;

use crate::{is_long, the_others_are_unchanged};

fn with_data(dir: &Path, bus: Bus) -> anyhow::Result<Vec<Disk>> {
    Ok(vec![
        blank(dir)?.on(bus),
        Disk::with_data(dir.join("data.disk"), "data", 5120)?.on(bus),
    ])
}

fn record(scene: &Scene) -> anyhow::Result<Machine> {
    scene.appliance.machine(MAC)?.context("not on record")
}

/// The name that the disk of the last plan had then.
fn planned(scene: &Scene) -> anyhow::Result<String> {
    let plan = record(scene)?.attempt.and_then(|attempt| attempt.plan);
    let plan = plan.context("there is no plan")?;
    let chosen = plan.disks.into_iter().next();
    Ok(chosen.context("the plan names no disk")?.disk.node)
}

fn finds_its_disk_in_another_place(name: &str, firmware: Firmware) -> anyhow::Result<()> {
    let mut script = Script::new(name, firmware, ByRouter);
    script.disks = |dir| with_data(dir, Bus::Virtio);
    let mut scene = Scene::set(&script)?;
    scene.enroll()?;
    scene.machine.power_on()?;
    scene.wait_for_joined()?;
    ensure!(planned(&scene)? == "vda");

    scene.machine.cut_power()?;
    scene.machine.reverse_disks()?;
    let boot = |machine: &Machine| machine.generations.last().map(|g| g.boot_id.clone());
    let before = boot(&record(&scene)?);
    scene.machine.power_on()?;
    scene.wait_for("a report of another boot", BOOT, |m| boot(m) != before)?;
    let console = scene.machine.console()?;
    ensure!(console.contains("root is /dev/vdb2"), "{console}");

    scene.machine.cut_power()?;
    scene.appliance.must("reimage node1")?;
    scene.machine.power_on()?;
    scene.wait_for_joined()?;
    ensure!(planned(&scene)? == "vdb");
    scene.machine.cut_power()?;
    the_others_are_unchanged(&scene)?;
    scene.passed()
}

#[test]
fn a_bios_machine_whose_disks_change_places_boots_and_is_installed_on_the_same_disk()
-> anyhow::Result<()> {
    finds_its_disk_in_another_place("other-order-bios", Bios)
}

#[test]
fn a_uefi_machine_whose_disks_change_places_boots_and_is_installed_on_the_same_disk()
-> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    finds_its_disk_in_another_place("other-order-uefi", Uefi)
}

/// From the disk that hangs on this bus, installed and then booted.
fn joins_from(
    name: &str,
    firmware: Firmware,
    needs_all_drivers: bool,
    disks: fn(&Path) -> anyhow::Result<Vec<Disk>>,
) -> anyhow::Result<()> {
    if !is_long() {
        return Ok(());
    }
    let mut script = Script::new(name, firmware, ByRouter);
    script.disks = disks;
    if needs_all_drivers {
        script.images = Images::AllDrivers;
    }
    // A stick is meant only where it is named.
    let by_serial = WORKER.replace(r#"smallest = true, min-size = "2G""#, r#"serial = "root""#);
    script.profile = &by_serial;
    let mut scene = Scene::set(&script)?;
    scene.enroll()?;
    scene.machine.power_on()?;
    let took = scene.wait_for_joined()?;
    println!(
        "{name}: joined after {:.1} s, from {}; {}",
        took.as_secs_f32(),
        planned(&scene)?,
        scene.course()?
    );
    scene.machine.cut_power()?;
    the_others_are_unchanged(&scene)?;
    scene.passed()
}

#[test]
fn a_bios_machine_joins_from_nvme() -> anyhow::Result<()> {
    joins_from("nvme-bios", Bios, false, |dir| with_data(dir, Bus::Nvme))
}

#[test]
fn a_uefi_machine_joins_from_nvme() -> anyhow::Result<()> {
    joins_from("nvme-uefi", Uefi, false, |dir| with_data(dir, Bus::Nvme))
}

#[test]
fn a_bios_machine_joins_from_scsi() -> anyhow::Result<()> {
    joins_from("scsi-bios", Bios, false, |dir| with_data(dir, Bus::Scsi))
}

#[test]
fn a_uefi_machine_joins_from_scsi() -> anyhow::Result<()> {
    joins_from("scsi-uefi", Uefi, false, |dir| with_data(dir, Bus::Scsi))
}

#[test]
fn a_bios_machine_joins_from_sata() -> anyhow::Result<()> {
    joins_from("sata-bios", Bios, true, |dir| with_data(dir, Bus::Sata))
}

#[test]
fn a_uefi_machine_joins_from_sata() -> anyhow::Result<()> {
    joins_from("sata-uefi", Uefi, true, |dir| with_data(dir, Bus::Sata))
}

/// Only because its serial number is in the profile.
#[test]
fn a_bios_machine_joins_from_a_usb_disk_that_is_named() -> anyhow::Result<()> {
    joins_from("usb-bios", Bios, true, |dir| with_data(dir, Bus::Usb))
}

#[test]
fn a_uefi_machine_joins_from_a_usb_disk_that_is_named() -> anyhow::Result<()> {
    joins_from("usb-uefi", Uefi, true, |dir| with_data(dir, Bus::Usb))
}
