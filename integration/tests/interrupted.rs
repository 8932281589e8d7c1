//! Installs that are cut short: by a cache that does not answer, by the end of the appliance, by a power cut, by one power cut too many,
//! at any instant.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, blank};
use integration::lab::wait::wait_for;
use netboot::api::machine_view::MachineView;
use netboot::install::report::{InstallStep, StepOutcome};
use netboot::machine::State;

fn testbed(name: &str) -> anyhow::Result<Testbed> {
    let testbed = Testbed::new(&Setup::new(name, Bios, ByRouter))?;
    testbed.enroll()?;
    Ok(testbed)
}

/// Some of the system is on the disk, and some is not.
fn is_copying(machine: &MachineView) -> bool {
    machine.attempt.as_ref().is_some_and(|a| {
        a.progress.step == Some(InstallStep::Copy) && a.progress.outcome != Some(StepOutcome::Done)
    })
}

fn attempt(machine: &MachineView) -> Option<u32> {
    machine.attempt.as_ref().map(|a| a.number)
}

/// How many octets of a disk were ever written.
fn octets_on(disk: &VirtualDisk) -> anyhow::Result<u64> {
    Ok(fs::metadata(&disk.file)?.blocks() * 512)
}

#[test]
fn an_install_completes_whose_cache_is_away_at_first_and_whose_appliance_is_killed_in_the_middle()
-> anyhow::Result<()> {
    let mut testbed = testbed("away-cache")?;
    testbed.machine.power_on()?;
    testbed.wait_for("the plan to be made", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.plan.is_some())
    })?;
    testbed.block_http(true)?;
    let retried = testbed.wait_for("the copy to be tried again", BOOT, |m| {
        let progress = m.attempt.as_ref().map(|a| &a.progress);
        progress.is_some_and(|p| {
            p.step == Some(InstallStep::Copy)
                && matches!(p.outcome, Some(StepOutcome::Retry { .. }))
        })
    })?;
    println!("{:?}", retried.attempt.map(|a| a.progress));
    let before = octets_on(&testbed.machine.build().disks[0])?;
    testbed.block_http(false)?;
    wait_for("some of the system to be on the disk", BOOT, || {
        testbed.machine.still_runs()?;
        Ok(octets_on(&testbed.machine.build().disks[0])? > before + (8 << 20))
    })?;
    let copying = testbed.appliance.machine(MAC)?.context("not on record")?;
    ensure!(is_copying(&copying), "it was too fast: {copying:?}");
    let before = testbed.appliance.must("--json events")?;
    testbed.appliance.kill()?;
    testbed.appliance.start()?;
    let after = testbed.appliance.must("--json events")?;
    ensure!(
        after.starts_with(&before),
        "acknowledged events are lost\nbefore:\n{before}\nafter:\n{after}"
    );
    println!(
        "joined after {:.1} s",
        testbed.wait_for_joined()?.as_secs_f32()
    );
    let machine: MachineView = testbed.appliance.ask("show node1")?;
    ensure!(
        attempt(&machine) == Some(1),
        "it took another attempt: {:?}",
        machine.attempt
    );
    testbed.passed()
}

#[test]
fn a_machine_that_loses_power_while_copying_is_installed_by_its_second_attempt()
-> anyhow::Result<()> {
    let mut testbed = testbed("power-cut")?;
    testbed.machine.power_on()?;
    testbed.wait_for("the copy to begin", BOOT, is_copying)?;
    testbed.machine.cut_power()?;
    testbed.machine.power_on()?;
    testbed.wait_for("the second attempt", BOOT, |m| attempt(m) == Some(2))?;
    println!(
        "joined after {:.1} s",
        testbed.wait_for_joined()?.as_secs_f32()
    );
    let machine: MachineView = testbed.appliance.ask("show node1")?;
    ensure!(
        attempt(&machine) == Some(2),
        "attempts: {:?}",
        machine.attempt
    );
    testbed.passed()
}

#[test]
fn a_machine_whose_three_attempts_all_end_in_a_power_cut_is_given_up_and_boots_its_disk()
-> anyhow::Result<()> {
    let mut testbed = testbed("three-attempts")?;
    for number in 1..=3 {
        testbed.machine.power_on()?;
        testbed.wait_for("the ticket to be claimed", BOOT, |m| {
            attempt(m) == Some(number) && m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
        })?;
        testbed.machine.cut_power()?;
    }
    testbed.machine.power_on()?;
    let failed = testbed.wait_for("the machine to be given up", BOOT, |m| {
        m.state == State::Failed
    })?;
    ensure!(!failed.failure.is_empty(), "no reason is given");
    testbed
        .machine
        .wait_for_console("Booting from Hard Disk", BOOT)?;
    let shown = testbed.appliance.admin("show node1")?;
    println!("{}", shown.stdout);
    ensure!(
        shown.status.code() == Some(6),
        "`show` ends with {}",
        shown.status
    );
    ensure!(
        shown.stdout.contains(&failed.failure[0]),
        "`show` does not say why: {}",
        shown.stdout
    );
    // It is not for ever: an operator's word begins again from one.
    testbed.appliance.must("reimage node1")?;
    let again = testbed.appliance.machine(MAC)?;
    ensure!(again.is_some_and(|m| m.state == State::Enrolled && attempt(&m) == Some(1)));
    testbed.passed()
}

