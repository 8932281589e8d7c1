//! Encrypted disks, opened at boot by a TPM, by the appliance, and by a person; and their key is not found anywhere
//! else.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use integration::lab::command::output;
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::search::{self, Canary};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER, blank};
use integration::lab::tpm;
use integration::lab::wait::wait_for;
use netboot::api::machine_view::MachineView;
use netboot::api::types::RecoveryKey;
use netboot::loader::uefi::boot_order::TITLE;

use crate::the_others_are_unchanged;

const BY_TPM: &str = "unlock: root is opened by the TPM";
const BY_APPLIANCE: &str = "unlock: root is opened by the appliance's key";
const PROMPT: &str = "Enter passphrase for";
const STANDS: &str = "root is /dev/mapper/root";

fn two(dir: &Path) -> anyhow::Result<Vec<VirtualDisk>> {
    let data = VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?;
    Ok(vec![blank(dir)?, data])
}

/// Installed, and running from its own disk.
fn installed(
    name: &str,
    firmware: VmFirmware,
    layout: &str,
    with_tpm: bool,
) -> anyhow::Result<Testbed> {
    let profile = WORKER.replace(r#"layout = "ext4""#, layout);
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = &profile;
    setup.disks = two;
    setup.parts = match with_tpm {
        true => |build| build.tpm = true,
        false => |build| build.keyboard = true,
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?.as_secs_f32();
    println!("{name}: joined after {took:.1} s");
    stands_by(&testbed, if with_tpm { BY_TPM } else { BY_APPLIANCE })?;
    Ok(testbed)
}

/// How stage 1 of the system that runs now came to its root.
fn stands_by(testbed: &Testbed, way: &str) -> anyhow::Result<()> {
    let console = testbed.machine.console()?;
    ensure!(
        console.contains(way) && console.contains(STANDS),
        "{console}"
    );
    let swap = way.replace("root", "swap");
    let has_swap = console.contains("unlock: swap");
    ensure!(!has_swap || console.contains(&swap), "{console}");
    Ok(())
}

fn key(testbed: &Testbed) -> anyhow::Result<String> {
    Ok(testbed.appliance.ask::<RecoveryKey>("key node1")?.key)
}

/// What the header of the root says to ask with. The machine must be off.
fn credential(testbed: &Testbed) -> anyhow::Result<String> {
    let root = testbed.dir.join("root.luks");
    let image = &testbed.machine.build().disks[0].file;
    ensure!(
        search::partition(image, "disk-main-root", &root)?,
        "no root"
    );
    let dump = ["luksDump", "--dump-json-metadata"];
    let text = output(Command::new("cryptsetup").args(dump).arg(&root))?;
    fs::remove_file(&root)?;
    let header: serde_json::Value = serde_json::from_str(&text)?;
    let tokens = header["tokens"].as_object().context("no tokens")?;
    let mut ours = tokens.values().filter(|t| t["type"] == "netboot-unlock");
    let credential = ours.next().and_then(|token| token["credential"].as_str());
    Ok(credential.context("no token of ours")?.to_owned())
}

/// Checks that key and credential are not in what was sent, logged or stored: capture, consoles, logs, journal, index,
/// cache. On the disks, the key is not in the unencrypted parts either; the credential is in the headers only. The
/// machine must be off.
fn are_nowhere(testbed: &Testbed, key: &str) -> anyhow::Result<()> {
    let canaries = [
        Canary::new("the disk key", key),
        Canary::new("the credential", &credential(testbed)?),
    ];
    let disks = &testbed.machine.build().disks;
    // Handles of network namespaces, which cannot be read.
    let rooms = testbed.dir.join("rooms");
    for file in search::files(&testbed.dir)? {
        if file.starts_with(&rooms) || disks.iter().any(|disk| disk.files().contains(&file)) {
            continue;
        }
        let found = search::below(&file, &canaries)?;
        ensure!(found.is_empty(), "{}", found.join(", "));
    }
    let grep = Command::new("grep")
        .args(["--text", "--fixed-strings", "--quiet", key])
        .arg(&disks[0].file)
        .status()?;
    ensure!(
        grep.code() == Some(1),
        "the disk key is on the disk: {grep}"
    );
    if let Some(capture) = &testbed.capture {
        let size = fs::metadata(capture)?.len();
        ensure!(
            size > 10 << 20,
            "the capture has {size} bytes: it cannot be whole"
        );
    }
    Ok(())
}

fn boot_id(machine: &MachineView) -> Option<String> {
    machine.generations.last().map(|g| g.boot_id.clone())
}

/// Types the key at every prompt until the system has its root.
fn type_at_every_prompt(testbed: &mut Testbed, key: &str) -> anyhow::Result<()> {
    let mut terminal = testbed.machine.terminal()?;
    let mut answered = 0;
    wait_for("the key that is typed to open the disk", BOOT, || {
        testbed.machine.still_runs()?;
        terminal.look()?;
        let console = testbed.machine.console()?;
        // What is typed between a prompt and its being ready is lost, and asked for again.
        let prompts = console.matches(PROMPT).count();
        if prompts > answered {
            answered = prompts;
            terminal.write(&format!("{key}\n"))?;
        }
        Ok(console.contains(STANDS))
    })
}

/// A machine with a TPM needs neither the appliance nor a person.
fn boots_by_tpm(name: &str, firmware: VmFirmware, layout: &str) -> anyhow::Result<()> {
    let mut testbed = installed(name, firmware, layout, true)?;
    let key = key(&testbed)?;
    let events = testbed.appliance.must("events node1")?;
    ensure!(!events.contains("disk key was handed to"), "{events}");
    testbed.machine.cut_power()?;
    testbed.appliance.stop()?;
    testbed.machine.power_on_from(TITLE)?;
    testbed.machine.wait_for_console(STANDS, BOOT)?;
    stands_by(&testbed, BY_TPM)?;
    println!(
        "{name}: booted without the appliance after {:.1} s",
        testbed.machine.uptime().as_secs_f32()
    );
    testbed.machine.cut_power()?;
    are_nowhere(&testbed, &key)?;
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

/// A machine without one needs the appliance, and if that refuses, a person.
fn boots_by_appliance_or_person(
    name: &str,
    firmware: VmFirmware,
    layout: &str,
) -> anyhow::Result<()> {
    let mut testbed = installed(name, firmware, layout, false)?;
    let key = key(&testbed)?;
    let before = boot_id(&testbed.appliance.machine(MAC)?.context("not on record")?);
    testbed.machine.cut_power()?;
    testbed.machine.power_on()?;
    testbed.wait_for("a report of another boot", BOOT, |m| boot_id(m) != before)?;
    stands_by(&testbed, BY_APPLIANCE)?;
    let events = testbed.appliance.must("events node1")?;
    ensure!(
        events
            .matches("its disk key was handed to 10.77.0.")
            .count()
            == 2,
        "{events}"
    );

    testbed.machine.cut_power()?;
    testbed.appliance.must("forget node1")?;
    testbed.machine.power_on()?;
    testbed.machine.wait_for_console(PROMPT, BOOT)?;
    let console = testbed.machine.console()?;
    ensure!(
        console.contains("no installed machine has this disk"),
        "{console}"
    );
    ensure!(!console.contains(STANDS), "{console}");
    type_at_every_prompt(&mut testbed, &key)?;
    println!("{name}: a person opened it");
    testbed.machine.cut_power()?;
    are_nowhere(&testbed, &key)?;
    the_others_are_unchanged(&testbed)?;
    testbed.passed()
}

#[test]
fn a_uefi_machine_boots_from_encrypted_ext4_by_its_tpm() -> anyhow::Result<()> {
    tpm::must_be_here()?;
    let layout = "layout = \"luks-ext4\"\nswap = \"256M\"";
    boots_by_tpm("luks-ext4-uefi-tpm", Uefi, layout)
}

#[test]
fn a_bios_machine_boots_from_encrypted_btrfs_with_the_key_of_the_appliance() -> anyhow::Result<()> {
    let layout = "layout = \"luks-btrfs\"";
    boots_by_appliance_or_person("luks-btrfs-bios-appliance", Bios, layout)
}

#[test]
#[ignore = "long: an install and two boots on BIOS, with a TPM, 3 min"]
fn a_bios_machine_boots_from_encrypted_btrfs_by_its_tpm() -> anyhow::Result<()> {
    tpm::must_be_here()?;
    boots_by_tpm("luks-btrfs-bios-tpm", Bios, "layout = \"luks-btrfs\"")
}

#[test]
#[ignore = "long: an install and two boots on UEFI, with a TPM, 4 min"]
fn a_uefi_machine_boots_from_encrypted_btrfs_by_its_tpm() -> anyhow::Result<()> {
    tpm::must_be_here()?;
    boots_by_tpm("luks-btrfs-uefi-tpm", Uefi, "layout = \"luks-btrfs\"")
}

#[test]
#[ignore = "long: an install and three boots on UEFI, 6 min"]
fn a_uefi_machine_boots_from_encrypted_ext4_with_the_key_of_the_appliance() -> anyhow::Result<()> {
    let layout = "layout = \"luks-ext4\"";
    boots_by_appliance_or_person("luks-ext4-uefi-appliance", Uefi, layout)
}

#[test]
#[ignore = "long: an install and three boots on BIOS, 3 min"]
fn a_bios_machine_boots_from_encrypted_ext4_with_the_key_of_the_appliance() -> anyhow::Result<()> {
    let layout = "layout = \"luks-ext4\"\nswap = \"256M\"";
    boots_by_appliance_or_person("luks-ext4-bios-appliance", Bios, layout)
}
