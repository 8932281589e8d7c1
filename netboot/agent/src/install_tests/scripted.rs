//! An install whose disks disko's own script lays out: in its order, with the other disks read-only, and with a check
//! of everything that the script did.

use std::fs;

use expect_test::expect;
use netboot::disk::hardware::Firmware;
use netboot::install::plan::{Arg, Plan, PlannedCommand};
use netboot::install::report::InstallStep;

use super::{doings, failed, run};
use crate::check::check;
use crate::fake::{DiskSpec, FakeMachine, plan_for};

const TABLE: &str = r#"engine = "disko"
[disk.devices.disk.main.content]
type = "gpt"
[disk.devices.disk.main.content.partitions]
ESP = { type = "EF00", size = "1G", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
pool = { size = "100%", content = { type = "lvm_pv", vg = "pool" } }
[disk.devices.lvm_vg.pool]
type = "lvm_vg"
"#;

type ScriptBody = fn(&mut FakeMachine) -> Result<(), &'static str>;

fn machine(script: ScriptBody) -> FakeMachine {
    let mut fake = FakeMachine::machine(Firmware::Uefi);
    fake.stack("md9", &["vdb"], None);
    fake.write("sys/block/md9/size", "4096");
    fake.write("dev/md9", "");
    fake.write("sys/block/nvme0c0n1/hidden", "1");
    fake.write("sys/block/nvme0c0n1/size", "4096");
    fake.write("sys/block/loop0/size", "4096");
    let disk = DiskSpec::virtio("vda", 8 << 30, "root");
    fake.plan = plan_for(Firmware::Uefi, TABLE, &[disk]);
    fake.partition_type = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n".to_owned();
    fake.script = script;
    fake
}

/// Lines of mountinfo: where below the target, on which device, what is mounted.
fn mounts(fake: &FakeMachine, all: &[(&str, &str, &str)]) {
    let base = fake.base().display();
    let lines = all.iter().map(|(at, node, kind)| {
        let number = if node.starts_with("dm-") || node.starts_with("vd") {
            fake.number(node)
        } else {
            "0:40".to_owned()
        };
        let source = if number == "0:40" {
            (*node).to_owned()
        } else {
            format!("{base}/dev/{node}")
        };
        format!("40 1 {number} / {base}/mnt{at} rw,relatime shared:1 - {kind} {source} rw\n")
    });
    fake.write("proc/self/mountinfo", &lines.collect::<String>());
}

/// A volume on the planned disk, mounted.
fn well(fake: &mut FakeMachine) -> Result<(), &'static str> {
    fake.add_partition("vda", 1, 2048, 4096, "disk-main-ESP");
    fake.add_partition("vda", 2, 8192, 65536, "disk-main-pool");
    fake.stack("dm-0", &["vda2"], Some("pool-root"));
    mounts(
        fake,
        &[
            ("", "dm-0", "f2fs"),
            ("/boot", "vda1", "vfat"),
            ("/tmp", "tmpfs", "tmpfs"),
        ],
    );
    Ok(())
}

/// What the kernel does with a write to a device.
fn write(fake: &FakeMachine, name: &str) -> Result<(), &'static str> {
    let flag = fs::read_to_string(fake.base().join("sys/block").join(name).join("ro"));
    match flag.expect("a disk").trim() {
        "1" => Err("dd: error writing '/dev/vdb': Operation not permitted"),
        _ => Ok(()),
    }
}

fn flags(fake: &FakeMachine) -> Vec<String> {
    let flag = |name| {
        let file = fake.base().join("sys/block").join(name).join("ro");
        fs::read_to_string(file).expect("a disk").trim().to_owned()
    };
    ["vda", "vdb"].map(flag).to_vec()
}

