//! Tables for disko's own script: what is known of them, and what is refused.

use expect_test::expect;

use crate::disk::hardware::Firmware;
use crate::disk::layout::Layout;
use crate::profile::Profiles;

const TABLE: &str = r#"system = "x86_64-linux"

[disk]
select = { min-size = "1G" }
engine = "disko"

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions]
core = { type = "EF02", size = "1M", attributes = [0] }
ESP = { type = "EF00", size = "1G", content = { type = "filesystem", format = "vfat", mountpoint = "/boot" } }
pool = { size = "100%", label = "pool-of-main", content = { type = "lvm_pv", vg = "pool" } }

[disk.devices.disk.data.content]
type = "zfs"
pool = "tank"

[disk.devices.lvm_vg.pool]
type = "lvm_vg"
lvs.root = { size = "20G", content = { type = "filesystem", format = "f2fs", mountpoint = "/", postMountHook = "stat /dev/null" } }

[disk.devices.zpool.tank]
type = "zpool"
datasets.files = { type = "zfs_fs", mountpoint = "/srv" }
"#;

fn read(text: &str) -> Result<Layout, String> {
    let read = Profiles::read(&[("a.toml".to_owned(), text.to_owned())]);
    let read = read.map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{problem}\n"));
        lines.collect::<String>()
    })?;
    let profile = read.by_name.into_values().next();
    Ok(profile.expect("one").layout)
}

#[test]
fn what_the_guards_need_is_found_in_it() {
    let layout = read(TABLE).expect("reads");
    assert_eq!(layout.name(), "[disk.devices] by disko");
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        assert_eq!(layout.devices(firmware).missing(firmware), None);
    }
    let Layout::Scripted(scripted) = layout else {
        panic!("{layout:?}");
    };
    let disks: Vec<(&str, Vec<&str>)> = scripted
        .devices
        .disks
        .iter()
        .map(|disk| {
            let labels = disk.partitions.iter().map(|slot| slot.label.as_str());
            (disk.name.as_str(), labels.collect())
        })
        .collect();
    let main = vec!["disk-main-core", "disk-main-ESP", "pool-of-main"];
    assert_eq!(disks, [("main", main), ("data", vec![])]);
    assert_eq!(
        (scripted.groups, scripted.pools),
        (vec!["pool".to_owned()], vec!["tank".to_owned()])
    );
}

#[test]
fn what_a_firmware_starts_from_is_missed() {
    for (firmware, from, to) in [
        (Firmware::Uefi, "\"EF00\"", "\"8300\""),
        (
            Firmware::Uefi,
            "mountpoint = \"/boot\"",
            "mountpoint = \"/efi\"",
        ),
        (Firmware::Bios, "\"EF02\"", "\"8300\""),
    ] {
        let layout = read(&TABLE.replacen(from, to, 1)).expect("reads");
        assert!(layout.devices(firmware).missing(firmware).is_some(), "{to}");
    }
}

