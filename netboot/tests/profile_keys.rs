//! Every key of a profile, with the type of its value and whether it may be left out: profiles of operators must stay
//! valid.
//!
//! The keys are what the reader says that it expects in place of one that it does not know, so that a new one is in the
//! list as well. `UPDATE_EXPECT=1` writes `profile/keys.txt` anew; the difference is for a person to judge.

use std::fmt::Write as _;

use expect_test::expect_file;
use netboot::disk::layout::Layout;
use netboot::profile::{Profile, Profiles, Select};
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// Every table but that of devices.
const BY_NAME: &str = r#"
system = "x86_64-linux"
description = "a worker"
confirm = "auto"

[[machine]]
name = "node1"
mac = ["52:54:00:12:34:56"]
modules = ["node1.nix"]

[match]
mac = ["b8:27:eb:*"]

[disk]
layout = "ext4"
swap = "4G"
wipe = "ask"

[disk.select]
by-id = "virtio-root"
serial = "root"
wwn = "0x5000c500a0b1c2d3"
model = "QEMU HARDDISK"
bus = "virtio"
min-size = "20G"
max-size = "200G"
smallest = true
largest = false
not-removable = true

[[disk.keep]]
by-id = "virtio-data"
serial = "data"
wwn = "0x5000c500a0b1c2d4"
model = "QEMU HARDDISK"
bus = "virtio"
min-size = "20G"
max-size = "200G"
smallest = false
largest = false
not-removable = true

[k3s]
role = "agent"
labels = { tier = "worker" }

[nixos]
modules = ["worker.nix"]
kernel-params = ["console=ttyS0"]
"#;

/// The table of devices.
const BY_TABLE: &str = r#"
system = "x86_64-linux"

[disk]
select = { smallest = true }

[disk.devices.disk.main]
type = "disk"

[disk.devices.disk.main.content]
type = "gpt"

[disk.devices.disk.main.content.partitions.ESP]
type = "EF00"
size = "1G"
priority = 1
label = "ESP"
content = { type = "filesystem", format = "vfat", mountpoint = "/boot", mountOptions = ["umask=0077"], extraArgs = ["-n", "BOOT"] }

[disk.devices.disk.main.content.partitions.core]
type = "EF02"
start = "2G"
size = "1M"

[disk.devices.disk.main.content.partitions.swap]
size = "4G"
content = { type = "swap", mountOptions = ["defaults"], discardPolicy = "once", priority = 10, resumeDevice = false }

[disk.devices.disk.main.content.partitions.data]
size = "4G"
label = "data"
preserve = true
content = { type = "btrfs", mountpoint = "/data", mountOptions = ["noatime"], extraArgs = ["--checksum", "xxhash"], subvolumes = { "/home" = { type = "btrfs_subvol", mountpoint = "/home", mountOptions = ["noatime"] } } }

[disk.devices.disk.main.content.partitions.member]
size = "4G"
content = { type = "mdraid", name = "one" }

[disk.devices.disk.main.content.partitions.root]
end = "-1G"
content = { type = "luks", name = "root", settings = { allowDiscards = true, bypassWorkqueues = true }, content = { type = "filesystem", format = "ext4", mountpoint = "/" } }

[disk.devices.disk.second.content]
type = "gpt"
partitions.member = { size = "4G", content = { type = "mdraid", name = "one" } }

[disk.devices.mdadm.one]
type = "mdadm"
level = 0
metadata = "1.2"
content = { type = "filesystem", format = "xfs", mountpoint = "/srv" }
"#;

/// A table that disko's own script lays out.
const BY_SCRIPT: &str = r#"
system = "x86_64-linux"

[disk]
select = { smallest = true }
engine = "disko"

[disk.devices.disk.main.content]
type = "gpt"
partitions.ESP = { type = "EF00", size = "1G" }
"#;

/// The tables, each with the sample that it is in.
const TABLES: &[(&str, &str)] = &[
    (BY_NAME, ""),
    (BY_NAME, "machine"),
    (BY_NAME, "match"),
    (BY_NAME, "disk"),
    (BY_NAME, "disk.select"),
    (BY_NAME, "disk.keep"),
    (BY_NAME, "k3s"),
    (BY_NAME, "nixos"),
    (BY_TABLE, "disk.devices"),
    (BY_TABLE, "disk.devices.disk.main"),
    (BY_TABLE, "disk.devices.disk.main.content"),
    (BY_TABLE, "disk.devices.disk.main.content.partitions.ESP"),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.ESP.content",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.swap.content",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.data.content",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.data.content.subvolumes./home",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.member.content",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.root.content",
    ),
    (
        BY_TABLE,
        "disk.devices.disk.main.content.partitions.root.content.settings",
    ),
    (BY_TABLE, "disk.devices.mdadm.one"),
];