#[test]
fn the_script_runs_between_our_own_tear_down_and_the_copy() {
    let mut fake = machine(well);
    run(&mut fake).expect("installs");
    let all: Vec<&str> = doings(&fake).into_iter().map(String::as_str).collect();
    let copy = all.iter().position(|line| line.starts_with("nix-env"));
    let loader = all.iter().rposition(|line| line.contains("chroot"));
    let (copy, loader) = (copy.expect("copies"), loader.expect("starts"));
    expect![[r#"
        nix-store --log-format internal-json -v --option substituters http://10.77.0.1:8080/cache --option trusted-public-keys appliance-1:a2V5 --option require-sigs true --option narinfo-cache-negative-ttl 0 --option narinfo-cache-positive-ttl 0 --option stalled-download-timeout 30 --option connect-timeout 5 --option build-users-group '' --option max-jobs 0 --realise /nix/store/1c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-disko-format-mount
        wipefs --all --quiet /dev/vda1
        zero 1048576 bytes at both ends of /dev/vda1 (2097152 bytes)
        wipefs --all --quiet /dev/vda
        zero 1048576 bytes at both ends of /dev/vda (8589934592 bytes)
        blockdev --rereadpt /dev/vda
        blockdev --setro /dev/md9
        blockdev --setro /dev/vdb
        timeout -k 30 1800 sh -c 'export LVM_SYSTEM_DIR="$2"
        exec "$1" >&2' sh /nix/store/1c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-disko-format-mount/bin/disko-format-mount /run/netboot/lvm
        blockdev --setrw /dev/md9
        blockdev --setrw /dev/vdb
        …
        sfdisk --part-type /dev/vda 1
        sfdisk --part-type /dev/vda 2
        sync -f /mnt
        sync -f /mnt/tmp
        umount --recursive /mnt
        dmsetup remove --retry pool-root
        blockdev --flushbufs /dev/vda
    "#]]
        .assert_eq(&(all[..copy].join("\n") + "\n…\n" + &all[loader + 1..].join("\n") + "\n"));
    assert_eq!(flags(&fake), ["0", "0"]);
    let lvm = fs::read_to_string(fake.roots().run.join("netboot/lvm/lvm.conf"));
    let filter = r#"global_filter = [ "r|^/dev/md9(p?[0-9]+)?$|", "r|^/dev/vdb(p?[0-9]+)?$|" ]"#;
    assert!(lvm.expect("reads").contains(filter));
    let link = fs::read_link(fake.base().join("dev/disk/netboot/main")).expect("a link");
    assert!(link.ends_with("dev/vda"), "{}", link.display());
}

#[test]
fn a_write_to_another_disk_fails_and_the_disk_takes_writes_again_afterwards() {
    let mut fake = machine(|fake| {
        write(fake, "vda")?;
        write(fake, "vdb")
    });
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Format);
    for part in [
        "laying out vda (serial `root`) by disko's script",
        "ended with status 1",
        "Operation not permitted",
        "the disk is vda",
    ] {
        assert!(causes.contains(part), "{part}: {causes}");
    }
    assert_eq!(flags(&fake), ["0", "0"]);
    assert!(!fake.log.iter().any(|line| line.starts_with("nix-env")));
}

#[test]
fn a_disk_that_cannot_be_held_stops_it_before_the_script() {
    let mut fake = machine(well);
    run(&mut fake).expect("installs");
    let set = fake
        .log
        .iter()
        .position(|line| line.ends_with("--setro /dev/vdb"));
    let mut fake = machine(well);
    fake.fail_at = set;
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Format);
    assert!(
        causes.contains("`vdb`, which no plan names, cannot be held"),
        "{causes}"
    );
    assert!(!fake.log.iter().any(|line| line.starts_with("timeout")));
    assert_eq!(flags(&fake), ["0", "0"]);
}

#[test]
fn a_script_that_cannot_be_had_leaves_the_disk_as_it_was() {
    let mut fake = machine(well);
    fake.fail_every = Some("nix-store");
    let (step, causes) = failed(run(&mut fake));
    assert_eq!(step, InstallStep::Plan);
    assert!(
        causes.contains("the cache does not deliver disko's script"),
        "{causes}"
    );
    let all = doings(&fake);
    assert!(
        all.iter().all(|line| line.starts_with("nix-store")),
        "{all:?}"
    );
}