#[test]
fn what_the_guards_could_not_hold_is_refused_by_name() {
    let mut text = String::new();
    for (name, from, to) in [
        (
            "a disk by its path",
            "type = \"zfs\"\n",
            "type = \"zfs\"\n[disk.devices.disk.data]\ndevice = \"/dev/sda\"\n",
        ),
        (
            "a disk that is not to be wiped",
            "type = \"zfs\"\n",
            "type = \"zfs\"\n[disk.devices.disk.data]\ndestroy = false\n",
        ),
        (
            "a pool's disk by its path",
            "type = \"zpool\"\n",
            "type = \"zpool\"\nmode.topology.cache = [\"/dev/sdb\"]\n",
        ),
        (
            "a filesystem of another device",
            "type = \"lvm_pv\"",
            "type = \"filesystem\", format = \"ext4\", device = \"/dev/sdb1\"",
        ),
        (
            "something preserved",
            "label = \"pool-of-main\"",
            "label = \"x\", preserve = true",
        ),
        (
            "a logical volume that is encrypted",
            "format = \"f2fs\"",
            "inner = { type = \"luks\", name = \"x\" }",
        ),
        (
            "a partition by its number",
            "label = \"pool-of-main\"",
            "uuid = \"809b3a2b-828a-4730-95e1-75b6343e415a\"",
        ),
        (
            "a table of the old kind",
            "type = \"gpt\"",
            "type = \"table\"",
        ),
        (
            "a name that is no word",
            "disk.data.content",
            "disk.\"a b\".content",
        ),
        ("one label twice", "\"pool-of-main\"", "\"disk-main-ESP\""),
        (
            "no table",
            &TABLE[TABLE.find("[disk.devices").unwrap_or_default()..],
            "",
        ),
        ("no such engine", "engine = \"disko\"", "engine = \"nixos\""),
        (
            "a layout by name",
            "engine = \"disko\"\n",
            "engine = \"disko\"\nlayout = \"ext4\"\n",
        ),
        (
            "one disk for two",
            "{ min-size = \"1G\" }",
            "[{ serial = \"A\" }, { serial = \"B\" }, { serial = \"C\" }]",
        ),
    ] {
        let table = TABLE.replacen(from, to, 1);
        assert_ne!(table, TABLE, "{name}: changes nothing");
        let problems = read(&table).expect_err(name);
        text.push_str(&format!("{name}\n{problems}\n"));
    }
    expect![[r#"
            a disk by its path
            a.toml:18:10: `device` cannot be said here: only `select` names a disk
              tip: take it out, and say which disk it is: [disk] select = { serial = "…" }; what is on no disk belongs into a NixOS module: fileSystems."/tmp" = { fsType = "tmpfs"; }

            a disk that is not to be wiped
            a.toml:18:1: `destroy` of a disk cannot be said here
              tip: take it out; [disk] keep says which disks are left alone, `preserve` which partitions

            a pool's disk by its path
            a.toml:25:24: `/dev/sdb` names a device: only `select` names a disk
              tip: write the name that the disk has in the table: [disk.devices.disk.NAME]

            a filesystem of another device
            a.toml:13:108: `device` cannot be said here: only `select` names a disk
              tip: take it out, and say which disk it is: [disk] select = { serial = "…" }; what is on no disk belongs into a NixOS module: fileSystems."/tmp" = { fsType = "tmpfs"; }

            something preserved
            a.toml:13:49: with `engine = "disko"` `preserve` cannot be used on a chosen disk
              tip: take `engine` out, if the table does without it; or put what is to stay on a disk of its own, and name that in [disk] keep

            a logical volume that is encrypted
            a.toml:21:78: with `engine = "disko"` encryption cannot be used: its script would have no key
              tip: take `engine` out: the plan encrypts partitions and arrays, and has their key in keeping

            a partition by its number
            a.toml:13:25: `uuid` of a partition cannot be said here
              tip: take it out; partitions are found by their labels, and each install gives them new numbers

            a table of the old kind
            a.toml:8:8: a partition table of the type `table` cannot stand here
              tip: write type = "gpt": its partitions have labels, by which the system finds them

            a name that is no word
            a.toml:15:20: the disk cannot be called `a b`
              tip: a letter, then letters, digits, `-` and `_`, 32 at most

            one label twice
            a.toml:7:20: `disk-main-ESP` is the label of two partitions

            no table
            a.toml:3:2: `[disk]` needs either `layout` or `devices`
              tip: write layout = "ext4", or the whole table under [disk.devices]
            a.toml:5:10: `engine = "disko"` is for a table under [disk.devices]
              tip: take it out: a layout that has a name is laid out by the plan

            no such engine
            a.toml:5:10: no engine is called `nixos`, expected `disko`
              tip: take it out: then the plan lays the table out, command by command

            a layout by name
            a.toml:5:10: `engine = "disko"` is for a table under [disk.devices]
              tip: take it out: a layout that has a name is laid out by the plan
            a.toml:6:10: there is a layout by name (`ext4`) and one in `[disk.devices]`
              tip: take one of them out

            one disk for two
            a.toml:4:1: `select` has 3 tables, but layout `[disk.devices] by disko` is for 2 disks

        "#]].assert_eq(&text);
}
