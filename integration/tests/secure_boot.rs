//! Secure Boot in force: what is not signed is refused by the firmware, and what is leads to a kernel that says so.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use integration::lab::firmware::VmFirmware::SecureBoot;
use integration::lab::optional::Optional;
use integration::lab::services::DhcpSetup::{self, ByAppliance, ByRouterThatPointsHere};
use integration::lab::testbed::{BOOT, Setup, Testbed};
use integration::lab::wait::wait_until;

/// What the kernel says of itself, once it was started by what is signed.
const LOCKED: &str = "Kernel is locked down from EFI Secure Boot";

/// Where the appliance looks for it by default.
const SHIM: &str = "/usr/lib/shim/shimx64.efi.signed";

#[test]
fn a_machine_with_secure_boot_is_led_to_the_signed_loader_beside_a_home_router_that_points_here()
-> anyhow::Result<()> {
    is_led_to_its_installer("secure-boot-proxy", ByRouterThatPointsHere)
}

#[test]
fn a_machine_with_secure_boot_is_led_to_the_signed_loader_where_the_appliance_hands_out_addresses()
-> anyhow::Result<()> {
    is_led_to_its_installer("secure-boot-server", ByAppliance)
}

/// Debian's iPXE is not signed, and the firmware says so only on its screen; each power-on brings the next loader, until
/// one is Debian's shim. That one is kept with the machine.
fn is_led_to_its_installer(name: &str, leases: DhcpSetup) -> anyhow::Result<()> {
    let there = Path::new(SHIM).exists();
    Optional::SecureBoot.must_be_here(there, format_args!("`{SHIM}`"))?;
    let mut testbed = Testbed::new(&Setup::new(name, SecureBoot, leases))?;
    testbed.enroll()?;
    let mut refused = 0;
    loop {
        testbed.machine.power_on()?;
        let machine = &mut testbed.machine;
        let runs = wait_until("the firmware to take or refuse a loader", BOOT, || {
            machine.still_runs()?;
            let console = machine.console()?;
            let runs = console.contains(LOCKED);
            let refused = console.contains("Access Denied");
            Ok((runs || refused).then_some(runs))
        })?;
        if runs {
            break;
        }
        refused += 1;
        ensure!(refused < 3, "it refused {refused} loaders");
        testbed.machine.cut_power()?;
    }
    ensure!(
        refused == 2,
        "snponly.efi and ipxe.efi are not signed, and {refused} were refused"
    );
    let machine = testbed.wait_for("the claim", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
    })?;
    println!(
        "{name}: claimed {:.1} s after power-on",
        testbed.machine.uptime().as_secs_f32()
    );
    ensure!(
        machine.attempt.as_ref().is_some_and(|a| a.number == 1),
        "it took another attempt: {:?}",
        machine.attempt
    );
    let loader = machine
        .boot_method
        .and_then(|boot_method| boot_method.loader);
    ensure!(
        loader.as_deref() == Some("shimx64.efi"),
        "the loader that is kept is {loader:?}"
    );

    // The next time, it is the first that is offered.
    testbed.machine.cut_power()?;
    testbed.appliance.must("reimage node1")?;
    testbed.machine.power_on()?;
    testbed
        .machine
        .wait_for_console(LOCKED, Duration::from_secs(120))?;
    testbed.passed()
}
