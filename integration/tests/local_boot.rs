//! Machines that the network gets hold of at every boot, because their router leads everybody to iPXE: silence does not bring
//! them to their disk, so iPXE is sent there, by the way that works. And firmware that puts its disk first.

use std::time::Duration;

use anyhow::{bail, ensure};
use integration::lab::firmware::Firmware::{self, Bios, Uefi};
use integration::lab::products::Products;
use integration::lab::scene::{BOOT, Scene, Script};
use integration::lab::services::Leases::{self, ByRouter, ByRouterWithIpxe, ByRouterWithNewIpxe};
use netboot::loader::local_boot::{Left, Loader, LocalBoot, Way};
use netboot::loader::uefi::boot_order::{TITLE, trouble};
use netboot::machine::Machine;

/// Installed, and up from its own disk for the first time.
fn joined(name: &str, firmware: Firmware, leases: Leases) -> anyhow::Result<Scene> {
    let mut scene = Scene::set(&Script::new(name, firmware, leases))?;
    scene.enroll()?;
    scene.machine.power_on()?;
    let took = scene.wait_for_joined()?;
    println!("{name}: joined after {:.1} s", took.as_secs_f32());
    Ok(scene)
}

/// Waits until it is known to have come to its disk by this way.
fn comes_by(scene: &mut Scene, loader: Loader, way: Way) -> anyhow::Result<()> {
    let known = LocalBoot::worked(Left { loader, way });
    let came = |machine: &Machine| machine.local_boot.as_ref() == Some(&known);
    scene.wait_for(&format!("it to come to its disk by {way}"), BOOT, came)?;
    let took = scene.machine.uptime().as_secs_f32();
    println!("came to its disk by {way}, known {took:.1} s after power-on");
    Ok(())
}

fn is_sent_to_its_disk_at_every_boot(
    name: &str,
    firmware: Firmware,
    loader: Loader,
    way: Way,
) -> anyhow::Result<()> {
    let mut scene = joined(name, firmware, ByRouterWithIpxe)?;
    comes_by(&mut scene, loader, way)?;
    // Another day: it netboots again, and is up again.
    let before: Machine = scene.appliance.ask("show node1")?;
    scene.machine.cut_power()?;
    scene.machine.power_on()?;
    scene.wait_for("a report of another boot", BOOT, |m| {
        m.boot_id != before.boot_id
    })?;
    let shown = scene.appliance.must("show node1")?;
    println!("{shown}");
    ensure!(
        shown.contains(&format!(
            "sent to its disk by {way}: joined; boots its own disk"
        )),
        "iPXE did not ask for its script this time:\n{shown}"
    );
    ensure!(
        shown.contains(&format!("by {way} ({loader}), which worked")),
        "{shown}"
    );
    scene.passed()
}

#[test]
fn a_bios_machine_that_always_runs_ipxe_is_sent_to_its_disk() -> anyhow::Result<()> {
    is_sent_to_its_disk_at_every_boot("bios-ipxe", Bios, Loader::IpxeBios, Way::FirstDisk)
}

#[test]
fn a_uefi_machine_that_always_runs_ipxe_is_sent_to_its_disk() -> anyhow::Result<()> {
    if std::env::var_os("NETBOOT_LONG").is_none() {
        println!("skipped: it takes long, and runs with NETBOOT_LONG=1");
        return Ok(());
    }
    is_sent_to_its_disk_at_every_boot("uefi-ipxe", Uefi, Loader::IpxeUefi, Way::NextEntry)
}

/// The firmware's next entry is a shell, where it stops until somebody switches it off and on. The way worked when the
/// machine was new, so it is tried a second time.
#[test]
fn a_uefi_machine_whose_next_boot_entry_leads_nowhere_is_sent_to_its_disk_by_another_way()
-> anyhow::Result<()> {
    if !Products::find()?.new_ipxe().join("snponly.efi").exists() {
        println!("skipped: no iPXE that finds local disks on UEFI (integration/setup)");
        return Ok(());
    }
    let mut scene = joined("uefi-next-way", Uefi, ByRouterWithNewIpxe)?;
    comes_by(&mut scene, Loader::IpxeUefi, Way::NextEntry)?;
    scene.machine.cut_power()?;
    scene
        .machine
        .put_first(&["Network (PXE over IPv4)", "EFI Internal Shell"])?;
    for _ in 0..2 {
        scene.machine.power_on()?;
        scene.machine.wait_for_console("Shell>", BOOT)?;
        scene.machine.cut_power()?;
    }
    scene.machine.power_on()?;
    comes_by(&mut scene, Loader::IpxeUefi, Way::EspLoader)?;
    let events = scene.appliance.must("events node1")?;
    let failed = format!(
        "did not get to its disk by {} (iPXE on UEFI): it asked the network again",
        Way::NextEntry
    );
    ensure!(events.contains(&failed), "{events}");
    scene.appliance.must("doctor node1")?;
    scene.passed()
}

/// What firmware does by itself after an update, and people in its menu.
#[test]
fn firmware_that_puts_the_disk_before_the_network_is_noticed_at_its_next_boot() -> anyhow::Result<()>
{
    let mut scene = joined("boot-order", Uefi, ByRouter)?;
    scene.machine.cut_power()?;
    scene.machine.put_first(&[TITLE])?;
    scene.machine.power_on()?;
    let machine = scene.wait_for("the node to tell its boot order", BOOT, |m| {
        trouble(&m.boot_order).is_some()
    })?;
    let Some(trouble) = trouble(&machine.boot_order) else {
        bail!("the order is in order: {:?}", machine.boot_order);
    };
    println!("{trouble}");
    for (command, exit) in [("show node1", 0), ("events node1", 0), ("doctor node1", 1)] {
        let said = scene.appliance.admin(command)?;
        println!("{}", said.stdout);
        ensure!(
            said.stdout.contains(&trouble) && said.status.code() == Some(exit),
            "`{command}` ends with {} and says:\n{}",
            said.status,
            said.stdout
        );
    }

    scene.machine.shut_down(Duration::from_secs(60))?;
    scene.machine.put_first(&["Network (PXE over IPv4)"])?;
    scene.machine.power_on()?;
    scene.wait_for("the node to tell that it was mended", BOOT, |m| {
        netboot::loader::uefi::boot_order::trouble(&m.boot_order).is_none()
    })?;
    scene.appliance.must("doctor node1")?;
    scene.passed()
}
