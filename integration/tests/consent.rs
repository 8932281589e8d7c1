//! Machines that nobody enrolled by hand: what they hold is wiped only after a word, and what they are is known before.

use anyhow::ensure;
use integration::lab::disk::Disk;
use integration::lab::firmware::Firmware::{Bios, Uefi};
use integration::lab::scene::{BOOT, MAC, Scene, Script};
use integration::lab::services::Leases::ByRouter;
use integration::lab::wait::wait_for;
use netboot::machine::State;

#[test]
fn a_machine_that_enrolled_itself_keeps_its_photos_until_somebody_confirms() -> anyhow::Result<()> {
    let name = "worker-123456";
    let mut script = Script::new("confirm", Bios, ByRouter);
    script.unknown = Some("worker");
    script.disks = |dir| {
        let file = dir.join("root.disk");
        Ok(vec![Disk::with_filesystem(file, "root", 4096, "photos")?])
    };
    let mut scene = Scene::set(&script)?;
    scene.publish()?;
    scene.machine.power_on()?;
    let first = scene.wait_for("the machine to wait", BOOT, |m| m.waiting().is_some())?;
    println!("waits after {:.1} s", scene.machine.uptime().as_secs_f32());
    let command = format!("pxe-admin confirm {name}");
    for (words, exit) in [
        (format!("show {name}"), 5),
        (format!("plan {name}"), 0),
        (format!("doctor {name}"), 1),
    ] {
        let said = scene.appliance.admin(&words)?;
        let text = said.stdout + &said.stderr;
        println!("$ pxe-admin {words}\n{text}");
        ensure!(said.status.code() == Some(exit), "{words}: {}", said.status);
        ensure!(text.contains(&command), "`{words}` does not say what to do");
    }
    scene.machine.wait_for_console(&command, BOOT)?;

    // The appliance restarts, the power fails: it goes on waiting, and no attempt is used up.
    scene.appliance.kill()?;
    scene.appliance.start()?;
    scene.machine.cut_power()?;
    scene.machine.build().disks[0].check_unchanged()?;
    scene.machine.power_on()?;
    let ticket = first.attempt.map(|a| a.ticket);
    let again = scene.wait_for("the machine to wait again", BOOT, |m| {
        m.waiting().is_some() && m.attempt.as_ref().map(|a| &a.ticket) != ticket.as_ref()
    })?;
    ensure!(
        again.attempt.as_ref().is_some_and(|a| a.number == 1),
        "waiting counts as an attempt: {again:?}"
    );

    println!("{}", scene.appliance.must(&format!("confirm {name}"))?);
    let joined = scene.wait_for_joined()?;
    println!("joined after {:.1} s", joined.as_secs_f32());
    let events = scene.appliance.must(&format!("events {name}"))?;
    ensure!(
        events.contains("may be wiped, by uid 0") && events.contains("photos"),
        "the yes is not on record:\n{events}"
    );
    scene.passed()
}

#[test]
fn a_stranger_tells_its_hardware_and_keeps_its_disks() -> anyhow::Result<()> {
    let mut script = Script::new("discover", Uefi, ByRouter);
    script.unknown = Some("discover");
    script.disks = |dir| {
        let file = dir.join("root.disk");
        Ok(vec![
            Disk::with_filesystem(file, "root", 4096, "photos")?,
            Disk::with_data(dir.join("data.disk"), "data", 5120)?,
        ])
    };
    let mut scene = Scene::set(&script)?;
    scene.publish()?;
    scene.machine.power_on()?;
    let told = scene.wait_for("the stranger to tell its hardware", BOOT, |m| {
        m.hardware.is_some()
    })?;
    println!("told after {:.1} s", scene.machine.uptime().as_secs_f32());
    ensure!(told.state == State::Seen, "it is {}", told.state);

    // It reboots, asks again, and is left to its own disk.
    let log = scene.appliance.log.clone();
    wait_for("the stranger to be left to its disk", BOOT, || {
        Ok(std::fs::read_to_string(&log)?.contains("its hardware is known; boots its own disk"))
    })?;
    let known = scene.wait_for("the record", BOOT, |m| m.discovery.is_some())?;
    ensure!(
        known.discovery.is_some_and(|d| d.tries == 1),
        "it was asked again"
    );
    scene.machine.cut_power()?;
    for disk in &scene.machine.build().disks {
        disk.check_unchanged()?;
    }

    for (words, want) in [
        ("machines".to_owned(), "vda"),
        (format!("show {MAC}"), "ext4"),
        (format!("plan {MAC} --profile worker"), "photos"),
    ] {
        let said = scene.appliance.admin(&words)?.stdout;
        println!("$ pxe-admin {words}\n{said}");
        ensure!(said.contains(want), "`{words}` does not show `{want}`");
    }
    let after = scene.appliance.machine(MAC)?;
    ensure!(
        after.is_some_and(|m| m.state == State::Seen && m.profile.is_none()),
        "looking at its plan enrolled it"
    );
    scene.passed()
}

#[test]
fn a_stranger_waits_at_its_screen_until_it_is_enrolled() -> anyhow::Result<()> {
    let mut script = Script::new("wait", Bios, ByRouter);
    script.unknown = Some("wait");
    let mut scene = Scene::set(&script)?;
    scene.machine.power_on()?;
    let log = scene.appliance.log.clone();
    wait_for("the machine to ask three times", BOOT, || {
        Ok(std::fs::read_to_string(&log)?
            .matches("screen for strangers")
            .count()
            >= 3)
    })?;
    scene.enroll()?;
    // It is not switched off and on: its next question is answered with the installer.
    scene.wait_for("the machine to hold its ticket", BOOT, |m| {
        m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
    })?;
    println!(
        "holds its ticket after {:.1} s",
        scene.machine.uptime().as_secs_f32()
    );
    scene.passed()
}
