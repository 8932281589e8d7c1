//! What keeps a layout with a ZFS pool from being made on a machine.

use super::PlanOrder;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::disk::hardware::Hardware;
use crate::disk::layout::{Devices, Layout};

/// # Errors
/// The layout has a pool, and the installer that the machine booted has no ZFS.
pub(super) fn check(
    hardware: &Hardware,
    order: &PlanOrder<'_>,
    devices: &Devices,
) -> Result<(), Refusal> {
    let by_script = match &order.profile.layout {
        Layout::Scripted(scripted) => !scripted.pools.is_empty(),
        Layout::Named { .. } | Layout::Table(_) => false,
    };
    if (by_script || !devices.pools.is_empty()) && !hardware.zfs {
        return Err(without_zfs(order));
    }
    Ok(())
}

fn without_zfs(order: &PlanOrder<'_>) -> Refusal {
    let profile = order.profile;
    let system = format!("{}-linux", profile.arch);
    let message = format!(
        "layout `{}` needs an installer with ZFS, and the one that this machine booted has none",
        profile.layout.name()
    );
    let refusal = Refusal::new(RefusalCode::PlanRefused, message)
        .fact("nothing was written")
        .tip(format!(
            "in flake.nix, as packages.{system}.installer (hosts/README.md): netboot.lib.installer \"{system}\" [ {{ netboot.installer.zfs = true; }} ]"
        ))
        .tip("then: pxe-admin publish, and boot the machine again");
    match profile.layout {
        Layout::Named { .. } => {
            refusal.tip(format!("or in {}: [disk] layout = \"btrfs\"", profile.file))
        }
        Layout::Table(_) | Layout::Scripted(_) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::disk::hardware::Firmware;
    use crate::install::plan::tests::plan_of;
    use crate::test_support::{GIB, disk, hardware, refusal_text};

    const ZFS: &str = "select = { smallest = true }\nlayout = \"zfs\"";

    #[test]
    fn an_installer_without_zfs_makes_no_pool_and_any_other_layout() {
        let mut machine = hardware(Firmware::Uefi, vec![disk("vda", 32 * GIB)]);
        machine.zfs = false;
        let refusal = plan_of(&machine, ZFS).expect_err("is refused");
        expect![[r#"
            layout `zfs` needs an installer with ZFS, and the one that this machine booted has none
              nothing was written
              tip: in flake.nix, as packages.x86_64-linux.installer (hosts/README.md): netboot.lib.installer "x86_64-linux" [ { netboot.installer.zfs = true; } ]
              tip: then: pxe-admin publish, and boot the machine again
              tip: or in hosts/profiles/worker.toml: [disk] layout = "btrfs"
        "#]]
        .assert_eq(&refusal_text(&refusal));
        plan_of(&machine, &ZFS.replace("zfs", "btrfs")).expect("a plan");
        // Disko's own script is refused there as well.
        let table = "select = { smallest = true }\nengine = \"disko\"\n\
            [disk.devices.disk.main.content]\ntype = \"gpt\"\n\
            partitions.ESP = { type = \"EF00\", size = \"1G\", content = { type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" } }\n\
            partitions.tank = { size = \"100%\", content = { type = \"zfs\", pool = \"tank\" } }\n\
            [disk.devices.zpool.tank]\ntype = \"zpool\"\n";
        let refusal = refusal_text(&plan_of(&machine, table).expect_err("is refused"));
        assert!(
            refusal.starts_with("layout `[disk.devices] by disko` needs an installer with ZFS"),
            "{refusal}"
        );
        assert!(!refusal.contains("btrfs"), "{refusal}");
    }
}
