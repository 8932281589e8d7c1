//! Machines that nobody enrolled by hand: what they hold is wiped only after a word, and what they are is known before.

use anyhow::ensure;
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::{Bios, Uefi};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed};
use integration::lab::wait::wait_for;
use netboot::api::machine_view::MachineView;
use netboot::machine::State;

#[test]
fn a_machine_that_enrolled_itself_keeps_its_photos_until_somebody_confirms() -> anyhow::Result<()> {
    let name = "worker-123456";
    let mut setup = Setup::new("confirm", Bios, ByRouter);
    setup.unknown = Some("worker");
    setup.disks = |dir| {
        let file = dir.join("root.disk");
        Ok(vec![VirtualDisk::with_filesystem(
            file, "root", 4096, "photos",
        )?])
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.publish()?;
    testbed.machine.power_on()?;
    let first = testbed.wait_for("the machine to wait", BOOT, |m| m.waiting().is_some())?;
    println!(
        "waits after {:.1} s",
        testbed.machine.uptime().as_secs_f32()
    );
    let command = format!("pxe-admin confirm {name}");
    for (words, exit) in [
        (format!("show {name}"), 5),
        (format!("plan {name}"), 0),
        (format!("doctor {name}"), 1),
    ] {
        let said = testbed.appliance.admin(&words)?;
        let text = said.stdout + &said.stderr;
        println!("$ pxe-admin {words}\n{text}");
        ensure!(said.status.code() == Some(exit), "{words}: {}", said.status);
        ensure!(text.contains(&command), "`{words}` does not say what to do");
    }
    testbed.machine.wait_for_console(&command, BOOT)?;

    // The appliance restarts, the power fails: it goes on waiting, and no attempt is used up.
    testbed.appliance.kill()?;
    testbed.appliance.start()?;
    testbed.machine.cut_power()?;
    testbed.machine.build().disks[0].check_unchanged()?;
    testbed.machine.power_on()?;
    let claimed = |m: &MachineView| Some(m.attempt.as_ref()?.claim.as_ref()?.at);
    let before = claimed(&first);
    let again = testbed.wait_for("the machine to wait again", BOOT, |m| {
        m.waiting().is_some() && claimed(m) != before
    })?;
    ensure!(
        again.attempt.as_ref().is_some_and(|a| a.number == 1),
        "waiting counts as an attempt: {again:?}"
    );

    println!("{}", testbed.appliance.must(&format!("confirm {name}"))?);
    let joined = testbed.wait_for_joined()?;
    println!("joined after {:.1} s", joined.as_secs_f32());
    let events = testbed.appliance.must(&format!("events {name}"))?;
    ensure!(
        events.contains("may be wiped, by uid 0") && events.contains("photos"),
        "the yes is not on record:\n{events}"
    );
    testbed.passed()
}

#[test]
fn a_stranger_tells_its_hardware_and_keeps_its_disks() -> anyhow::Result<()> {
    let mut setup = Setup::new("discover", Uefi, ByRouter);
    setup.unknown = Some("discover");
    setup.disks = |dir| {
        let file = dir.join("root.disk");
        Ok(vec![
            VirtualDisk::with_filesystem(file, "root", 4096, "photos")?,
            VirtualDisk::with_data(dir.join("data.disk"), "data", 5120)?,
        ])
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.publish()?;
    testbed.machine.power_on()?;
    let told = testbed.wait_for("the stranger to tell its hardware", BOOT, |m| {
        m.hardware.is_some()
    })?;
    println!("told after {:.1} s", testbed.machine.uptime().as_secs_f32());
    ensure!(told.state == State::Seen, "it is {}", told.state);

    // It reboots, asks again, and is left to its own disk.
    let log = testbed.appliance.log.clone();
    wait_for("the stranger to be left to its disk", BOOT, || {
        Ok(std::fs::read_to_string(&log)?.contains("its hardware is known; boots its own disk"))
    })?;
    let known = testbed.wait_for("the record", BOOT, |m| m.discovery.is_some())?;
    ensure!(
        known.discovery.is_some_and(|d| d.tries == 1),
        "it was asked again"
    );
    testbed.machine.cut_power()?;
    for disk in &testbed.machine.build().disks {
        disk.check_unchanged()?;
    }

    for (words, want) in [
        ("machines".to_owned(), "vda"),
        (format!("show {MAC}"), "ext4"),
        (format!("plan {MAC} --profile worker"), "photos"),
    ] {
        let said = testbed.appliance.admin(&words)?.stdout;
        println!("$ pxe-admin {words}\n{said}");
        ensure!(said.contains(want), "`{words}` does not show `{want}`");
    }
    let after = testbed.appliance.machine(MAC)?;
    ensure!(
        after.is_some_and(|m| m.state == State::Seen && m.profile.is_none()),
        "looking at its plan enrolled it"
    );
    testbed.passed()
}

#[test]
fn a_stranger_waits_at_its_screen_until_it_is_enrolled() -> anyhow::Result<()> {
    let mut setup = Setup::new("wait", Bios, ByRouter);
    setup.unknown = Some("wait");
    let mut testbed = Testbed::new(&setup)?;
    testbed.machine.power_on()?;
    let log = testbed.appliance.log.clone();
    wait_for("the machine to ask three times", BOOT, || {
        Ok(std::fs::read_to_string(&log)?
            .matches("screen for strangers")
            .count()
            >= 3)
    })?;
    testbed.enroll()?;
    // It is not switched off and on: its next question is answered with the installer.
    testbed.wait_for("the machine to hold its ticket", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
    })?;
    println!(
        "holds its ticket after {:.1} s",
        testbed.machine.uptime().as_secs_f32()
    );
    testbed.passed()
}
