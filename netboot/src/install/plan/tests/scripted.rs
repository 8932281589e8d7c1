//! Plans for disks that disko's own script lays out.

use expect_test::expect;

use super::*;

const SCRIPT: &str = "/nix/store/1c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-disko-format-mount";

const TABLE: &str = r#"select = { serial = "serial-vda" }
engine = "disko"
[disk.devices.disk.main.content]
type = "gpt"
[disk.devices.disk.main.content.partitions]
core = { type = "EF02", size = "1M" }
pool = { size = "100%", content = { type = "lvm_pv", vg = "pool" } }
[disk.devices.lvm_vg.pool]
type = "lvm_vg"
lvs.root = { size = "20G", content = { type = "filesystem", format = "f2fs", mountpoint = "/" } }
[disk.devices.mdadm.boot]
type = "mdadm"
[disk.devices.zpool.tank]
type = "zpool"
"#;

fn two() -> Vec<Disk> {
    vec![disk("vda", 16 * GIB), disk("vdb", 32 * GIB)]
}

fn planned(hardware: &Hardware, script: Option<&str>) -> Result<Plan, Refusal> {
    planned_by(TABLE, hardware, script)
}

fn planned_by(table: &str, hardware: &Hardware, script: Option<&str>) -> Result<Plan, Refusal> {
    let profile = try_profile(table, "agent").expect("reads");
    let release = Release {
        script: script.map(|path| path.parse().expect("a path")),
        ..release()
    };
    let cache = Substituter {
        url: "http://10.77.0.1:8080/cache".to_owned(),
        public_key: "k:AA==".to_owned(),
    };
    plan(
        hardware,
        &PlanOrder {
            host_name: &"node1".parse().expect("a name"),
            profile: &profile,
            release: &release,
            cache: &cache,
            k3s_server: Some("https://10.77.0.10:6443"),
        },
    )
}

#[test]
fn the_script_is_what_is_run_and_the_disks_are_those_that_were_chosen() {
    let mut disks = two();
    disks[0].holds = vec![
        signature("vda", "gpt", ""),
        signature("vda1", "ext4", "photos"),
    ];
    let plan = planned(&hardware(Firmware::Bios, disks), Some(SCRIPT)).expect("a plan");
    let commands: Vec<String> = plan
        .commands
        .iter()
        .map(|one| one.command_line(&plan))
        .collect();
    let program = format!("{SCRIPT}/bin/disko-format-mount");
    assert_eq!(commands, [program.as_str(), "umount --recursive /mnt"]);
    assert_eq!(plan.script.as_ref().map(StorePath::as_str), Some(SCRIPT));
    assert_eq!(plan.layout, "[disk.devices] by disko");
    let disks: Vec<(&str, &str, usize)> = plan
        .disks
        .iter()
        .map(|one| {
            (
                one.name.as_str(),
                one.disk.node.as_str(),
                one.partitions.len(),
            )
        })
        .collect();
    assert_eq!(disks, [("main", "vda", 0)]);
    assert_eq!(plan.destroys.len(), 2, "{:?}", plan.destroys);
    let json = serde_json::to_string(&plan).expect("writes");
    assert_eq!(serde_json::from_str::<Plan>(&json).expect("reads"), plan);
}

/// Sizes are what an agent says.
#[test]
fn sizes_that_nobody_has_are_survived() {
    let second = "[disk.devices.disk.second.content]\ntype = \"gpt\"\npartitions.pool = { size = \"100%\" }\n";
    let both = "select = [{ serial = \"serial-vda\" }, { serial = \"serial-vdb\" }]";
    let table = TABLE.replace("select = { serial = \"serial-vda\" }", both);
    let disks = vec![disk("vda", u64::MAX), disk("vdb", u64::MAX)];
    let machine = hardware(Firmware::Bios, disks);
    let plan = planned_by(&(table + second), &machine, Some(SCRIPT)).expect("a plan");
    assert_eq!(plan.disks.len(), 2);
}

