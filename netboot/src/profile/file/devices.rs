//! The table `[disk.devices]`, in disko's schema → disks, partitions and arrays, or every problem in it.
//!
//! The subset is that which a plan can carry out and show beforehand, command by command. Defaults are disko's: the flake
//! hands the same table to disko, which makes the system's fstab of it.

mod consistency;
mod content;
mod mount_options;
mod partition;
pub(super) mod scripted;

use content::ContentContext;

use crate::base::arch::CpuArch;
use crate::base::toml_reader::{Placed, Reader, Section};
use crate::disk::layout::{Array, Devices, DiskLayout, LayoutPartition};

/// What was read so far, with the places of what is checked once all of it was read.
#[derive(Default)]
struct UnfinishedLayout {
    disks: Vec<DiskLayout>,
    arrays: Vec<Array>,
    mounts: Vec<Placed<String>>,
    labels: Vec<Placed<String>>,
    volumes: Vec<Placed<String>>,
    members: Vec<Member>,
    array_places: Vec<Placed<String>>,
    disk_places: Vec<Placed<String>>,
}

/// A partition that belongs to an array.
struct Member {
    array: Placed<String>,
    /// The partition's disk.
    disk: String,
}

/// Keys that disko knows and a plan has no use for, each with what to do instead.
type DiskoOnly = &'static [(&'static str, &'static str)];

/// Scripts of disko's that any of its tables may have.
const HOOKS: [&str; 6] = [
    "preCreateHook",
    "postCreateHook",
    "preMountHook",
    "postMountHook",
    "preUnmountHook",
    "postUnmountHook",
];
const NO_HOOKS: &str = "take it out, or write [disk] engine = \"disko\"; what a system needs at its start belongs into a NixOS module";
const DEVICES_OUTSIDE: DiskoOnly = &[
    (
        "lvm_vg",
        "for LVM, [disk] engine = \"disko\"; else partitions, or btrfs subvolumes",
    ),
    (
        "zpool",
        "in place of the table: layout = \"zfs\"; or btrfs, which has subvolumes and snapshots, too",
    ),
    (
        "bcachefs_filesystems",
        "write a partition with btrfs for snapshots",
    ),
    (
        "nodev",
        "what is on no disk belongs into a NixOS module: fileSystems.\"/tmp\" = { fsType = \"tmpfs\"; }",
    ),
];
const DISK_OUTSIDE: DiskoOnly = &[
    (
        "device",
        "take it out, and say which disk it is: [disk] select = { serial = \"…\" }",
    ),
    (
        "name",
        "take it out; its name is the one that the table has: [disk.devices.disk.NAME]",
    ),
    (
        "destroy",
        "take it out; [disk] keep says which disks are left alone, `preserve` which partitions",
    ),
    ("imageName", "take it out: no images are made of it"),
    ("imageSize", "take it out: no images are made of it"),
];
const GPT_OUTSIDE: DiskoOnly = &[
    (
        "device",
        "take it out: the table goes onto the disk that `select` chooses",
    ),
    (
        "efiGptPartitionFirst",
        "take it out: there is no hybrid MBR",
    ),
];
const MDADM_OUTSIDE: DiskoOnly = &[
    (
        "name",
        "take it out; its name is the one that the table has: [disk.devices.mdadm.NAME]",
    ),
    (
        "extraArgs",
        "take it out: the plan has the arguments that an array needs",
    ),
];

/// `None` if it has problems, which are noted. `arch`: that of the profile's system, if it is known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
    arch: Option<&CpuArch>,
) -> Option<Devices> {
    let before = reader.problem_count();
    let mut layout = UnfinishedLayout::default();
    for (name, table) in section.section(reader, "disk").sections(reader) {
        disk(reader, &mut layout, &name, table);
    }
    for (name, table) in section.section(reader, "mdadm").sections(reader) {
        array(reader, &mut layout, &name, table);
    }
    finish(reader, &mut section, DEVICES_OUTSIDE);
    // A layout that was only partly read would be reported as incomplete.
    if reader.problem_count() == before {
        consistency::check(reader, &layout, &section.at(), arch);
    }
    (reader.problem_count() == before).then_some(Devices {
        disks: layout.disks,
        arrays: layout.arrays,
        pools: Vec::new(),
    })
}

fn disk(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    name: &Placed<&str>,
    mut section: Section<'_>,
) {
    plain(reader, name, "disk");
    is_type(reader, &mut section, "disk", true);
    let partitions = match section.table(reader, "content") {
        Some(content) => partitions(reader, layout, name.value, content),
        None => Vec::new(),
    };
    if !section.has("content") {
        let message = format!("the disk `{}` has no `content`", name.value);
        let tip = "write content.type = \"gpt\", and partitions below content.partitions";
        reader.problem_with_tip(&name.at, message, tip);
    }
    finish(reader, &mut section, DISK_OUTSIDE);
    layout.disk_places.push(owned(name));
    layout.disks.push(DiskLayout {
        name: name.value.to_owned(),
        partitions,
    });
}

