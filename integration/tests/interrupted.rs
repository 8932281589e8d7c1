//! Installs that are cut short: by the appliance's end, by a power cut, by one power cut too many.

use anyhow::ensure;
use integration::lab::firmware::Firmware::Bios;
use integration::lab::scene::{BOOT, MAC, Scene, Script};
use integration::lab::services::Leases::ByRouter;
use netboot::machine::{Machine, State};
use netboot::report::{Outcome, Step};

fn scene(name: &str) -> anyhow::Result<Scene> {
    let scene = Scene::set(&Script::new(name, Bios, ByRouter))?;
    scene.enroll()?;
    Ok(scene)
}

/// Some of the system is on the disk, and some is not.
fn is_copying(machine: &Machine) -> bool {
    machine.attempt.as_ref().is_some_and(|a| {
        a.progress.step == Some(Step::Copy) && a.progress.outcome != Some(Outcome::Done)
    })
}

fn attempt(machine: &Machine) -> Option<u32> {
    machine.attempt.as_ref().map(|a| a.number)
}

#[test]
fn an_install_completes_when_the_appliance_is_killed_in_the_middle_and_started_again()
-> anyhow::Result<()> {
    let mut scene = scene("killed-appliance")?;
    scene.machine.power_on()?;
    scene.wait_for("the copy to begin", BOOT, is_copying)?;
    let before = scene.appliance.must("--json events")?;
    scene.appliance.kill()?;
    scene.appliance.start()?;
    let after = scene.appliance.must("--json events")?;
    ensure!(
        after.starts_with(&before),
        "acknowledged events are lost\nbefore:\n{before}\nafter:\n{after}"
    );
    println!(
        "joined after {:.1} s",
        scene.wait_for_joined()?.as_secs_f32()
    );
    let machine: Machine = scene.appliance.ask("show node1")?;
    ensure!(
        attempt(&machine) == Some(1),
        "it took another attempt: {:?}",
        machine.attempt
    );
    scene.passed()
}

#[test]
fn a_machine_that_loses_power_while_copying_is_installed_by_its_second_attempt()
-> anyhow::Result<()> {
    let mut scene = scene("power-cut")?;
    scene.machine.power_on()?;
    scene.wait_for("the copy to begin", BOOT, is_copying)?;
    scene.machine.cut_power()?;
    scene.machine.power_on()?;
    scene.wait_for("the second attempt", BOOT, |m| attempt(m) == Some(2))?;
    println!(
        "joined after {:.1} s",
        scene.wait_for_joined()?.as_secs_f32()
    );
    let machine: Machine = scene.appliance.ask("show node1")?;
    ensure!(
        attempt(&machine) == Some(2),
        "attempts: {:?}",
        machine.attempt
    );
    scene.passed()
}

#[test]
fn a_machine_whose_three_attempts_all_end_in_a_power_cut_is_given_up_and_boots_its_disk()
-> anyhow::Result<()> {
    let mut scene = scene("three-attempts")?;
    for number in 1..=3 {
        scene.machine.power_on()?;
        scene.wait_for("the ticket to be claimed", BOOT, |m| {
            attempt(m) == Some(number) && m.attempt.as_ref().is_some_and(|a| a.claim.is_some())
        })?;
        scene.machine.cut_power()?;
    }
    scene.machine.power_on()?;
    let failed = scene.wait_for("the machine to be given up", BOOT, |m| {
        m.state == State::Failed
    })?;
    ensure!(!failed.failure.is_empty(), "no reason is given");
    scene
        .machine
        .wait_for_console("Booting from Hard Disk", BOOT)?;
    let shown = scene.appliance.admin("show node1")?;
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
    scene.appliance.must("reimage node1")?;
    let again = scene.appliance.machine(MAC)?;
    ensure!(again.is_some_and(|m| m.state == State::Enrolled && attempt(&m) == Some(1)));
    scene.passed()
}
