//! The main job, for each firmware and each way to be on a LAN: blank machine, joined node, own disk, reimage, joined again.

mod secrets;

use std::time::Duration;

use anyhow::{bail, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, SecureBoot, Uefi};
use integration::lab::services::DhcpSetup::{self, ByAppliance, ByRouter};
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, blank};
use netboot::api::machine_view::MachineView;
use netboot::base::arch::Arch;
use netboot::doctor::boot_trace::{Boot, BootEvent, FileRole};
use netboot::install::report::InstallStep;
use netboot::loader::uefi::boot_order::{BootSource, TITLE};
use netboot::machine::State;

#[test]
fn a_blank_uefi_machine_joins_beside_a_home_router() -> anyhow::Result<()> {
    joins_and_joins_again("uefi-proxy", Uefi, ByRouter)
}

#[test]
fn a_blank_uefi_machine_joins_where_the_appliance_hands_out_addresses() -> anyhow::Result<()> {
    joins_and_joins_again("uefi-server", Uefi, ByAppliance)
}

#[test]
fn a_blank_bios_machine_joins_beside_a_home_router() -> anyhow::Result<()> {
    joins_and_joins_again("bios-proxy", Bios, ByRouter)
}

#[test]
fn a_blank_bios_machine_joins_where_the_appliance_hands_out_addresses() -> anyhow::Result<()> {
    joins_and_joins_again("bios-server", Bios, ByAppliance)
}

fn joins_and_joins_again(
    name: &str,
    firmware: VmFirmware,
    leases: DhcpSetup,
) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, leases);
    // The larger disk is full of somebody's data, and is not the one that the profile selects.
    setup.disks = |dir| {
        Ok(vec![
            blank(dir)?,
            VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?,
        ])
    };
    let mut testbed = Testbed::new(&setup)?;
    let said =
        |what: &str, took: Duration| println!("{name}: {what} after {:.1} s", took.as_secs_f32());

    is_a_stranger(&mut testbed, firmware)?;
    testbed.machine.cut_power()?;

    testbed.enroll()?;
    testbed.machine.power_on()?;
    testbed.wait_for("the boot script to be sent", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.served.is_some())
    })?;
    // What anybody on the LAN can read while the ticket is in force.
    let boot_script = testbed.appliance.fetch(&format!("/boot.ipxe?mac={MAC}"))?;
    // Here it comes to its disk by itself, when nobody answers its firmware; where the appliance hands out addresses too, it
    // does so at the next boot.
    let joined = match leases {
        ByRouter => testbed.wait_for_joined()?,
        _ => testbed.wait_for_joined_by_key()?,
    };
    said("joined", joined);
    println!("{name}: {}", testbed.timing()?);
    secrets::are_in_none_of(&testbed, "the boot script", boot_script.as_bytes())?;
    is_told_from_its_first_packet_on(&testbed, firmware)?;
    boots_the_network_first_and_its_disk_next(&testbed, firmware)?;
    let first = record(&testbed)?;
    ensure!(
        first
            .ssh_host_key
            .as_deref()
            .is_some_and(|key| key.starts_with("ssh-ed25519 "))
    );

    // Off, on: its own disk, and the appliance hears of it.
    testbed.machine.cut_power()?;
    if leases == ByRouter {
        testbed.keep_installed(&setup)?;
    }
    testbed.machine.power_on()?;
    said(
        "booted from its disk, known to the appliance",
        hears_of_another_boot(&mut testbed, &first)?,
    );

    if leases == ByRouter {
        boots_while_the_appliance_is_away(&mut testbed, &first, said)?;
    }

    // Wanted anew: the same name, the same node password, and k3s lets it in.
    testbed.machine.cut_power()?;
    testbed.appliance.must("reimage node1")?;
    testbed.machine.power_on()?;
    said("joined again", testbed.wait_for_joined_by_key()?);
    is_ready_with_this_boot(&testbed)?;
    let second = record(&testbed)?;
    ensure!(
        second.installed > first.installed,
        "no second install on record: {second:?}"
    );
    ensure!(
        second.generations.len() >= 2,
        "generations: {:?}",
        second.generations
    );
    let log = std::fs::read_to_string(&testbed.cluster.log)?;
    ensure!(
        !log.contains("refused"),
        "the cluster refused somebody:\n{log}"
    );

    testbed.machine.cut_power()?;
    testbed.appliance.stop()?;
    for disk in &testbed.machine.build().disks[1..] {
        disk.check_unchanged()?;
    }
    secrets::are_where_they_belong_and_nowhere_else(&testbed)?;
    testbed.passed()
}

/// Where a home router hands out addresses, node and cluster do not need the appliance.
fn boots_while_the_appliance_is_away(
    testbed: &mut Testbed,
    before: &MachineView,
    said: impl Fn(&str, Duration),
) -> anyhow::Result<()> {
    testbed.machine.cut_power()?;
    testbed.appliance.stop()?;
    testbed.machine.power_on_from(TITLE)?;
    testbed.machine.wait_for_console("practice login:", BOOT)?;
    said(
        "booted while the appliance was away",
        testbed.machine.uptime(),
    );
    let joined = "k3s stand-in: node1 joined";
    testbed.machine.wait_for_console(joined, BOOT)?;
    testbed.appliance.start()?;
    let after = record(testbed)?;
    ensure!(
        after.state == State::Joined && after.name == before.name,
        "after a restart: {after:?}"
    );
    Ok(())
}

