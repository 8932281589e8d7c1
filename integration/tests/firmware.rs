//! The ways of firmware to the installer, beside a home router: HTTP boot, other cards, two of them. Each until the agent
//! claims its install, or as far as the practice kernel has a driver; what follows is the same for all.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::ensure;
use integration::lab::command::run;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::lan::{self, APPLIANCE, LanNamespace};
use integration::lab::machine::Card;
use integration::lab::nvram::FirstBoot;
use integration::lab::optional::Optional;
use integration::lab::process::Process;
use integration::lab::services::DhcpSetup::{self, ByAppliance, ByRouter};
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed};
use integration::lab::wait::wait_for;

/// Powers the machine on as one to be installed, and waits until its agent claimed the install.
fn is_claimed(testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed.enroll()?;
    testbed.machine.power_on()?;
    testbed.wait_for("the agent to claim its install", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
    })?;
    said(testbed, "the installer claimed its install");
    // All that was fetched is known to be its own doing: by the link, behind a router by its lease.
    let shown = testbed.appliance.admin("show node1")?.stdout;
    ensure!(
        shown.contains("sent kernel") && !shown.contains("not known to be this machine"),
        "{shown}"
    );
    Ok(())
}

fn said(testbed: &Testbed, what: &str) {
    let took = testbed.machine.uptime().as_secs_f32();
    println!("{what} {took:.1} s after power-on");
}

/// What the appliance wrote about its answers to the machine, for the sake of how they were asked for.
fn log_of(testbed: &Testbed) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(&testbed.appliance.log)?)
}

fn http_boot(name: &str, leases: DhcpSetup) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, Uefi, leases);
    setup.first = FirstBoot::Http;
    let mut testbed = Testbed::new(&setup)?;
    testbed.drop_tftp()?;
    is_claimed(&mut testbed)?;
    let dropped = testbed.dropped_tftp()?;
    ensure!(
        dropped == 0,
        "firmware that boots over HTTP asked for {dropped} files over TFTP"
    );
    testbed.passed()
}

#[test]
fn uefi_http_boot_needs_no_tftp_beside_a_home_router() -> anyhow::Result<()> {
    http_boot("http-proxy", ByRouter)
}

#[test]
fn uefi_http_boot_needs_no_tftp_where_the_appliance_hands_out_addresses() -> anyhow::Result<()> {
    http_boot("http-server", ByAppliance)
}

/// The installer must take the card that netbooted (`BOOTIF`), not the first that has a cable in it.
#[test]
fn of_two_cards_the_one_that_netbooted_is_installed_over() -> anyhow::Result<()> {
    let mut setup = Setup::new("two-cards", Uefi, ByRouter);
    setup.parts = |build| build.stray_card = true;
    let mut testbed = Testbed::new(&setup)?;
    is_claimed(&mut testbed)?;
    let machines = testbed.appliance.machines()?;
    ensure!(
        machines.len() == 1,
        "the card without a LAN is on record: {machines:?}"
    );
    testbed.passed()
}

/// As far as the practice kernel goes: it is made for clouds and has no driver for this card.
fn old_card(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.parts = |build| build.card = Card::E1000;
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let kernel_is_up = format!("waiting for a network card with a cable and the address {MAC}");
    testbed
        .machine
        .wait_for_console(&kernel_is_up, Duration::from_secs(180))?;
    said(&testbed, "the installer looks for the card that netbooted");
    let log = log_of(&testbed)?;
    ensure!(
        log.contains("boot script"),
        "no boot script was sent:\n{log}"
    );
    testbed.passed()
}

#[test]
fn uefi_with_an_e1000_card_gets_to_the_installer() -> anyhow::Result<()> {
    old_card("uefi-e1000", Uefi)
}

#[test]
fn bios_with_an_e1000_card_gets_to_the_installer() -> anyhow::Result<()> {
    old_card("bios-e1000", Bios)
}

/// Another subnet, another switch; between the two a relay that also routes.
#[test]
fn a_machine_behind_a_relay_gets_to_the_installer() -> anyhow::Result<()> {
    Optional::Relay.command("dhcrelay")?;
    let mut setup = Setup::new("behind-relay", Uefi, ByAppliance);
    setup.subnets = r#"
[[dhcp.subnet]]
network = "10.78.0.0/24"
range = ["10.78.0.50", "10.78.0.99"]
router = "10.78.0.1"
"#;
    let mut testbed = Testbed::new(&setup)?;
    lan::another_switch("attic")?;
    let address = Ipv4Addr::new(10, 77, 0, 2);
    let relay = LanNamespace::new("relay", address, &testbed.dir.join("rooms"))?;
    relay.plug("eth1", "relay1", "attic")?;
    relay.ip("address add 10.78.0.1/24 dev eth1")?;
    let forward = ["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"];
    run(relay.command("sh").args(forward))?;
    let route = format!("route add 10.78.0.0/24 via {address}");
    testbed.appliance.room().ip(&route)?;
    let log = testbed.dir.join("relay.log");
    let mut command = relay.command("dhcrelay");
    command.args([
        "-4", "-d", "-a", "-m", "discard", "-id", "eth1", "-iu", "eth0",
    ]);
    command.arg(APPLIANCE.to_string());
    let mut relaying = Process::start("the relay (dhcrelay)", &mut command, &log)?;
    wait_for("the relay to listen", Duration::from_secs(10), || {
        relaying.still_runs()?;
        Ok(std::fs::read_to_string(&log)?.contains("Sending on   Socket/fallback"))
    })?;
    lan::move_cable("tap0", "attic")?;
    is_claimed(&mut testbed)?;
    let log = log_of(&testbed)?;
    ensure!(
        log.contains("offered 10.78.0."),
        "no address of the machine's own subnet:\n{log}"
    );
    testbed.passed()
}
