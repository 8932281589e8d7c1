//! The layout `zfs`: a pool that boots, also when nobody exported it, and is made anew over an old one. With images that have
//! ZFS; with others, nothing at all.

use anyhow::{Context as _, ensure};
use integration::lab::firmware::Firmware::{self, Bios, Uefi};
use integration::lab::products::{Images, Products};
use integration::lab::scene::{BOOT, MAC, Scene, Script, WORKER, blank};
use integration::lab::services::Leases::ByRouter;

use crate::is_long;

fn profile(layout: &str) -> String {
    WORKER.replace(r#"layout = "ext4""#, layout)
}

/// A machine whose profile has this layout, and images with ZFS; nothing where there are none.
fn scene(name: &str, firmware: Firmware, layout: &str) -> anyhow::Result<Option<Scene>> {
    if !is_long() {
        return Ok(None);
    }
    if !Products::find()?.have(Images::Zfs) {
        println!("skipped: there is no kernel with ZFS here, see integration/setup");
        return Ok(None);
    }
    let profile = profile(layout);
    let mut script = Script::new(name, firmware, ByRouter);
    script.profile = &profile;
    script.images = Images::Zfs;
    Scene::set(&script).map(Some)
}

/// From power-on to joined, on a root that is a dataset.
fn joins(name: &str, scene: &mut Scene) -> anyhow::Result<()> {
    scene.machine.power_on()?;
    let took = scene.wait_for_joined()?.as_secs_f32();
    println!("{name}: joined after {took:.1} s; {}", scene.course()?);
    stands_on_the_pool(scene)
}

fn stands_on_the_pool(scene: &Scene) -> anyhow::Result<()> {
    let console = scene.machine.console()?;
    let line = console.lines().rfind(|line| line.contains("root is "));
    let line = line.context("the system never came to its root")?;
    ensure!(line.contains("root is rpool/root (zfs)"), "{line}");
    Ok(())
}

#[test]
fn a_uefi_machine_joins_on_zfs() -> anyhow::Result<()> {
    let name = "zfs-uefi";
    let Some(mut scene) = scene(name, Uefi, r#"layout = "zfs""#)? else {
        return Ok(());
    };
    scene.enroll()?;
    joins(name, &mut scene)?;
    scene.machine.cut_power()?;
    scene.passed()
}

#[test]
fn a_bios_machine_joins_on_zfs_boots_after_a_power_cut_and_is_installed_again() -> anyhow::Result<()>
{
    let name = "zfs-bios";
    let layout = "layout = \"zfs\"\nswap = \"256M\"";
    let Some(mut scene) = scene(name, Bios, layout)? else {
        return Ok(());
    };
    scene.enroll()?;
    joins(name, &mut scene)?;

    // Nobody exported the pool: its system alone opens it without force.
    let boot = |scene: &Scene| {
        let machine = scene.appliance.machine(MAC)?.context("not on record")?;
        anyhow::Ok(machine.boot_id)
    };
    let before = boot(&scene)?;
    scene.machine.cut_power()?;
    scene.machine.power_on()?;
    scene.wait_for("a boot after the power cut", BOOT, |m| {
        !m.boot_id.is_empty() && m.boot_id != before
    })?;
    stands_on_the_pool(&scene)?;
    let took = scene.machine.uptime().as_secs_f32();
    println!("{name}: booted after a power cut in {took:.1} s");
    scene.machine.cut_power()?;

    scene.appliance.must("reimage node1")?;
    joins(name, &mut scene)?;
    let machine = scene.appliance.machine(MAC)?.context("not on record")?;
    let plan = machine.attempt.and_then(|attempt| attempt.plan);
    let destroys = plan.map_or_else(Vec::new, |plan| plan.destroys);
    let old = destroys.iter().find(|line| line.contains("zfs_member"));
    println!("{name}: {destroys:#?}");
    ensure!(
        old.is_some_and(|line| line.contains("\"rpool\"")),
        "the plan does not say that the old pool will be gone: {destroys:#?}"
    );
    scene.machine.cut_power()?;
    scene.passed()
}

#[test]
fn an_installer_without_zfs_leaves_the_disk_as_it_is() -> anyhow::Result<()> {
    let profile = profile(r#"layout = "zfs""#);
    let mut script = Script::new("zfs-lacking", Bios, ByRouter);
    script.profile = &profile;
    script.disks = |dir| {
        let disk = blank(dir)?;
        disk.keep_copy()?;
        Ok(vec![disk])
    };
    let mut scene = Scene::set(&script)?;
    scene.enroll()?;
    scene.machine.power_on()?;
    let said = scene.wait_for_failure(1)?;
    for part in [
        "needs an installer with ZFS",
        "netboot.installer.zfs = true",
    ] {
        ensure!(said.contains(part), "no `{part}` in: {said}");
    }
    scene
        .machine
        .wait_for_console("needs an installer with ZFS", BOOT)?;
    scene.machine.cut_power()?;
    scene.machine.build().disks[0].check_unchanged()?;
    scene.passed()
}
