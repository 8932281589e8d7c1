//! What keeps a layout with a ZFS pool from being made on a machine.

use super::Order;
use crate::base::refusal::{Code, Refusal};
use crate::disk::hardware::{Disk, Hardware};
use crate::disk::layout::{Devices, Layout};

/// # Errors
/// The installer that the machine booted has no ZFS, or another disk has a pool of this name, of which the system would
/// take either or none.
pub(super) fn check(
    hardware: &Hardware,
    order: &Order<'_>,
    chosen: &[&Disk],
    devices: &Devices,
) -> Result<(), Refusal> {
    let by_script = match &order.profile.layout {
        Layout::Scripted(scripted) => !scripted.pools.is_empty(),
        Layout::Named { .. } | Layout::Table(_) => false,
    };
    if (by_script || !devices.pools.is_empty()) && !hardware.zfs {
        return Err(without_zfs(order));
    }
    let is_chosen = |disk: &Disk| chosen.iter().any(|taken| taken.node == disk.node);
    for disk in hardware.disks.iter().filter(|disk| !is_chosen(disk)) {
        let mut pools = disk.holds.iter().filter(|held| held.kind == "zfs_member");
        let wanted = |name: &str| devices.pools.iter().any(|pool| pool.name == name);
        let Some(held) = pools.find(|held| wanted(&held.label)) else {
            continue;
        };
        let pool = &held.label;
        let message = format!("another disk is part of a pool named `{pool}`");
        return Err(Refusal::new(Code::PlanRefused, message)
            .fact(format!("disk {}", disk.words()))
            .fact("the installed system finds its pool by name, and could take that one")
            .fact("nothing was written")
            .tip(format!(
                "to keep it under another name, where it can be imported: zpool import {pool} old-{pool} && zpool export old-{pool}"
            ))
            .tip(format!(
                "or if nothing on it is wanted: zpool labelclear -f /dev/{}",
                held.node
            )));
    }
    Ok(())
}

fn without_zfs(order: &Order<'_>) -> Refusal {
    let profile = order.profile;
    let system = format!("{}-linux", profile.arch);
    let message = format!(
        "layout `{}` needs an installer with ZFS, and the one that this machine booted has none",
        profile.layout.name()
    );
    let refusal = Refusal::new(Code::PlanRefused, message)
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
    use crate::install::plan::tests::{GIB, disk, hardware, holding, plan_of, said};

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
        .assert_eq(&said(refusal));
        plan_of(&machine, &ZFS.replace("zfs", "btrfs")).expect("a plan");
        // Nor does disko's own script there.
        let table = "select = { smallest = true }\nengine = \"disko\"\n\
            [disk.devices.disk.main.content]\ntype = \"gpt\"\n\
            partitions.ESP = { type = \"EF00\", size = \"1G\", content = { type = \"filesystem\", format = \"vfat\", mountpoint = \"/boot\" } }\n\
            partitions.tank = { size = \"100%\", content = { type = \"zfs\", pool = \"tank\" } }\n\
            [disk.devices.zpool.tank]\ntype = \"zpool\"\n";
        let refusal = said(plan_of(&machine, table).expect_err("is refused"));
        assert!(
            refusal.starts_with("layout `[disk.devices] by disko` needs an installer with ZFS"),
            "{refusal}"
        );
        assert!(!refusal.contains("btrfs"), "{refusal}");
    }

    #[test]
    fn an_equally_named_pool_is_refused_on_another_disk_only() {
        let pool = |label: &str| {
            let mut held = holding("vdb2", "zfs_member", "data");
            label.clone_into(&mut held.label);
            let mut disk = disk("vdb", 64 * GIB);
            disk.holds = vec![held];
            disk
        };
        let beside = |label: &str| {
            let machine = hardware(Firmware::Uefi, vec![disk("vda", 32 * GIB), pool(label)]);
            plan_of(&machine, ZFS)
        };
        expect![[r#"
            another disk is part of a pool named `rpool`
              disk vdb: 64.0 GiB virtio, serial serial-vdb, holds vdb2: zfs_member "rpool", 1.0 GiB
              the installed system finds its pool by name, and could take that one
              nothing was written
              tip: to keep it under another name, where it can be imported: zpool import rpool old-rpool && zpool export old-rpool
              tip: or if nothing on it is wanted: zpool labelclear -f /dev/vdb2
        "#]]
        .assert_eq(&said(beside("rpool").expect_err("is refused")));
        beside("tank").expect("another name is no trouble");

        let own = hardware(Firmware::Uefi, vec![pool("rpool")]);
        let plan = plan_of(&own, ZFS).expect("what is on the chosen disk is wiped");
        assert!(plan.destroys[0].contains("rpool"), "{:?}", plan.destroys);
        let machine = hardware(Firmware::Uefi, vec![disk("vda", 32 * GIB), pool("rpool")]);
        plan_of(&machine, &ZFS.replace("zfs", "ext4")).expect("there is no pool to confuse");
    }
}
