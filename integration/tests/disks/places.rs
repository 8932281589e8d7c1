//! Disks on other cables, and in another order than last time.

use std::path::Path;

use anyhow::{Context as _, ensure};
use integration::lab::bus::Bus;
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::products::Images;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER, blank};
use netboot::api::machine_view::MachineView;

use crate::the_others_are_unchanged;

fn with_data(dir: &Path, bus: Bus) -> anyhow::Result<Vec<VirtualDisk>> {
    Ok(vec![
        blank(dir)?.on(bus),
        VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?.on(bus),
    ])
}

fn record(testbed: &Testbed) -> anyhow::Result<MachineView> {
    testbed.appliance.machine(MAC)?.context("not on record")
}

/// The name that the disk of the last plan had then.
fn planned(testbed: &Testbed) -> anyhow::Result<String> {
    let plan = record(testbed)?.attempt.and_then(|attempt| attempt.plan);
    let plan = plan.context("there is no plan")?;
    let chosen = plan.disks.into_iter().next();
    Ok(chosen.context("the plan names no disk")?.disk.node)
}

fn finds_its_disk_in_another_place(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.disks = |dir| with_data(dir, Bus::Virtio);
    let mut testbed = Testbed::installed(&setup)?;
    ensure!(planned(&testbed)? == "vda");

    testbed.machine.reverse_disks()?;
    let boot = |machine: &MachineView| machine.generations.last().map(|g| g.boot_id.clone());
    let before = boot(&record(&testbed)?);
    testbed.machine.power_on()?;
    testbed.wait_for("a report of another boot", BOOT, |m| boot(m) != before)?;
    let console = testbed.machine.console()?;
    ensure!(console.contains("root is /dev/vdb2"), "{console}");

    testbed.machine.cut_power()?;
    testbed.appliance.must("reimage node1")?;
    testbed.machine.power_on()?;
    testbed.wait_for_joined_by_key()?;
    ensure!(planned(&testbed)? == "vdb");
    testbed.machine.cut_power()?;
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

#[test]
fn a_bios_machine_whose_disks_change_places_boots_and_is_installed_on_the_same_disk()
-> anyhow::Result<()> {
    finds_its_disk_in_another_place("other-order-bios", Bios)
}

#[test]
#[ignore = "long: two installs and a boot on UEFI, 6 min"]
fn a_uefi_machine_whose_disks_change_places_boots_and_is_installed_on_the_same_disk()
-> anyhow::Result<()> {
    finds_its_disk_in_another_place("other-order-uefi", Uefi)
}

/// From the disk that hangs on this bus, installed and then booted.
fn joins_from(
    name: &str,
    firmware: VmFirmware,
    needs_all_drivers: bool,
    disks: fn(&Path) -> anyhow::Result<Vec<VirtualDisk>>,
) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.disks = disks;
    if needs_all_drivers {
        setup.images = Images::AllDrivers;
    }
    // A stick is meant only where it is named.
    let by_serial = WORKER.replace(r#"smallest = true, min-size = "2G""#, r#"serial = "root""#);
    setup.profile = &by_serial;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?;
    println!(
        "{name}: joined after {:.1} s, from {}; {}",
        took.as_secs_f32(),
        planned(&testbed)?,
        testbed.timing()?
    );
    testbed.machine.cut_power()?;
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

#[test]
#[ignore = "long: an install on BIOS, 2 min"]
fn a_bios_machine_joins_from_nvme() -> anyhow::Result<()> {
    joins_from("nvme-bios", Bios, false, |dir| with_data(dir, Bus::Nvme))
}

#[test]
#[ignore = "long: an install on UEFI, 3 min"]
fn a_uefi_machine_joins_from_nvme() -> anyhow::Result<()> {
    joins_from("nvme-uefi", Uefi, false, |dir| with_data(dir, Bus::Nvme))
}

#[test]
#[ignore = "long: an install on BIOS, 2 min"]
fn a_bios_machine_joins_from_scsi() -> anyhow::Result<()> {
    joins_from("scsi-bios", Bios, false, |dir| with_data(dir, Bus::Scsi))
}

#[test]
#[ignore = "long: an install on UEFI, 3 min"]
fn a_uefi_machine_joins_from_scsi() -> anyhow::Result<()> {
    joins_from("scsi-uefi", Uefi, false, |dir| with_data(dir, Bus::Scsi))
}

#[test]
#[ignore = "long: an install on BIOS with the kernel that has all drivers, 4 min"]
fn a_bios_machine_joins_from_sata() -> anyhow::Result<()> {
    joins_from("sata-bios", Bios, true, |dir| with_data(dir, Bus::Sata))
}

#[test]
#[ignore = "long: an install on UEFI with the kernel that has all drivers, 6 min"]
fn a_uefi_machine_joins_from_sata() -> anyhow::Result<()> {
    joins_from("sata-uefi", Uefi, true, |dir| with_data(dir, Bus::Sata))
}

/// Only because its serial number is in the profile.
#[test]
#[ignore = "long: an install on BIOS with the kernel that has all drivers, 4 min"]
fn a_bios_machine_joins_from_a_usb_disk_that_is_named() -> anyhow::Result<()> {
    joins_from("usb-bios", Bios, true, |dir| with_data(dir, Bus::Usb))
}

#[test]
#[ignore = "long: an install on UEFI with the kernel that has all drivers, 6 min"]
fn a_uefi_machine_joins_from_a_usb_disk_that_is_named() -> anyhow::Result<()> {
    joins_from("usb-uefi", Uefi, true, |dir| with_data(dir, Bus::Usb))
}