const CUTS: u64 = 20;

/// A number from the environment.
fn given(name: &str) -> anyhow::Result<Option<u64>> {
    let text = std::env::var_os(name);
    let number = text.map(|text| text.to_string_lossy().parse());
    number
        .transpose()
        .with_context(|| format!("{name} is no number"))
}

/// Random instants from the power button to the agent's word that the disk is done, one in each twentieth of that time, so
/// that every step is met, in an order that meets late ones early. Time is the machine's processor time, which is much the same
/// for each install, however busy the host is. `NETBOOT_SEED` repeats a run; of its twenty cuts
/// `NETBOOT_FIRST_CUT` and `NETBOOT_LAST_CUT`, counted from 1, choose some.
fn instants(whole: Duration) -> anyhow::Result<Vec<(u64, Duration)>> {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = given("NETBOOT_SEED")?;
    let mut state = seed.unwrap_or_else(|| clock().map_or(1, |now| u64::from(now.subsec_micros())));
    println!("NETBOOT_SEED={state}");
    let part = whole / u32::try_from(CUTS)?;
    let instant = |number: u64| {
        // Knuth's MMIX generator; its upper bits are the random ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        part * u32::try_from(number).unwrap_or(0)
            + part.mul_f64((state >> 40) as f64 / 2_f64.powi(24))
    };
    // 13 and 20 have no divisor in common.
    let all = (1..=CUTS).zip((1..=CUTS).map(|n| n * 13 % CUTS).map(instant));
    let first = given("NETBOOT_FIRST_CUT")?.unwrap_or(1);
    let last = given("NETBOOT_LAST_CUT")?.unwrap_or(CUTS);
    Ok(all.filter(|(n, _)| (first..=last).contains(n)).collect())
}

fn survives_power_cuts(name: &str, firmware: VmFirmware) -> anyhow::Result<()> {
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.disks = |dir| {
        let data = VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?;
        Ok(vec![blank(dir)?, data])
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    testbed.wait_for("the first install", BOOT, |m| m.installed.is_some())?;
    let (whole, took) = (testbed.machine.effort()?, testbed.machine.uptime());
    testbed.wait_for_joined()?;
    println!(
        "{name}: an install takes {:.1} s of processor time, {:.1} s in all",
        whole.as_secs_f32(),
        took.as_secs_f32()
    );
    let mut met = BTreeMap::new();
    for (number, instant) in instants(whole)? {
        testbed.machine.cut_power()?;
        testbed.appliance.must("reimage node1")?;
        testbed.machine.power_on()?;
        wait_for("the instant of the power cut", BOOT, || {
            Ok(testbed.machine.effort()? >= instant)
        })?;
        let cut = testbed.machine.effort()?;
        testbed.machine.cut_power()?;
        let met_in = where_it_is(&testbed.appliance.ask("show node1")?);
        testbed.machine.power_on()?;
        let ended = testbed.wait_for("the install to end in any way", 2 * BOOT, |m| {
            m.state == State::Joined || (m.state == State::Failed && !m.failure.is_empty())
        })?;
        println!(
            "{name}: cut {number} after {:.1} s, {met_in}: {:?} in attempt {:?}, {:.1} s later {}",
            cut.as_secs_f32(),
            ended.state,
            attempt(&ended),
            testbed.machine.uptime().as_secs_f32(),
            ended.failure.join("; ")
        );
        ensure!(
            ended.state == State::Joined,
            "one power cut is no reason to give up: {:?}",
            ended.failure
        );
        *met.entry(met_in).or_insert(0) += 1;
    }
    testbed.machine.cut_power()?;
    testbed.machine.build().disks[1].check_unchanged()?;
    println!("{name}: the other disk is as it was; cuts by place: {met:?}");
    testbed.passed()
}

/// What the appliance last heard of the attempt, in words.
fn where_it_is(machine: &MachineView) -> String {
    let progress = machine.attempt.as_ref().map(|a| a.progress.clone());
    match progress.and_then(|p| Some((p.step?, p.outcome))) {
        _ if machine.state == State::Installed => "after the report".to_owned(),
        None => "before the claim".to_owned(),
        Some((step, Some(StepOutcome::Done))) => format!("after {step}"),
        Some((step, _)) => format!("in {step}"),
    }
}

#[test]
#[ignore = "long: twenty installs on BIOS, 40 min"]
fn a_bios_machine_survives_power_cuts_at_random_instants() -> anyhow::Result<()> {
    survives_power_cuts("power-cuts-bios", Bios)
}

#[test]
#[ignore = "long: twenty installs on UEFI, 60 min"]
fn a_uefi_machine_survives_power_cuts_at_random_instants() -> anyhow::Result<()> {
    survives_power_cuts("power-cuts-uefi", Uefi)
}
