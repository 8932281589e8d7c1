//! Machines that the network gets hold of at every boot, because their router leads everybody to iPXE: silence does not bring
//! them to their disk, so iPXE is sent there, by the way that works. And firmware that puts its disk first.

use std::time::Duration;

use anyhow::{bail, ensure};
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::optional::Optional;
use integration::lab::products::Products;
use integration::lab::services::DhcpSetup::{
    self, ByRouter, ByRouterWithIpxe, ByRouterWithNewIpxe,
};
use integration::lab::testbed::{BOOT, Setup, Testbed};
use netboot::api::machine_view::MachineView;
use netboot::loader::local_boot::{BootLoader, Departure, LocalBootHistory, LocalBootMethod};
use netboot::loader::uefi::boot_order::{TITLE, misorder};

/// Installed, and up from its own disk for the first time.
fn joined(name: &str, firmware: VmFirmware, leases: DhcpSetup) -> anyhow::Result<Testbed> {
    let mut testbed = Testbed::new(&Setup::new(name, firmware, leases))?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined()?;
    println!("{name}: joined after {:.1} s", took.as_secs_f32());
    Ok(testbed)
}

/// Waits until it is known to have come to its disk by this way.
fn comes_by(testbed: &mut Testbed, loader: BootLoader, way: LocalBootMethod) -> anyhow::Result<()> {
    let known = LocalBootHistory::worked(Departure { loader, way });
    let came = |machine: &MachineView| machine.local_boot.as_ref() == Some(&known);
    testbed.wait_for(&format!("it to come to its disk by {way}"), BOOT, came)?;
    let took = testbed.machine.uptime().as_secs_f32();
    println!("came to its disk by {way}, known {took:.1} s after power-on");
    Ok(())
}

fn is_sent_to_its_disk_at_every_boot(
    name: &str,
    firmware: VmFirmware,
    loader: BootLoader,
    way: LocalBootMethod,
) -> anyhow::Result<()> {
    let mut testbed = joined(name, firmware, ByRouterWithIpxe)?;
    comes_by(&mut testbed, loader, way)?;
    // Another day: it netboots again, and is up again.
    let before: MachineView = testbed.appliance.ask("show node1")?;
    testbed.machine.cut_power()?;
    testbed.machine.power_on()?;
    testbed.wait_for("a report of another boot", BOOT, |m| {
        m.boot_id != before.boot_id
    })?;
    let shown = testbed.appliance.must("show node1")?;
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
    testbed.passed()
}

#[test]
fn a_bios_machine_that_always_runs_ipxe_is_sent_to_its_disk() -> anyhow::Result<()> {
    is_sent_to_its_disk_at_every_boot(
        "bios-ipxe",
        Bios,
        BootLoader::IpxeBios,
        LocalBootMethod::FirstDisk,
    )
}

#[test]
#[ignore = "long: an install and a boot on UEFI, 4 min"]
fn a_uefi_machine_that_always_runs_ipxe_is_sent_to_its_disk() -> anyhow::Result<()> {
    is_sent_to_its_disk_at_every_boot(
        "uefi-ipxe",
        Uefi,
        BootLoader::IpxeUefi,
        LocalBootMethod::NextEntry,
    )
}

/// The firmware's next entry is a shell, where it stops until somebody switches it off and on. The way worked when the
/// machine was new, so it is tried a second time.
#[test]
fn a_uefi_machine_whose_next_boot_entry_leads_nowhere_is_sent_to_its_disk_by_another_way()
-> anyhow::Result<()> {
    let there = Products::find()?.new_ipxe().join("snponly.efi").exists();
    Optional::Ipxe.must_be_here(there, "iPXE that finds local disks on UEFI")?;
    let mut testbed = Testbed::installed(&Setup::new("uefi-next-way", Uefi, ByRouterWithNewIpxe))?;
    testbed.machine.power_on()?;
    comes_by(
        &mut testbed,
        BootLoader::IpxeUefi,
        LocalBootMethod::NextEntry,
    )?;
    testbed.machine.cut_power()?;
    testbed
        .machine
        .put_first(&["Network (PXE over IPv4)", "EFI Internal Shell"])?;
    for _ in 0..2 {
        testbed.machine.power_on()?;
        testbed.machine.wait_for_console("Shell>", BOOT)?;
        testbed.machine.cut_power()?;
    }
    testbed.machine.power_on()?;
    comes_by(
        &mut testbed,
        BootLoader::IpxeUefi,
        LocalBootMethod::EspLoader,
    )?;
    let events = testbed.appliance.must("events node1")?;
    let failed = format!(
        "did not get to its disk by {} (iPXE on UEFI): it asked the network again",
        LocalBootMethod::NextEntry
    );
    ensure!(events.contains(&failed), "{events}");
    testbed.appliance.must("doctor node1")?;
    testbed.passed()
}

/// What firmware does by itself after an update, and people in its menu.
#[test]
fn firmware_that_puts_the_disk_before_the_network_is_noticed_at_its_next_boot() -> anyhow::Result<()>
{
    let mut testbed = Testbed::installed(&Setup::new("boot-order", Uefi, ByRouter))?;
    testbed.machine.put_first(&[TITLE])?;
    testbed.machine.power_on()?;
    let machine = testbed.wait_for("the node to tell its boot order", BOOT, |m| {
        misorder(&m.boot_order).is_some()
    })?;
    let Some(trouble) = misorder(&machine.boot_order) else {
        bail!("the order is in order: {:?}", machine.boot_order);
    };
    println!("{trouble}");
    for (command, exit) in [("show node1", 0), ("events node1", 0), ("doctor node1", 1)] {
        let said = testbed.appliance.admin(command)?;
        println!("{}", said.stdout);
        ensure!(
            said.stdout.contains(&trouble) && said.status.code() == Some(exit),
            "`{command}` ends with {} and says:\n{}",
            said.status,
            said.stdout
        );
    }

    testbed.machine.shut_down(Duration::from_secs(60))?;
    testbed.machine.put_first(&["Network (PXE over IPv4)"])?;
    testbed.machine.power_on_from(TITLE)?;
    testbed.wait_for("the node to tell that it was mended", BOOT, |m| {
        misorder(&m.boot_order).is_none()
    })?;
    testbed.appliance.must("doctor node1")?;
    testbed.passed()
}