/// The machine is written down with what its firmware said, and is not sent anything that it could boot.
fn is_a_stranger(testbed: &mut Testbed, firmware: VmFirmware) -> anyhow::Result<()> {
    testbed.machine.power_on()?;
    let seen = testbed.wait_for("the stranger to be written down", BOOT, |m| {
        m.state == State::Seen
    })?;
    let want = match firmware {
        Uefi | SecureBoot => Arch::X64,
        Bios => Arch::Bios,
        VmFirmware::Arm(_) => Arch::Arm64,
    };
    println!("a stranger: {:?}", seen.facts);
    ensure!(
        seen.facts.arch == Some(want),
        "the architecture is {:?}",
        seen.facts.arch
    );
    let class = seen.facts.vendor_class.as_deref();
    ensure!(
        class.is_some_and(|class| class.starts_with("PXEClient:Arch:")),
        "vendor class {class:?}"
    );
    ensure!(seen.facts.uuid.as_deref() == Some(testbed.machine.build().uuid.as_str()));
    let script = testbed.appliance.fetch(&format!("/boot.ipxe?mac={MAC}"))?;
    ensure!(
        !script.contains("kernel"),
        "a stranger gets a kernel:\n{script}"
    );
    Ok(())
}

/// The firmware's order as the installed system saw it: what it netbooted by, then an entry of its own.
fn boots_the_network_first_and_its_disk_next(
    testbed: &Testbed,
    firmware: VmFirmware,
) -> anyhow::Result<()> {
    if firmware != Uefi {
        return Ok(());
    }
    let order = record(testbed)?.boot_order;
    for entry in &order {
        println!("boots {entry}");
    }
    let [network, disk, ..] = order.as_slice() else {
        bail!("the node does not say in which order it boots");
    };
    ensure!(
        network.source == BootSource::Network
            && disk.source == BootSource::Disk
            && disk.title == TITLE,
        "the order is {order:?}"
    );
    Ok(())
}

/// A mark by name, and how to know it.
type Wanted = (&'static str, fn(&BootEvent) -> bool);

/// `show` has the whole boot, and `events --pcap` its packets.
fn is_told_from_its_first_packet_on(testbed: &Testbed, firmware: VmFirmware) -> anyhow::Result<()> {
    let shown: serde_json::Value = testbed.appliance.ask("show node1")?;
    let boot: Boot = serde_json::from_value(shown["boot"].clone())?;
    let mut wanted: Vec<Wanted> = vec![
        ("a DISCOVER", |mark| {
            matches!(mark, BootEvent::Discover { .. })
        }),
        ("an answer", |mark| {
            matches!(mark, BootEvent::Answered { .. })
        }),
        ("a script", |mark| matches!(mark, BootEvent::Script { .. })),
        ("the kernel", |mark| is_sent(mark, FileRole::Kernel)),
        ("the initrd", |mark| is_sent(mark, FileRole::Initrd)),
        ("a claim", |mark| *mark == BootEvent::Claimed),
        ("a step", |mark| {
            *mark
                == BootEvent::Step {
                    step: InstallStep::Copy,
                }
        }),
        ("the installation", |mark| *mark == BootEvent::Installed),
        ("its own disk", |mark| {
            matches!(mark, BootEvent::Booted { .. })
        }),
        ("the cluster", |mark| *mark == BootEvent::Joined),
    ];
    // SeaBIOS has iPXE in the card's ROM, which needs no loader.
    if firmware == Uefi {
        wanted.insert(2, ("its loader", |mark| is_sent(mark, FileRole::Loader)));
    }
    let mut marks = boot.notes.iter().map(|note| &note.mark);
    for (name, is) in wanted {
        ensure!(
            marks.any(is),
            "{name} is not told, or not in its place: {boot:#?}"
        );
    }
    testbed.appliance.must("doctor node1")?;

    let file = testbed.dir.join("node1.pcap");
    let path = file.display();
    testbed
        .appliance
        .must(&format!("events --pcap node1 {path}"))?;
    let capture = std::fs::read(&file)?;
    let cookie = [99, 130, 83, 99];
    ensure!(
        capture.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]) && capture.windows(4).any(|w| w == cookie),
        "{path} holds no DHCP packet"
    );
    Ok(())
}

fn is_sent(mark: &BootEvent, wanted: FileRole) -> bool {
    matches!(mark, BootEvent::Sent { part, .. } if *part == wanted)
}

fn record(testbed: &Testbed) -> anyhow::Result<MachineView> {
    testbed.appliance.ask("show node1")
}

/// The boot id of the last report is another than in `before`, and no installer ran for it.
fn hears_of_another_boot(testbed: &mut Testbed, before: &MachineView) -> anyhow::Result<Duration> {
    let boot = |machine: &MachineView| machine.generations.last().map(|g| g.boot_id.clone());
    let old = boot(before);
    testbed.wait_for("a report of another boot", BOOT, |m| boot(m) != old)?;
    ensure!(
        !testbed.machine.console()?.contains("practice installer"),
        "it was installed again"
    );
    Ok(testbed.machine.uptime())
}

/// `joined` must be the word of this boot: a node that was Ready a minute ago is still called Ready.
fn is_ready_with_this_boot(testbed: &Testbed) -> anyhow::Result<()> {
    let machine = record(testbed)?;
    let boot = machine
        .generations
        .last()
        .map(|g| g.boot_id.clone())
        .unwrap_or_default();
    let node = testbed.node("node1")?;
    ensure!(
        node["status"]["nodeInfo"]["bootID"] == boot.as_str(),
        "`joined` was said of an earlier boot: the node runs {boot}, the cluster knows {node}"
    );
    Ok(())
}
