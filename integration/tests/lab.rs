//! The lab itself: what a machine does on a LAN without a boot server.

use std::time::Duration;

use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware;
use integration::lab::lan::{self, LanNamespace, ROUTER};
use integration::lab::machine::{Card, MachineSpec, VirtualMachine};
use integration::lab::namespaces::enter_namespaces;
use integration::lab::nvram::FirstBoot;
use integration::lab::services::{self, DhcpSetup};
use integration::lab::testbed::MAC;
use integration::lab::wait::wait_until;

/// How long a blank machine takes to ask, and to turn to its disk when nobody has an answer.
fn ask_in_vain(firmware: VmFirmware) -> anyhow::Result<()> {
    enter_namespaces()?;
    let dir = tempfile::tempdir()?;
    lan::switch()?;
    let home = LanNamespace::new("router", ROUTER, &dir.path().join("rooms"))?;
    let _router = services::router(&home, DhcpSetup::ByRouter, dir.path())?;
    let build = MachineSpec {
        firmware,
        mac: MAC.to_owned(),
        uuid: "5e0c1d6a-7a0b-4c3e-9a55-525400123456".to_owned(),
        serial: "LAB-0001".to_owned(),
        memory_mib: 256,
        disks: vec![VirtualDisk::blank(dir.path().join("disk"), "root", 1024)?],
        disks_reversed: false,
        taken_out: None,
        first: FirstBoot::Network,
        card: Card::Virtio,
        stray_card: false,
        tpm: false,
        keyboard: false,
    };
    let mut machine = VirtualMachine::new(build, "tap0", dir.path())?;
    machine.power_on()?;
    wait_until(
        "a DISCOVER of a PXE client",
        Duration::from_secs(60),
        || {
            machine.still_runs()?;
            let seen = std::fs::read_to_string(dir.path().join("router.log"))?;
            Ok((seen.contains("PXEClient") && seen.contains(MAC)).then_some(()))
        },
    )?;
    println!(
        "{firmware}: {:.1} s to the first DISCOVER",
        machine.uptime().as_secs_f32()
    );
    let disk = if firmware == VmFirmware::Bios {
        "Booting from Hard Disk"
    } else {
        "\"Disk\""
    };
    machine.wait_for_console(disk, Duration::from_secs(120))?;
    println!(
        "{firmware}: {:.1} s to the disk",
        machine.uptime().as_secs_f32()
    );
    Ok(())
}

#[test]
fn a_uefi_machine_that_nobody_answers_boots_its_disk() -> anyhow::Result<()> {
    ask_in_vain(VmFirmware::Uefi)
}

#[test]
fn a_bios_machine_that_nobody_answers_boots_its_disk() -> anyhow::Result<()> {
    ask_in_vain(VmFirmware::Bios)
}
