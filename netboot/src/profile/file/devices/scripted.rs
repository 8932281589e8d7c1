//! The table `[disk.devices]` with `engine = "disko"` → what must be known of it before disko's own script is run.
//!
//! What is in it is disko's business, which checks it when the system is built. Looked for are the names by which things are
//! found, what the firmware starts from, and what the guards around a script could not hold.

use std::ops::Range;

use super::{DISK_OUTSIDE, plain};
use crate::disk::layout::{Content, Devices, DiskLayout, Format, Purpose, Scripted, Slot};
use crate::profile::file::Reader;
use crate::profile::file::tree::{Fields, Found, Table, Value, value_place};

/// Nothing if it has problems, which are reported.
pub(in crate::profile::file) fn read(
    reader: &mut Reader<'_>,
    written: &Table,
    place: &Range<usize>,
) -> Option<Scripted> {
    let before = reader.problems.len();
    guarded(reader, written);
    let found = Found {
        place: place.clone(),
        value: written,
    };
    let mut fields = Fields::of(&found);
    let disks = fields.named(reader, "disk");
    if disks.is_empty() {
        let tip = "add one: [disk.devices.disk.main.content]";
        reader.wrong(place, "has no disk").tip = Some(tip.to_owned());
    }
    let mut labels: Vec<String> = Vec::new();
    let disks = disks.into_iter().map(|(name, found)| {
        let partitions = disk(reader, name, &found);
        for slot in &partitions {
            if labels.contains(&slot.label) {
                let message = format!("`{}` is the label of two partitions", slot.label);
                reader.wrong(&found.place, message);
            }
            labels.push(slot.label.clone());
        }
        let name = name.to_owned();
        DiskLayout { name, partitions }
    });
    let disks = disks.collect();
    let mut names = |key| {
        let all = fields.named(reader, key);
        all.into_iter().map(|(name, _)| name.to_owned()).collect()
    };
    let scripted = Scripted {
        arrays: names("mdadm"),
        groups: names("lvm_vg"),
        pools: names("zpool"),
        devices: Devices {
            disks,
            arrays: Vec::new(),
            pools: Vec::new(),
        },
    };
    (reader.problems.len() == before).then_some(scripted)
}

/// A disk's partitions as far as they are known; none if it is no GPT.
fn disk(reader: &mut Reader<'_>, name: &str, found: &Found<&Table>) -> Vec<Slot> {
    plain(reader, &found.place, "disk", name);
    for (key, place, _) in found.value.pairs() {
        // A `device` is told of wherever it stands.
        let outside = DISK_OUTSIDE.iter().filter(|(known, _)| *known != "device");
        if let Some((_, tip)) = outside.into_iter().find(|(known, _)| *known == key) {
            let message = format!("`{key}` of a disk cannot be said here");
            reader.wrong(&place, message).tip = Some((*tip).to_owned());
        }
    }
    let Some(content) = Fields::of(found).table(reader, "content") else {
        return Vec::new();
    };
    let mut fields = Fields::of(&content);
    let kind = fields.text(reader, "type");
    match kind.as_ref().map(|kind| kind.value) {
        Some("gpt") => {}
        Some("table") => {
            let place = kind.map_or(content.place, |kind| kind.place);
            let tip =
                "write type = \"gpt\": its partitions have labels, by which the system finds them";
            reader
                .wrong(
                    &place,
                    "a partition table of the type `table` cannot stand here",
                )
                .tip = Some(tip.to_owned());
            return Vec::new();
        }
        _ => return Vec::new(),
    }
    let partitions = fields.named(reader, "partitions");
    let slots = partitions
        .into_iter()
        .map(|(part, found)| slot(reader, name, part, &found));
    slots.collect()
}

fn slot(reader: &mut Reader<'_>, disk: &str, name: &str, found: &Found<&Table>) -> Slot {
    let mut fields = Fields::of(found);
    for (key, tip) in [
        (
            "name",
            "take it out; its name is the one that the table has: partitions.NAME",
        ),
        (
            "uuid",
            "take it out; partitions are found by their labels, and each install gives them new numbers",
        ),
    ] {
        if let Some(found) = fields.text(reader, key) {
            let message = format!("`{key}` of a partition cannot be said here");
            reader.wrong(&found.place, message).tip = Some(tip.to_owned());
        }
    }
    let written = fields.text(reader, "type").map_or("", |found| found.value);
    let is = |purpose: Purpose, code: &str| {
        written.eq_ignore_ascii_case(code) || written.eq_ignore_ascii_case(purpose.type_guid())
    };
    let purpose = match () {
        () if is(Purpose::Esp, "EF00") => Purpose::Esp,
        () if is(Purpose::BiosBoot, "EF02") => Purpose::BiosBoot,
        () => Purpose::Linux,
    };
    let label = fields.text(reader, "label").map(|label| label.value);
    let content = fields.table(reader, "content");
    let content = content.and_then(|inner| {
        let mut fields = Fields::of(&inner);
        let is_plain = fields.text(reader, "type")?.value == "filesystem";
        let at = fields.text(reader, "mountpoint").map(|at| at.value);
        Some(Content::Filesystem {
            format: Format::Vfat,
            // An ESP on an array is mounted by what the array holds, which is not looked into.
            mountpoint: match is_plain {
                true => at.map(str::to_owned),
                false => Some("/boot".to_owned()),
            },
            options: Vec::new(),
            args: Vec::new(),
        })
    });
    Slot {
        name: name.to_owned(),
        label: label.map_or_else(|| format!("disk-{disk}-{name}"), str::to_owned),
        purpose,
        start: None,
        size: None,
        leave: 0,
        preserve: false,
        content: content.filter(|_| purpose == Purpose::Esp),
    }
}

