//! The table `[disk.devices]` with `engine = "disko"` → what must be known of it before disko's own script is run.
//!
//! Disko itself checks the table when the system is built. What is read here are the names by which arrays, groups and
//! pools are found, what the firmware starts from, and what the guards around a script cannot prevent.

use super::{DISK_OUTSIDE, plain};
use crate::base::toml_reader::{Node, Placed, Reader, Section};
use crate::disk::layout::{
    Content, Devices, DiskLayout, DiskoScript, Format, LayoutPartition, Purpose,
};

/// `None` if it has problems, which are noted.
pub(in crate::profile::file) fn read(
    reader: &mut Reader<'_>,
    mut section: Section<'_>,
) -> Option<DiskoScript> {
    let before = reader.problem_count();
    guarded(reader, &section);
    let disks = section.section(reader, "disk").sections(reader);
    if disks.is_empty() {
        let tip = "add one: [disk.devices.disk.main.content]";
        reader.problem_with_tip(&section.at(), "has no disk", tip);
    }
    let mut labels: Vec<String> = Vec::new();
    let disks = disks.into_iter().map(|(name, table)| {
        let partitions = disk(reader, &name, table);
        for slot in &partitions {
            if labels.contains(&slot.label) {
                let message = format!("`{}` is the label of two partitions", slot.label);
                reader.problem(&name.at, message);
            }
            labels.push(slot.label.clone());
        }
        DiskLayout {
            name: name.value.to_owned(),
            partitions,
        }
    });
    let disks = disks.collect();
    let mut names = |key| {
        let all = section.section(reader, key).sections(reader);
        all.into_iter()
            .map(|(name, _)| name.value.to_owned())
            .collect()
    };
    let scripted = DiskoScript {
        arrays: names("mdadm"),
        groups: names("lvm_vg"),
        pools: names("zpool"),
        devices: Devices {
            disks,
            arrays: Vec::new(),
            pools: Vec::new(),
        },
    };
    (reader.problem_count() == before).then_some(scripted)
}

/// A disk's partitions as far as they are known; empty if it is not a GPT.
fn disk(
    reader: &mut Reader<'_>,
    name: &Placed<&str>,
    mut section: Section<'_>,
) -> Vec<LayoutPartition> {
    plain(reader, name, "disk");
    // A `device` is told of wherever it stands.
    let outside = DISK_OUTSIDE.iter().filter(|(key, _)| *key != "device");
    section.refuse(reader, outside.copied(), "of a disk cannot be said here");
    let Some(mut content) = section.table(reader, "content") else {
        return Vec::new();
    };
    let kind = content.text(reader, "type");
    match kind.as_ref().map(|kind| kind.value) {
        Some("gpt") => {}
        Some("table") => {
            let place = kind.map_or(content.at(), |kind| kind.at);
            let message = "a partition table of the type `table` cannot stand here";
            let tip =
                "write type = \"gpt\": its partitions have labels, by which the system finds them";
            reader.problem_with_tip(&place, message, tip);
            return Vec::new();
        }
        _ => return Vec::new(),
    }
    let partitions = content.section(reader, "partitions").sections(reader);
    let slots = partitions
        .into_iter()
        .map(|(part, table)| slot(reader, name.value, part.value, table));
    slots.collect()
}

const PARTITION_OUTSIDE: super::DiskoOnly = &[
    (
        "name",
        "take it out; its name is the one that the table has: partitions.NAME",
    ),
    (
        "uuid",
        "take it out; partitions are found by their labels, and each install gives them new numbers",
    ),
];

fn slot(
    reader: &mut Reader<'_>,
    disk: &str,
    name: &str,
    mut section: Section<'_>,
) -> LayoutPartition {
    let outside = PARTITION_OUTSIDE.iter().copied();
    section.refuse(reader, outside, "of a partition cannot be said here");
    let written = section.text(reader, "type").map_or("", |found| found.value);
    let is = |purpose: Purpose, code: &str| {
        written.eq_ignore_ascii_case(code) || written.eq_ignore_ascii_case(purpose.type_guid())
    };
    let purpose = match () {
        () if is(Purpose::Esp, "EF00") => Purpose::Esp,
        () if is(Purpose::BiosBoot, "EF02") => Purpose::BiosBoot,
        () => Purpose::Linux,
    };
    let label = section.text(reader, "label").map(|label| label.value);
    let content = section.table(reader, "content");
    let content = content.and_then(|inner| mounted(reader, inner));
    LayoutPartition {
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

/// What an ESP holds, as far as its mount point goes.
fn mounted(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<Content> {
    let is_plain = section.text(reader, "type")?.value == "filesystem";
    let at = section.text(reader, "mountpoint").map(|at| at.value);
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
}

/// Reports what the guards around a script cannot prevent, wherever it stands.
fn guarded(reader: &mut Reader<'_>, section: &Section<'_>) {
    for (key, found) in section.nodes() {
        match (key.value, &found.value) {
            ("preserve", _) => {
                let message =
                    "with `engine = \"disko\"` `preserve` cannot be used on a chosen disk";
                let tip = "take `engine` out, if the table does without it; or put what is to stay on a disk of its own, \
                           and name that in [disk] keep";
                reader.problem_with_tip(&found.at, message, tip);
            }
            ("device", _) => {
                let message = "`device` cannot be said here: only `select` names a disk";
                let tip = "take it out, and say which disk it is: [disk] select = { serial = \"…\" }; what is on no disk \
                           belongs into a NixOS module: fileSystems.\"/tmp\" = { fsType = \"tmpfs\"; }";
                reader.problem_with_tip(&found.at, message, tip);
            }
            ("type", Node::Text("luks")) => {
                let message = "with `engine = \"disko\"` encryption cannot be used: its script would have no key";
                let tip = "take `engine` out: the plan encrypts partitions and arrays, and has their key in keeping";
                reader.problem_with_tip(&found.at, message, tip);
            }
            // A hook is the user's own shell text. While it runs, the other disks take no writes.
            (hook, Node::Text(_)) if hook.ends_with("Hook") => {}
            _ => names_no_device(reader, &found),
        }
    }
}

fn names_no_device(reader: &mut Reader<'_>, found: &Placed<Node<'_>>) {
    match &found.value {
        Node::Text(text) if text.contains("/dev/") => {
            let message = format!("`{text}` names a device: only `select` names a disk");
            let tip = "write the name that the disk has in the table: [disk.devices.disk.NAME]";
            reader.problem_with_tip(&found.at, message, tip);
        }
        Node::Table(inner) => guarded(reader, inner),
        Node::List(all) => all.iter().for_each(|one| names_no_device(reader, one)),
        Node::Text(_) | Node::Other => {}
    }
}

#[cfg(test)]
mod tests;
