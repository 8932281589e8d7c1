//! The table `[disk.devices]`, in disko's schema → disks, partitions and arrays, or every problem in it.
//!
//! The subset is that which a plan can carry out and show beforehand, command by command. Defaults are disko's: the flake
//! hands the same table to disko, which makes the system's fstab of it.

mod consistency;
mod content;
mod mount_options;
mod partition;
pub(super) mod scripted;

use std::ops::Range;

use super::Reader;
use super::tree::{Fields, Found, Outside, Table};
use crate::disk::layout::{Array, Devices, DiskLayout};

/// What was read so far, and where that stands which the whole is judged by.
#[derive(Default)]
struct Draft {
    disks: Vec<DiskLayout>,
    arrays: Vec<Array>,
    mounts: Vec<Named>,
    labels: Vec<Named>,
    volumes: Vec<Named>,
    /// Arrays that partitions belong to, each with its partition's disk.
    members: Vec<(Named, String)>,
    array_places: Vec<Named>,
    disk_places: Vec<Named>,
}

/// A name and where it stands.
#[derive(Clone)]
struct Named {
    name: String,
    place: Range<usize>,
}

const DEVICES_OUTSIDE: Outside<'_> = &[
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
const DISK_OUTSIDE: Outside<'_> = &[
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
const GPT_OUTSIDE: Outside<'_> = &[
    (
        "device",
        "take it out: the table goes onto the disk that `select` chooses",
    ),
    (
        "efiGptPartitionFirst",
        "take it out: there is no hybrid MBR",
    ),
];
const MDADM_OUTSIDE: Outside<'_> = &[
    (
        "name",
        "take it out; its name is the one that the table has: [disk.devices.mdadm.NAME]",
    ),
    (
        "extraArgs",
        "take it out: the plan has the arguments that an array needs",
    ),
];

/// Nothing if it has problems, which are reported. `arch`: `x86_64` or `aarch64`, if that is known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    written: &Table,
    place: &Range<usize>,
    arch: Option<&str>,
) -> Option<Devices> {
    let before = reader.problems.len();
    let found = Found {
        place: place.clone(),
        value: written,
    };
    let mut fields = Fields::of(&found);
    let mut draft = Draft::default();
    for (name, found) in fields.named(reader, "disk") {
        disk(reader, &mut draft, name, &found);
    }
    for (name, found) in fields.named(reader, "mdadm") {
        array(reader, &mut draft, name, &found);
    }
    fields.done(reader, DEVICES_OUTSIDE);
    // What was half read would be found lacking for nothing.
    if reader.problems.len() == before {
        consistency::check(reader, &draft, place, arch);
    }
    (reader.problems.len() == before).then_some(Devices {
        disks: draft.disks,
        arrays: draft.arrays,
        pools: Vec::new(),
    })
}

fn disk(reader: &mut Reader<'_>, draft: &mut Draft, name: &str, found: &Found<&Table>) {
    plain(reader, &found.place, "disk", name);
    let mut fields = Fields::of(found);
    is_type(reader, &mut fields, "disk", true);
    let mut slots = Vec::new();
    match fields.table(reader, "content") {
        Some(content) => {
            let mut fields = Fields::of(&content);
            if is_type(reader, &mut fields, "gpt", false) {
                for (part, found) in fields.named(reader, "partitions") {
                    let slot = partition::read(reader, draft, name, part, &found);
                    slots.extend(slot.map(|(priority, slot)| ((priority, part), slot)));
                }
                fields.done(reader, GPT_OUTSIDE);
            }
        }
        None if !fields.lacks("content") => {}
        None => {
            let tip = "write content.type = \"gpt\", and partitions below content.partitions";
            reader
                .wrong(&found.place, format!("the disk `{name}` has no `content`"))
                .tip = Some(tip.to_owned());
        }
    }
    fields.done(reader, DISK_OUTSIDE);
    slots.sort_by(|a, b| a.0.cmp(&b.0));
    draft.disk_places.push(Named {
        name: name.to_owned(),
        place: found.place.clone(),
    });
    draft.disks.push(DiskLayout {
        name: name.to_owned(),
        partitions: slots.into_iter().map(|(_, slot)| slot).collect(),
    });
}

fn array(reader: &mut Reader<'_>, draft: &mut Draft, name: &str, found: &Found<&Table>) {
    plain(reader, &found.place, "array", name);
    let mut fields = Fields::of(found);
    is_type(reader, &mut fields, "mdadm", true);
    let level = fields.whole(reader, "level");
    let level = match level.map_or(1, |found| found.value) {
        0 => Some(0),
        1 => Some(1),
        other => {
            let message = format!("arrays of level {other} are not made here, expected 0 or 1");
            reader.wrong(&found.place, message).tip =
                Some("level = 1 for the same on each disk".to_owned());
            None
        }
    };
    if let Some(metadata) = fields.text(reader, "metadata")
        && !["default", "1", "1.2"].contains(&metadata.value)
    {
        let message = format!(
            "arrays with metadata `{}` are not made here, expected `1.2`",
            metadata.value
        );
        let tip = "take it out; a /boot of its own on each disk needs no array: mount the second on /boot-second";
        reader.wrong(&metadata.place, message).tip = Some(tip.to_owned());
    }
    let content = match fields.table(reader, "content") {
        Some(inner) => content::read(reader, draft, &inner, content::Inside::Array),
        None if !fields.lacks("content") => None,
        None => {
            reader.wrong(&found.place, format!("the array `{name}` has no `content`"));
            None
        }
    };
    fields.done(reader, MDADM_OUTSIDE);
    draft.array_places.push(Named {
        name: name.to_owned(),
        place: found.place.clone(),
    });
    if let (Some(level), Some(content)) = (level, content) {
        draft.arrays.push(Array {
            name: name.to_owned(),
            level,
            content,
        });
    }
}

/// Whether the table's `type` is this one; `may_lack`: where disko has it for the default.
fn is_type(reader: &mut Reader<'_>, fields: &mut Fields<'_>, wanted: &str, may_lack: bool) -> bool {
    let tip = format!("write type = \"{wanted}\"");
    match fields.text(reader, "type") {
        Some(found) if found.value == wanted => true,
        Some(found) => {
            let message = format!("`{}` cannot stand here, expected `{wanted}`", found.value);
            reader.wrong(&found.place, message).tip = Some(tip);
            false
        }
        None if !fields.lacks("type") => false,
        None if may_lack => true,
        None => {
            let place = fields.place.clone();
            reader.wrong(&place, "has no `type`").tip = Some(tip);
            false
        }
    }
}

/// Names become parts of labels, of paths below `/dev`, and of filesystems' labels.
fn plain(reader: &mut Reader<'_>, place: &Range<usize>, what: &str, name: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins || !name.chars().all(is_plain) || name.len() > 32 {
        let message = format!("the {what} cannot be called `{name}`");
        let tip = "a letter, then letters, digits, `-` and `_`, 32 at most";
        reader.wrong(place, message).tip = Some(tip.to_owned());
    }
}

#[cfg(test)]
mod tests;
