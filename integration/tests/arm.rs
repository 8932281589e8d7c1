//! The ways of machines with an ARM processor to their installer. There is no agent for them here: the practice installer says
//! which ticket it holds, and that it reaches the appliance.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use integration::lab::arm::Arm;
use integration::lab::firmware::VmFirmware;
use integration::lab::services::DhcpSetup::{self, ByAppliance, ByRouterThatPointsHere};
use integration::lab::testbed::{BOOT, Setup, Testbed};

/// What the kernel says of itself, once it was started by what is signed.
const LOCKED: &str = "Kernel is locked down from EFI Secure Boot";

/// The appliance and the machine, which is to be installed.
fn testbed(name: &str, arm: Arm, leases: DhcpSetup) -> anyhow::Result<Testbed> {
    arm.must_be_here()?;
    let mut setup = Setup::new(name, VmFirmware::Arm(arm), leases);
    if arm == Arm::UBoot {
        // U-Boot 2023.01 reads the first octet of a virtio card's address six times, and takes that for the address.
        setup.parts = |build| "52:52:52:52:52:52".clone_into(&mut build.mac);
    }
    let testbed = Testbed::new(&setup)?;
    let mac = &testbed.machine.build().mac;
    let enroll = format!("enroll {mac} --profile worker --name node1");
    testbed.appliance.must(&enroll)?;
    Ok(testbed)
}

/// Kernel, initrd and command line have arrived, with the ticket that the appliance has on record.
fn holds_its_ticket(testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed
        .machine
        .wait_for_console("nothing more is done", BOOT)?;
    let took = testbed.machine.uptime().as_secs_f32();
    println!("the installer holds its ticket {took:.1} s after power-on");
    let mac = &testbed.machine.build().mac;
    let machine = testbed.appliance.machine(mac)?;
    let ticket = testbed.appliance.ticket(mac)?;
    let attempt = machine.and_then(|machine| machine.attempt);
    let attempt = attempt.context("the machine is not on record as one to be installed")?;
    ensure!(attempt.number == 1, "it took another attempt: {attempt:?}");
    let console = testbed.machine.console()?;
    for words in [
        format!("holds the ticket {ticket}"),
        r#"the appliance says {"status":"ok""#.to_owned(),
    ] {
        ensure!(console.contains(&words), "no `{words}` on the console");
    }
    Ok(())
}

fn loader_of(testbed: &Testbed) -> anyhow::Result<Option<String>> {
    let machine = testbed.appliance.machine(&testbed.machine.build().mac)?;
    let boot_method = machine.and_then(|machine| machine.boot_method);
    Ok(boot_method.and_then(|boot_method| boot_method.loader))
}

#[test]
fn an_arm_server_is_led_to_its_installer_beside_a_home_router_that_points_here()
-> anyhow::Result<()> {
    let mut testbed = testbed("arm-proxy", Arm::Uefi, ByRouterThatPointsHere)?;
    testbed.machine.power_on()?;
    holds_its_ticket(&mut testbed)?;
    let loader = loader_of(&testbed)?;
    ensure!(
        loader.as_deref() == Some("shimaa64.efi"),
        "the loader that is kept is {loader:?}"
    );
    testbed.passed()
}

#[test]
fn an_arm_server_with_secure_boot_is_led_to_its_installer_where_the_appliance_hands_out_addresses()
-> anyhow::Result<()> {
    let mut testbed = testbed("arm-secure-boot", Arm::SecureBoot, ByAppliance)?;
    testbed.machine.power_on()?;
    holds_its_ticket(&mut testbed)?;
    let console = testbed.machine.console()?;
    ensure!(console.contains(LOCKED), "the kernel is not locked down");
    testbed.passed()
}

/// The order of U-Boot for QEMU has no `pxelinux.cfg` in it: it looks for a script of its own, and then asks as UEFI.
#[test]
fn a_board_with_u_boot_that_asks_as_uefi_is_led_to_its_installer_where_the_appliance_hands_out_addresses()
-> anyhow::Result<()> {
    let mut testbed = testbed("u-boot-uefi", Arm::UBoot, ByAppliance)?;
    testbed.machine.power_on()?;
    holds_its_ticket(&mut testbed)?;
    let loader = loader_of(&testbed)?;
    ensure!(
        loader.as_deref() == Some("grubaa64.efi"),
        "the loader that is kept is {loader:?}"
    );
    testbed.passed()
}

#[test]
fn a_board_with_u_boot_reads_its_pxelinux_cfg_where_the_appliance_hands_out_addresses()
-> anyhow::Result<()> {
    let mut testbed = testbed("u-boot", Arm::UBoot, ByAppliance)?;
    testbed.machine.power_on()?;
    let (machine, limit) = (&mut testbed.machine, Duration::from_secs(60));
    machine.wait_for_console("Hit any key to stop autoboot", limit)?;
    machine.type_at_console("\n", "=> ", limit)?;
    // What `bootcmd_pxe` does on boards; the one of QEMU has another order.
    let pxe = "dhcp; pxe get; pxe boot";
    machine.type_at_console(&format!("{pxe}\n"), &format!("=> {pxe}"), limit)?;
    holds_its_ticket(&mut testbed)?;
    testbed.passed()
}