/// The table of this path, if there is one; of several, the first.
fn table<'t>(document: &'t mut DocumentMut, path: &str) -> Option<&'t mut dyn TableLike> {
    let mut names = path.split('.').filter(|name| !name.is_empty());
    let top: &mut dyn TableLike = document.as_table_mut();
    names.try_fold(top, |table, name| match table.get_mut(name)? {
        Item::ArrayOfTables(all) => Some(all.get_mut(0)? as &mut dyn TableLike),
        Item::Value(Value::Array(all)) => {
            Some(all.get_mut(0)?.as_inline_table_mut()? as &mut dyn TableLike)
        }
        other => other.as_table_like_mut(),
    })
}

fn sample(text: &str) -> DocumentMut {
    text.parse().expect("is TOML")
}

/// What is wrong with it.
fn problems(document: &DocumentMut) -> Vec<String> {
    let read = Profiles::read(&[("worker.toml".to_owned(), document.to_string())]);
    let problems = read.err().unwrap_or_default();
    problems
        .iter()
        .map(|problem| problem.message.clone())
        .collect()
}

/// What the reader expects in a table where it finds a key that it does not know, sorted.
fn expected(text: &str, path: &str) -> Vec<String> {
    let mut document = sample(text);
    let open = table(&mut document, path).expect(path);
    open.insert("bogus", toml_edit::value(1));
    let problems = problems(&document);
    let unknown = problems.iter().find(|message| message.contains("`bogus`"));
    let unknown = unknown.unwrap_or_else(|| panic!("[{path}] {problems:?}"));
    let (_, keys) = unknown.split_once("expected ").expect("says which");
    let keys = keys.trim_start_matches("one of ").replace(" or ", ", ");
    let keys = keys.split(", ").map(|key| key.trim_matches('`').to_owned());
    let mut keys: Vec<String> = keys.collect();
    keys.sort();
    keys
}

/// The kind of a key's value: in the table of this path, or in one of the others in the same place.
fn kind(text: &str, path: &str, key: &str) -> &'static str {
    let mut document = sample(text);
    let here = table(&mut document, path).expect(path);
    if let Some(item) = here.get(key) {
        return kind_of(item);
    }
    let (above, _) = path.rsplit_once('.').unwrap_or_default();
    for text in [BY_NAME, BY_TABLE, BY_SCRIPT] {
        let mut document = sample(text);
        let same = table(&mut document, path).and_then(|same| same.get(key).map(kind_of));
        let beside = || {
            let above = table(&mut document, above)?;
            let mut tables = above.iter().filter_map(|(_, item)| item.as_table_like());
            tables.find_map(|beside| beside.get(key).map(kind_of))
        };
        if let Some(kind) = same.or_else(beside) {
            return kind;
        }
    }
    panic!("[{path}] {key} is in no sample");
}

/// However it is written.
fn kind_of(item: &Item) -> &'static str {
    match item {
        Item::Table(_) | Item::Value(Value::InlineTable(_)) => "table",
        Item::ArrayOfTables(_) => "array",
        other => other.type_name(),
    }
}

/// Whether the sample is not one any more without this key.
fn is_needed(text: &str, path: &str, key: &str) -> bool {
    let mut document = sample(text);
    table(&mut document, path).expect(path).remove(key);
    !problems(&document).is_empty()
}

#[test]
fn every_key_has_its_type_and_its_place() {
    for source in [BY_NAME, BY_TABLE, BY_SCRIPT] {
        assert_eq!(problems(&sample(source)), Vec::<String>::new());
    }
    let mut text = String::new();
    for (source, path) in TABLES {
        match *path {
            "" => text.push_str("above all tables\n"),
            path => text.push_str(&format!("[{path}]\n")),
        }
        for key in expected(source, path) {
            let kind = kind(source, path, &key);
            let needed = is_needed(source, path, &key);
            let needed = if needed { ", needed here" } else { "" };
            let _ = writeln!(text, "    {key}: {kind}{needed}");
        }
    }
    expect_file!["profile/keys.txt"].assert_eq(&text);
}

/// What holds where a key that may be left out is left out.
#[test]
fn the_least_profile_has_its_defaults() {
    let text =
        "system = \"x86_64-linux\"\n[disk]\nselect = { smallest = true }\nlayout = \"ext4\"\n";
    let read = Profiles::read(&[("worker.toml".to_owned(), text.to_owned())]);
    let profiles = read.expect("is fine");
    let Some(Profile {
        name,
        file,
        description,
        arch,
        system,
        machines,
        patterns,
        select,
        keep,
        layout,
        wipe,
        role,
        kernel_params,
    }) = profiles.by_name.values().next()
    else {
        panic!("no profile");
    };
    assert_eq!((name.as_str(), system.as_str()), ("worker", "worker"));
    assert_eq!((file.as_str(), arch.as_str()), ("worker.toml", "x86_64"));
    assert_eq!(description, "");
    assert!(machines.is_empty() && patterns.is_empty() && keep.is_empty());
    assert!(kernel_params.is_empty());
    assert_eq!((wipe, role), (&None, &None));
    let Layout::Named { swap: None, .. } = layout else {
        panic!("{layout:?}");
    };
    let smallest = Select {
        smallest: true,
        ..Select::default()
    };
    assert_eq!(select, &[smallest]);
}