#[test]
fn what_would_end_badly_is_refused_before_anything_is_written() {
    let elsewhere = |held: Signature| {
        let mut disks = two();
        disks[1].holds = vec![held];
        hardware(Firmware::Bios, disks)
    };
    let member = |kind: &str, label: &str, group: &str| Signature {
        label: label.to_owned(),
        member_of: (!group.is_empty()).then(|| Group {
            name: group.to_owned(),
            id: "1-2-3".to_owned(),
        }),
        ..signature("vdb1", kind, "")
    };
    let small = hardware(Firmware::Bios, vec![disk("vda", GIB)]);
    let rows = [
        ("no script", planned(&hardware(Firmware::Bios, two()), None)),
        (
            "no ESP",
            planned(&hardware(Firmware::Uefi, two()), Some(SCRIPT)),
        ),
        ("no room", planned(&small, Some(SCRIPT))),
        (
            "a label",
            planned(
                &elsewhere(signature("vdb1", "ext4", "disk-main-pool")),
                Some(SCRIPT),
            ),
        ),
        (
            "an array",
            planned(
                &elsewhere(member("linux_raid_member", "any:boot", "")),
                Some(SCRIPT),
            ),
        ),
        (
            "a volume group",
            planned(&elsewhere(member("LVM2_member", "", "pool")), Some(SCRIPT)),
        ),
        (
            "a pool",
            planned(
                &elsewhere(member("zfs_member", "tank", "tank")),
                Some(SCRIPT),
            ),
        ),
    ];
    let text: Vec<String> = rows
        .into_iter()
        .map(|(name, planned)| format!("{name}: {}", refusal_text(&planned.expect_err(name))))
        .collect();
    expect![[r#"
        no script: release 3 of `worker` carries no script of disko's, and profile `worker` wants one
          nothing was written
          tip: make a release with it: pxe-admin publish worker
          tip: in hosts/profiles/worker.toml: take `engine = "disko"` out
        no ESP: layout `[disk.devices] by disko` lacks the partition from which this machine's firmware (UEFI) starts: an EFI system partition on `/boot` (type `EF00`)
          nothing was written
          tip: in hosts/profiles/worker.toml: add that partition
        no room: the chosen disks are too small for this system
          disk vda: 1.0 GiB virtio, serial serial-vda, empty
          needed: 1.5 GiB
          nothing was written
        a label: another disk has a partition labelled `disk-main-pool`
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: ext4 "disk-main-pool", 1.0 GiB
          the installed system finds its partitions by label, and could mount that one
          nothing was written
          tip: give it another label: sfdisk --part-label /dev/vdb 1 old-disk-main-pool
        an array: another disk is part of an array named `boot`
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: linux_raid_member "any:boot", 1.0 GiB
          disko's script goes on with an array of that name if it finds one, and could write there
          nothing was written
          tip: take that disk out, or use another name in the table; if nothing on it is wanted: mdadm --zero-superblock /dev/vdb1
        a volume group: another disk is part of a volume group named `pool`
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: LVM2_member of `pool`, 1.0 GiB
          disko's script goes on with a volume group of that name if it finds one, and could write there
          nothing was written
          tip: take that disk out, or use another name in the table; if nothing on it is wanted: wipefs --all /dev/vdb1
        a pool: another disk is part of a pool named `tank`
          disk vdb: 32.0 GiB virtio, serial serial-vdb, holds vdb1: zfs_member "tank", 1.0 GiB
          disko's script goes on with a pool of that name if it finds one, and could write there
          nothing was written
          tip: take that disk out, or use another name in the table; if nothing on it is wanted: zpool labelclear -f /dev/vdb1
    "#]].assert_eq(&text.join(""));
    let another = elsewhere(member("LVM2_member", "", "other"));
    assert!(planned(&another, Some(SCRIPT)).is_ok());
}