#[test]
fn what_was_mounted_must_lie_on_the_planned_disk() {
    let rows: [(&str, ScriptBody, &str); 7] = [
        ("nothing", |_| Ok(()), "mounted nothing of a disk on `/`"),
        (
            "only RAM",
            |fake| {
                mounts(fake, &[("", "tmpfs", "tmpfs")]);
                Ok(())
            },
            "mounted nothing of a disk on `/`",
        ),
        (
            "another disk",
            |fake| {
                well(fake)?;
                mounts(fake, &[("", "dm-0", "ext4"), ("/srv", "vdb", "ext4")]);
                Ok(())
            },
            "mounted on `/srv` lies on `vdb` as well",
        ),
        (
            "a volume on both",
            |fake| {
                well(fake)?;
                fake.stack("dm-0", &["vdb"], None);
                Ok(())
            },
            "mounted on `/` lies on `vdb` as well",
        ),
        (
            "a btrfs on both",
            |fake| {
                well(fake)?;
                for device in ["vda2", "vdb"] {
                    fake.write(&format!("sys/fs/btrfs/1-2/devices/{device}"), "");
                }
                mounts(fake, &[("", "vda2", "btrfs")]);
                Ok(())
            },
            "mounted on `/` lies on `vdb` as well",
        ),
        (
            "a pool that no disk shows",
            |fake| {
                mounts(fake, &[("", "tank/root", "zfs")]);
                Ok(())
            },
            "in the pool `tank`, which no disk shows",
        ),
        (
            "an old system",
            |fake| {
                well(fake)?;
                fake.write("mnt/nix/store/x", "");
                Ok(())
            },
            "`/nix/store` is there already",
        ),
    ];
    for (name, script, want) in rows {
        let mut fake = machine(script);
        let (step, causes) = failed(run(&mut fake));
        assert_eq!(step, InstallStep::Mount, "{name}: {causes}");
        assert!(causes.contains(want), "{name}: {causes}");
        assert!(
            !fake.log.iter().any(|line| line.starts_with("nix-env")),
            "{name}"
        );
    }
}

#[test]
fn a_pool_is_known_by_what_is_on_the_disks() {
    for (other, good) in [("tank", false), ("data", true)] {
        let mut fake = machine(|fake| {
            fake.add_partition("vda", 1, 2048, 65536, "zfs");
            fake.signatures("vda1", &[("0x3f000", "zfs_member", "tank", "1")]);
            mounts(fake, &[("", "tank/root", "zfs")]);
            Ok(())
        });
        fake.signatures("vdb", &[("0x3f000", "zfs_member", other, "2")]);
        let done = run(&mut fake);
        assert_eq!(done.is_ok(), good, "{done:?}");
    }
}

#[test]
fn a_plan_has_nothing_beside_its_script() {
    type Change = fn(&mut Plan);
    let rows: [(&str, Change, &str); 4] = [
        (
            "a command",
            |plan| {
                let other = PlannedCommand {
                    program: "wipefs".to_owned(),
                    ..plan.commands[0].clone()
                };
                plan.commands.push(other);
            },
            "stands beside a script",
        ),
        (
            "another script",
            |plan| plan.commands[0].program.push('x'),
            "stands beside a script",
        ),
        (
            "words for the script",
            |plan| plan.commands[0].args.push(Arg::Text("x".to_owned())),
            "stands beside a script",
        ),
        (
            "a partition",
            |plan| {
                let other = plan_for(
                    Firmware::Uefi,
                    "ext4",
                    &[DiskSpec::virtio("vda", 8 << 30, "root")],
                );
                plan.disks = other.disks;
            },
            "beside a script that makes them",
        ),
    ];
    for (name, change, want) in rows {
        let mut plan = machine(well).plan;
        assert_eq!(check(&plan, Firmware::Uefi), Ok(()));
        change(&mut plan);
        let error = check(&plan, Firmware::Uefi).expect_err(name).to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
}
