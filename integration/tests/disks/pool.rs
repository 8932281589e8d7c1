//! The layout `zfs`: a pool that boots, also when it was not exported, and is made anew over an old one, with images
//! that have ZFS; and what an installer without it says.

use anyhow::{Context as _, ensure};
use integration::lab::firmware::VmFirmware::{self, Bios, Uefi};
use integration::lab::optional::Optional;
use integration::lab::products::{Images, Products};
use integration::lab::services::DhcpSetup::ByRouter;
use integration::lab::testbed::{BOOT, MAC, Setup, Testbed, WORKER, blank};

fn profile(layout: &str) -> String {
    WORKER.replace(r#"layout = "ext4""#, layout)
}

/// A machine whose profile has this layout, and images with ZFS.
fn testbed(name: &str, firmware: VmFirmware, layout: &str) -> anyhow::Result<Testbed> {
    let there = Products::find()?.have(Images::Zfs);
    Optional::Zfs.must_be_here(there, "images with ZFS")?;
    let profile = profile(layout);
    let mut setup = Setup::new(name, firmware, ByRouter);
    setup.profile = &profile;
    setup.images = Images::Zfs;
    Testbed::new(&setup)
}

/// From power-on to joined, on a root that is a dataset.
fn joins(name: &str, testbed: &mut Testbed) -> anyhow::Result<()> {
    testbed.machine.power_on()?;
    let took = testbed.wait_for_joined_by_key()?.as_secs_f32();
    println!("{name}: joined after {took:.1} s; {}", testbed.timing()?);
    stands_on_the_pool(testbed)
}

fn stands_on_the_pool(testbed: &Testbed) -> anyhow::Result<()> {
    let console = testbed.machine.console()?;
    let line = console.lines().rfind(|line| line.contains("root is "));
    let line = line.context("the system never came to its root")?;
    ensure!(line.contains("root is rpool/root (zfs)"), "{line}");
    Ok(())
}

#[test]
#[ignore = "long: an install on UEFI with the kernel that has ZFS, 4 min"]
fn a_uefi_machine_joins_on_zfs() -> anyhow::Result<()> {
    let name = "zfs-uefi";
    let mut testbed = testbed(name, Uefi, r#"layout = "zfs""#)?;
    testbed.enroll()?;
    joins(name, &mut testbed)?;
    testbed.machine.cut_power()?;
    testbed.passed()
}

#[test]
#[ignore = "long: two installs and a boot on BIOS with the kernel that has ZFS, 6 min"]
fn a_bios_machine_joins_on_zfs_boots_after_a_power_cut_and_is_installed_again() -> anyhow::Result<()>
{
    let name = "zfs-bios";
    let layout = "layout = \"zfs\"\nswap = \"256M\"";
    let mut testbed = testbed(name, Bios, layout)?;
    testbed.enroll()?;
    joins(name, &mut testbed)?;

    // The pool was not exported: only its own system opens it without force.
    let boot = |testbed: &Testbed| {
        let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
        anyhow::Ok(machine.boot_id)
    };
    let before = boot(&testbed)?;
    testbed.machine.cut_power()?;
    testbed.machine.power_on()?;
    testbed.wait_for("a boot after the power cut", BOOT, |m| {
        !m.boot_id.is_empty() && m.boot_id != before
    })?;
    stands_on_the_pool(&testbed)?;
    let took = testbed.machine.uptime().as_secs_f32();
    println!("{name}: booted after a power cut in {took:.1} s");
    testbed.machine.cut_power()?;

    testbed.appliance.must("reimage node1")?;
    joins(name, &mut testbed)?;
    let machine = testbed.appliance.machine(MAC)?.context("not on record")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    let destroys = plan.map_or_else(Vec::new, |plan| plan.destroys);
    let old = destroys.iter().find(|line| line.contains("zfs_member"));
    println!("{name}: {destroys:#?}");
    ensure!(
        old.is_some_and(|line| line.contains("\"rpool\"")),
        "the plan does not say that the old pool will be gone: {destroys:#?}"
    );
    testbed.machine.cut_power()?;
    testbed.passed()
}

#[test]
fn an_installer_without_zfs_leaves_the_disk_as_it_is() -> anyhow::Result<()> {
    let profile = profile(r#"layout = "zfs""#);
    let mut setup = Setup::new("zfs-lacking", Bios, ByRouter);
    setup.profile = &profile;
    setup.disks = |dir| {
        let disk = blank(dir)?;
        disk.keep_copy()?;
        Ok(vec![disk])
    };
    let mut testbed = Testbed::new(&setup)?;
    testbed.enroll()?;
    testbed.machine.power_on()?;
    let said = testbed.wait_for_failure(1)?;
    for part in [
        "needs an installer with ZFS",
        "netboot.installer.zfs = true",
    ] {
        ensure!(said.contains(part), "no `{part}` in: {said}");
    }
    testbed
        .machine
        .wait_for_console("needs an installer with ZFS", BOOT)?;
    testbed.machine.cut_power()?;
    testbed.machine.build().disks[0].check_unchanged()?;
    testbed.passed()
}