/// The partitions of a GPT, in the order in which disko lays them.
fn partitions(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    disk: &str,
    mut content: Section<'_>,
) -> Vec<LayoutPartition> {
    if !is_type(reader, &mut content, "gpt", false) {
        return Vec::new();
    }
    let mut slots = Vec::new();
    for (name, table) in content.section(reader, "partitions").sections(reader) {
        if let Some((priority, slot)) = partition::read(reader, layout, disk, &name, table) {
            slots.push(((priority, name.value), slot));
        }
    }
    finish(reader, &mut content, GPT_OUTSIDE);
    slots.sort_by(|a, b| a.0.cmp(&b.0));
    slots.into_iter().map(|(_, slot)| slot).collect()
}

fn array(
    reader: &mut Reader<'_>,
    layout: &mut UnfinishedLayout,
    name: &Placed<&str>,
    mut section: Section<'_>,
) {
    plain(reader, name, "array");
    is_type(reader, &mut section, "mdadm", true);
    let level = level(reader, &mut section);
    metadata(reader, &mut section);
    let content = section.table(reader, "content");
    let content =
        content.and_then(|inner| content::read(reader, layout, inner, ContentContext::Array));
    if !section.has("content") {
        let message = format!("the array `{}` has no `content`", name.value);
        reader.problem(&name.at, message);
    }
    finish(reader, &mut section, MDADM_OUTSIDE);
    layout.array_places.push(owned(name));
    if let (Some(level), Some(content)) = (level, content) {
        layout.arrays.push(Array {
            name: name.value.to_owned(),
            level,
            content,
        });
    }
}

/// The RAID level; 1 is disko's default.
fn level(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<u8> {
    let level = section.integer(reader, "level");
    match level {
        None => Some(1),
        Some(Placed { value: 0, .. }) => Some(0),
        Some(Placed { value: 1, .. }) => Some(1),
        Some(Placed { value: other, at }) => {
            let message = format!("arrays of level {other} are not made here, expected 0 or 1");
            reader.problem_with_tip(&at, message, "level = 1 for the same on each disk");
            None
        }
    }
}

fn metadata(reader: &mut Reader<'_>, section: &mut Section<'_>) {
    if let Some(metadata) = section.text(reader, "metadata")
        && !["default", "1", "1.2"].contains(&metadata.value)
    {
        let message = format!(
            "arrays with metadata `{}` are not made here, expected `1.2`",
            metadata.value
        );
        let tip = "take it out; a /boot of its own on each disk needs no array: mount the second on /boot-second";
        reader.problem_with_tip(&metadata.at, message, tip);
    }
}

/// Whether the table's `type` is this one; `may_lack`: where disko has it for the default.
fn is_type(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    wanted: &str,
    may_lack: bool,
) -> bool {
    let tip = format!("write type = \"{wanted}\"");
    match section.text(reader, "type") {
        Some(found) if found.value == wanted => true,
        Some(found) => {
            let message = format!("`{}` cannot stand here, expected `{wanted}`", found.value);
            reader.problem_with_tip(&found.at, message, tip);
            false
        }
        None if section.has("type") => false,
        None if may_lack => true,
        None => {
            reader.problem_with_tip(&section.at(), "has no `type`", tip);
            false
        }
    }
}

/// Every key that was not asked for is a problem; for those that disko knows there is a tip.
fn finish(reader: &mut Reader<'_>, section: &mut Section<'_>, outside: DiskoOnly) {
    let hooks = HOOKS.map(|hook| (hook, NO_HOOKS));
    section.refuse(
        reader,
        hooks,
        "is a script of disko's, and no plan runs scripts",
    );
    let why = "is of disko's schema, but not of the part that is read here";
    section.refuse(reader, outside.iter().copied(), why);
    section.finish(reader);
}

/// Names become parts of labels, of paths below `/dev`, and of filesystems' labels.
fn plain(reader: &mut Reader<'_>, name: &Placed<&str>, what: &str) {
    let text = name.value;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins || !text.chars().all(is_plain) || text.len() > 32 {
        let message = format!("the {what} cannot be called `{text}`");
        let tip = "a letter, then letters, digits, `-` and `_`, 32 at most";
        reader.problem_with_tip(&name.at, message, tip);
    }
}

fn owned(name: &Placed<&str>) -> Placed<String> {
    Placed {
        value: name.value.to_owned(),
        at: name.at.clone(),
    }
}

#[cfg(test)]
mod tests;