/// What the guards could not hold, wherever it stands.
fn guarded(reader: &mut Reader<'_>, table: &Table) {
    for (key, place, value) in table.pairs() {
        let at = value_place(reader.text, &place);
        // A hook is the user's own shell text. While it runs, the other disks take no writes.
        let hook = key.ends_with("Hook");
        match value {
            _ if key == "preserve" => {
                let tip = "take `engine` out, if the table does without it; or put what is to stay on a disk of its own, \
                           and name that in [disk] keep";
                reader
                    .wrong(
                        &at,
                        "with `engine = \"disko\"` nothing on a chosen disk is preserved",
                    )
                    .tip = Some(tip.to_owned());
            }
            _ if key == "device" => {
                let tip = "take it out, and say which disk it is: [disk] select = { serial = \"…\" }; what is on no disk \
                           belongs into a NixOS module: fileSystems.\"/tmp\" = { fsType = \"tmpfs\"; }";
                reader
                    .wrong(
                        &at,
                        "`device` cannot be said here: only `select` names a disk",
                    )
                    .tip = Some(tip.to_owned());
            }
            Value::Text(text) if key == "type" && text == "luks" => {
                let tip = "take `engine` out: the plan encrypts partitions and arrays, and has their key in keeping";
                reader
                    .wrong(&at, "with `engine = \"disko\"` nothing is encrypted: its script would have no key")
                    .tip = Some(tip.to_owned());
            }
            Value::Table(inner) => guarded(reader, inner),
            Value::Text(text) if !hook => named_device(reader, &at, text),
            Value::List(list) => members(reader, &at, list),
            _ => {}
        }
    }
}

fn members(reader: &mut Reader<'_>, at: &Range<usize>, list: &[Value]) {
    for one in list {
        match one {
            Value::Text(text) => named_device(reader, at, text),
            Value::Table(inner) => guarded(reader, inner),
            Value::List(inner) => members(reader, at, inner),
            _ => {}
        }
    }
}

fn named_device(reader: &mut Reader<'_>, at: &Range<usize>, text: &str) {
    if text.contains("/dev/") {
        let message = format!("`{text}` names a device: only `select` names a disk");
        let tip = "write the name that the disk has in the table: [disk.devices.disk.NAME]";
        reader.wrong(at, message).tip = Some(tip.to_owned());
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(layout.devices(firmware).lacks(firmware), None);
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
            assert!(layout.devices(firmware).lacks(firmware).is_some(), "{to}");
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
            a.toml:25:23: `/dev/sdb` names a device: only `select` names a disk
              tip: write the name that the disk has in the table: [disk.devices.disk.NAME]

            a filesystem of another device
            a.toml:13:108: `device` cannot be said here: only `select` names a disk
              tip: take it out, and say which disk it is: [disk] select = { serial = "…" }; what is on no disk belongs into a NixOS module: fileSystems."/tmp" = { fsType = "tmpfs"; }

            something preserved
            a.toml:13:49: with `engine = "disko"` nothing on a chosen disk is preserved
              tip: take `engine` out, if the table does without it; or put what is to stay on a disk of its own, and name that in [disk] keep

            a logical volume that is encrypted
            a.toml:21:78: with `engine = "disko"` nothing is encrypted: its script would have no key
              tip: take `engine` out: the plan encrypts partitions and arrays, and has their key in keeping

            a partition by its number
            a.toml:13:32: `uuid` of a partition cannot be said here
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
            a.toml:5:10: `engine = "disko"` is for a table under [disk.devices]
              tip: take it out: a layout that has a name is laid out by the plan

            no such engine
            a.toml:5:10: no engine is called `nixos`, expected `disko`
              tip: take it out: then the plan lays the table out, command by command

            a layout by name
            a.toml:5:10: `engine = "disko"` is for a table under [disk.devices]
              tip: take it out: a layout that has a name is laid out by the plan

            one disk for two
            a.toml:4:10: `select` has 3 tables, but layout `[disk.devices] by disko` is for 2 disks

        "#]].assert_eq(&text);
    }
}
