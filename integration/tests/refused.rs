//! Installs that must not be: no disk or two that fit, a cache that is not the appliance's.

use std::fs;

use anyhow::{Context as _, ensure};
use integration::lab::disk::VirtualDisk;
use integration::lab::firmware::VmFirmware::Bios;
use integration::lab::search::files;
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, Setup, Testbed, WORKER};
use integration::lab::wait::wait_for;
use netboot::api::machine_view::MachineView;

/// Changes the disk that the profile selects, as an operator would, and waits until that is in force.
fn select(testbed: &Testbed, select: &str) -> anyhow::Result<()> {
    let text = WORKER.replace(r#"{ smallest = true, min-size = "2G" }"#, select);
    ensure!(text != WORKER, "the profile has no `select` to change");
    let before = fs::read_to_string(&testbed.appliance.log)?.len();
    fs::write(
        testbed.appliance.dir().join("hosts/profiles/worker.toml"),
        text,
    )?;
    wait_for("the appliance to take the changed profile", BOOT, || {
        let log = fs::read_to_string(&testbed.appliance.log)?;
        Ok(log[before..].contains("profiles read again"))
    })
}

#[test]
fn a_machine_without_the_one_disk_that_is_meant_is_left_as_it_is() -> anyhow::Result<()> {
    let mut setup = Setup::new("no-disk", Bios, ByRouter);
    let none = WORKER.replace("smallest = true, min-size = \"2G\"", "min-size = \"100G\"");
    setup.profile = &none;
    setup.disks = |dir| {
        let with_data =
            |name: &str| VirtualDisk::with_data(dir.join(format!("{name}.disk")), name, 3072);
        Ok(vec![with_data("first")?, with_data("second")?])
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let said = testbed.wait_for_failure(1)?;
    ensure!(
        said.contains("no disk matches `select` of profile `worker`"),
        "{said}"
    );
    ensure!(
        said.contains("first") && said.contains("second"),
        "the disks are not listed: {said}"
    );
    // The machine says it too, to whoever stands before it.
    testbed
        .machine
        .wait_for_console("no disk matches `select` of profile `worker`", BOOT)?;
    testbed.machine.cut_power()?;

    select(&testbed, r#"{ min-size = "2G" }"#)?;
    testbed.machine.power_on()?;
    let said = testbed.wait_for_failure(2)?;
    ensure!(
        said.contains("2 disks match `select` of profile `worker`"),
        "{said}"
    );
    testbed.machine.cut_power()?;
    for disk in &testbed.machine.build().disks {
        disk.check_unchanged()?;
    }
    testbed.passed()
}

#[test]
fn a_system_that_the_appliance_did_not_sign_is_not_installed() -> anyhow::Result<()> {
    let mut testbed = Testbed::new(&Setup::new("wrong-signature", Bios, ByRouter))?;
    testbed.enroll()?;
    let mut forged = 0;
    for file in files(&testbed.appliance.dir().join("state"))? {
        if file.extension().is_none_or(|e| e != "narinfo") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let (name, signature) = text
            .lines()
            .find_map(|line| line.strip_prefix("Sig: ")?.split_once(':'))
            .with_context(|| format!("`{}` is not signed", file.display()))?;
        // Well-formed, of the right key's name, and wrong.
        let wrong: String = signature.chars().rev().skip_while(|c| *c == '=').collect();
        fs::write(
            &file,
            text.replace(&format!("{name}:{signature}"), &format!("{name}:{wrong}==")),
        )?;
        forged += 1;
    }
    ensure!(forged > 0, "no signature was there to be forged");
    testbed.machine.power_on()?;
    let said = testbed.wait_for_failure(1)?;
    ensure!(
        said.contains("the cache holds a path that its key did not sign"),
        "{said}"
    );
    testbed.machine.cut_power()?;
    let shown: MachineView = testbed.appliance.ask("show node1")?;
    ensure!(
        shown.generations.is_empty() && shown.installed.is_none(),
        "half installed: {shown:?}"
    );
    testbed.passed()
}
